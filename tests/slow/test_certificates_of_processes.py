"""Each of several processes takes a new certificate by itself, at the real pace; two never need to agree."""

from __future__ import annotations

import re
import ssl
from pathlib import Path

import pytest
import trustme

from tests.certificates import handshake, issue, trusting, write
from tests.server.commands import Command, arguments
from tests.waiting import until

pytestmark = pytest.mark.slow

WITHIN = 60.0
"""Seconds within which a new certificate is served by all; alone on the machine it takes ten."""

CONNECTIONS = 40
"""So many new ones reach both processes."""


def shown(port: int) -> set[bytes]:
    """The certificates that new clients get."""
    context, found = trusting(), set()
    for _ in range(CONNECTIONS):
        with handshake(port, context) as sock:
            found.add(sock.getpeercert(True) or b"")
    return found


def der(certificate: trustme.LeafCert) -> bytes:
    """A certificate as a client sees it."""
    return ssl.PEM_cert_to_DER_cert(certificate.cert_chain_pems[0].bytes().decode())


def test_every_process_serves_the_new_certificate(tmp_path: Path) -> None:
    """Without a restart and without a failed handshake; a broken file in between changes nothing."""
    old, new = issue(), issue()
    pem = write(old, tmp_path / "shop.pem")
    ini = tmp_path / "shop.ini"
    ini.write_text(
        "[app:main]\nuse = egg:pastepool#demo\n"
        "[server:main]\nuse = egg:pastepool#http\nlisten = 127.0.0.1:0 tls\nprocesses = 2\n"
        f"ssl_pem = {pem}\n"
    )
    with Command(arguments("paster", ini), tmp_path) as server:
        port = int(server.read_until(re.compile(r"serving on https://127\.0\.0\.1:(\d+)"))[1])
        for _ in range(2):
            server.read_until(re.compile(r"worker process \d .* serves"))
        assert shown(port) == {der(old)}
        (tmp_path / "broken").write_text("half a certificate")
        (tmp_path / "broken").rename(pem)
        for _ in range(2):
            server.read_until(re.compile("New certificates are not taken, and the old ones are still served"))
        assert shown(port) == {der(old)}
        write(new, tmp_path / "new.pem").rename(pem)
        until(lambda: shown(port) == {der(new)}, "all clients get the new certificate", WITHIN)
        assert server.end() == 0
