"""A reload with real processes: words that are added to an address, clients that nobody has accepted, new certificates."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import ssl
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import trustme

from tests.certificates import TlsClientSide, handshake, issue, trusting, write
from tests.process.site import Site, ending, stand_still
from tests.server.commands import alive, environment
from tests.server.serving import Client
from tests.server.test_unix_sockets import UnixClient
from tests.waiting import PROGRAM_WATCHDOG, until

HEADER = b"PROXY TCP4 192.0.2.1 10.0.0.1 4711 443\r\n"
WAITING = 100


@pytest.fixture
def pem(tmp_path: Path) -> Path:
    """A certificate."""
    return write(issue(), tmp_path / "shop.pem")


def begun(folder: Path, **options: Any) -> Site:
    """A site whose workers have room for all clients of a test."""
    return Site(folder, **{"threadpool_workers": 8, "deadlock_timeout": 0, "graceful_timeout": 30, **options})


def reloaded(site: Site, generation: int, old: dict[int, int], **options: Any) -> dict[int, int]:
    """Reload with other options, and wait until only the new workers are left."""
    site.configure(**{"processes": 2, "threadpool_workers": 8, "deadlock_timeout": 0, **options})
    site.hup()
    new = site.serving(generation=generation)
    until(lambda: not any(map(alive, old.values())), "the old workers have ended")
    return new


def drawn(site: Site) -> int:
    """The port, whatever is spoken there."""
    site.serving()
    found = re.search(r"serving on https?://127\.0\.0\.1:(\d+)", site.said)
    assert found
    return int(found[1])


def test_words_are_added_to_an_address_that_stays(tmp_path: Path, pem: Path) -> None:
    """Plain, then TLS behind a header of the PROXY protocol, then TLS alone: always on the same port."""
    with ending(begun(tmp_path, listen="127.0.0.1:0")) as site:
        port = drawn(site)
        more = {"listen": "127.0.0.1:0 tls proxy", "proxy_from": "127.0.0.1", "ssl_pem": pem}
        workers = reloaded(site, 2, site.workers(1), **more)
        assert f"serving on https://127.0.0.1:{port} too" in site.said
        assert f"serving on http://127.0.0.1:{port} no more" in site.said
        with Client(port) as client:
            client.send(HEADER)
            client.sock = TlsClientSide(client.sock)
            client.sock.shake()
            assert client.get("/").status == 200
        reloaded(site, 3, workers, listen="127.0.0.1:0 tls", ssl_pem=pem)
        with handshake(port) as sock:
            sock.sendall(b"GET / HTTP/1.1\r\nHost: shop.example\r\nConnection: close\r\n\r\n")
            assert b"".join(iter(lambda: sock.recv(4096), b"")).startswith(b"HTTP/1.1 200 OK")


@pytest.mark.parametrize("words", ["", " backlog=200"], ids=["no change", "a word added"])
def test_clients_that_nobody_has_accepted_are_answered_after_a_reload(words: str, tmp_path: Path) -> None:
    """The old workers stand still, so 100 clients wait in the kernel's queue. The new ones answer each of them."""
    with ending(begun(tmp_path, listen="127.0.0.1:0")) as site, contextlib.ExitStack() as stack:
        port, old = drawn(site), site.workers(1)
        for worker in old.values():
            stand_still(worker)
        clients = [stack.enter_context(Client(port)) for _ in range(WAITING)]
        for client in clients:
            client.ask("/")
        site.configure(listen=f"127.0.0.1:0{words}", processes=2, threadpool_workers=8, deadlock_timeout=0)
        site.hup()
        answered = {int(client.response().body.split()[0]) for client in clients}
        for client in clients:
            client.close()
        for worker in old.values():
            os.kill(worker, signal.SIGCONT)
        assert answered <= set(site.serving(generation=2).values())


def test_rights_of_a_unix_socket_are_changed_by_a_reload(tmp_path: Path, folder: Path) -> None:
    """The file stays the same one, and is removed at the end."""
    place = f"unix:{folder}/s"
    with ending(begun(tmp_path, listen=f"127.0.0.1:0 {place} mode=600")) as site:
        old, inode = site.serving(), (folder / "s").stat().st_ino
        reloaded(site, 2, old, listen=f"127.0.0.1:0 {place} mode=666")
        found = (folder / "s").stat()
        assert (found.st_ino, stat.S_IMODE(found.st_mode)) == (inode, 0o666)
    assert not (folder / "s").exists()


def test_file_of_a_unix_socket_is_the_parents(tmp_path: Path, folder: Path) -> None:
    """A worker that is killed leaves it. After the parent was killed, the same file starts again."""
    place = f"127.0.0.1:0 unix:{folder}/s"
    with begun(tmp_path, listen=place) as site:
        old = site.serving()
        os.kill(old[1], signal.SIGKILL)
        site.await_line("worker process 1 .*was killed by signal 9")
        assert (folder / "s").exists()
        os.kill(site.pid, signal.SIGKILL)
        site.process.wait(PROGRAM_WATCHDOG)
        until(lambda: not alive(old[2]), "the other worker has left")
    with ending(begun(tmp_path, listen=place)) as site:
        site.await_line(f"unix:{folder}/s: replacing the socket of a process that is gone")
        site.serving()
        with UnixClient(f"{folder}/s") as client:
            assert client.get().status == 200
    assert not (folder / "s").exists()


def shown(port: int) -> set[bytes]:
    """The certificates that new clients get, of so many that each worker has some."""
    context, found = trusting(), set()
    for _ in range(20):
        with handshake(port, context) as sock:
            found.add(sock.getpeercert(True) or b"")
    return found


def der(certificate: trustme.LeafCert) -> bytes:
    """A certificate as a client sees it."""
    return ssl.PEM_cert_to_DER_cert(certificate.cert_chain_pems[0].bytes().decode())


def test_a_reload_takes_new_certificates_at_once(tmp_path: Path, pem: Path) -> None:
    """When the command has ended, every new client gets the new one. With a broken file nothing is changed."""

    def reload() -> subprocess.CompletedProcess[str]:
        words = [sys.executable, "-m", "pastepool", "reload", "site.ini"]
        return subprocess.run(
            words,
            cwd=tmp_path,
            env=environment(),
            capture_output=True,
            text=True,
            timeout=PROGRAM_WATCHDOG,
            check=False,
        )

    with ending(begun(tmp_path, listen="127.0.0.1:0 tls", ssl_pem=pem)) as site:
        port = drawn(site)
        old = shown(port)
        assert len(old) == 1
        pem.write_text("half a certificate")
        failed = reload()
        assert failed.returncode == 1
        assert "ssl_pem" in failed.stderr and str(pem) in failed.stderr, failed.stderr
        assert shown(port) == old
        certificate = issue()
        write(certificate, tmp_path / "new.pem").rename(pem)
        assert reload().stdout.endswith("serves\n")
        assert shown(port) == {der(certificate)}
