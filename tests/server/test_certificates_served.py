"""Certificates of a running server: renewed under load, refused at the start, and those of clients."""

from __future__ import annotations

import contextlib
import json
import re
import socket
import ssl
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme
from cryptography.x509.oid import NameOID

from pastepool.runtime.sockets import certificates
from tests.certificates import authority, client_pem, handshake, issue, trusting, write
from tests.runtime.sockets.test_tls_context import BROKEN
from tests.server.commands import arguments, run
from tests.server.conftest import Serve
from tests.server.serving import Environ, Running, path_echo
from tests.waiting import WATCHDOG, until

REQUEST = b"GET /here HTTP/1.1\r\nHost: h\r\n\r\n"


@pytest.fixture
def pem(tmp_path: Path) -> Path:
    """A file with a key and a certificate."""
    return write(issue(), tmp_path / "shop.pem")


def answered(sock: ssl.SSLSocket) -> bytes:
    """Ask on an open connection, and return the beginning of the answer."""
    sock.sendall(REQUEST)
    return sock.recv(65536)


class Load:
    """Clients that come one after the other. ``shown``: the certificates that they got; ``failures``: what went wrong."""

    def __init__(self, run: Running) -> None:
        self.shown: list[bytes] = []
        self.failures: list[BaseException] = []
        self._port = run.port
        self._ended = threading.Event()
        self._threads = [threading.Thread(target=self._come) for _ in range(2)]

    def _come(self) -> None:
        context = trusting()
        while not self._ended.is_set():
            try:
                with handshake(self._port, context) as sock:
                    self.shown.append(sock.getpeercert(True) or b"")
                    assert answered(sock).endswith(b"/here")
            except BaseException as error:
                self.failures.append(error)

    def await_certificate(self, certificate: trustme.LeafCert) -> None:
        """Wait until a client has got a certificate."""
        der = ssl.PEM_cert_to_DER_cert(certificate.cert_chain_pems[0].bytes().decode())
        until(lambda: der in self.shown[-5:], "new clients get the new certificate")

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._ended.set()
        for thread in self._threads:
            thread.join(WATCHDOG)


def replace_by_broken(run: Running, pem: Path) -> None:
    """Put a file in the place of another that cannot be used, and wait until the server has seen it."""
    kept = run.server.parts.certificates
    before = kept.failures
    new = pem.with_suffix(".broken")
    new.write_text("half a certificate")
    new.rename(pem)
    until(lambda: kept.failures == before + 1, "the broken file was seen")


def test_certificates_are_renewed_under_load(
    serve: Serve, pem: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No handshake fails; broken files change nothing; an open connection lives on with the certificate that it has."""
    monkeypatch.setattr(certificates, "LOOK_EVERY", 0.05)
    monkeypatch.setattr(certificates, "SETTLES_IN", 0.02)
    run = serve(path_echo, ssl_pem=str(pem))
    with handshake(run.port) as early, Load(run) as load:
        assert answered(early).endswith(b"/here")
        for _ in range(4):
            for certificate in (issue(), issue()):
                write(certificate, tmp_path / "new.pem").rename(pem)
                load.await_certificate(certificate)
            replace_by_broken(run, pem)
        assert answered(early).endswith(b"/here")
    assert load.failures == []
    assert run.server.parts.certificates.failures == 4
    assert len(set(load.shown)) >= 8


@pytest.mark.parametrize("how", ["encrypted", "another key", "missing"])
def test_a_start_with_a_broken_file_is_one_sentence(pem: Path, tmp_path: Path, how: str) -> None:
    """On a terminal, where OpenSSL could ask for a password: nothing is asked, and the exit status is 1."""
    spoil, words = BROKEN[how]
    spoil(pem)
    ini = tmp_path / "shop.ini"
    ini.write_text(
        "[app:main]\nuse = egg:pastepool#demo\n"
        f"[server:main]\nuse = egg:pastepool#http\nlisten = 127.0.0.1:0 tls\nssl_pem = {pem}\n"
    )
    terminal = "import os, pty, sys; sys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:])))"
    done = run([sys.executable, "-c", terminal, *arguments("paster", ini)], tmp_path)
    assert done.returncode == 1, done.stdout
    assert f"[server:main] of {ini}, line 6: ssl_pem = {pem} {words}" in done.stdout
    assert not re.search("traceback|pass ?phrase", done.stdout, re.IGNORECASE)
    assert len([line for line in done.stdout.splitlines() if "ssl_pem" in line]) == 1


def tell(environ: Environ, start_response: Any) -> Iterator[bytes]:
    """An application whose answer is what it is told of its client."""
    start_response("200 OK", [("Content-Type", "application/json")])
    yield json.dumps({key: environ[key] for key in sorted(environ) if key.startswith("SSL_")}).encode()


@pytest.fixture
def trusted(tmp_path: Path) -> Path:
    """The file with the certificate of the authority that signs for clients."""
    path = tmp_path / "clients.pem"
    path.write_bytes(authority().cert_pem.bytes())
    return path


def told(run: Running, context: ssl.SSLContext) -> dict[str, str]:
    """What the application is told of a client, twice on one connection."""
    with handshake(run.port, context) as sock:
        answers = []
        for _ in range(2):
            data = answered(sock)
            while not data.endswith(b"0\r\n\r\n"):
                data += sock.recv(65536)
            answers.append(json.loads(data[data.index(b"{") : data.rindex(b"}") + 1]))
        assert answers[0] == answers[1]
        found: dict[str, str] = answers[0]
        return found


def test_the_application_knows_the_client(serve: Serve, pem: Path, trusted: Path, tmp_path: Path) -> None:
    """By its certificate, if it has one; the limit on the number of fields is that of the request alone."""
    run = serve(
        tell,
        ssl_pem=str(pem),
        ssl_verify_client="optional",
        ssl_client_ca=str(trusted),
        max_header_count=1,
        access_log=True,
    )
    alice = client_pem(tmp_path / "alice", [(NameOID.ORGANIZATION_NAME, "Example"), (NameOID.COMMON_NAME, "alice")])
    keys = told(run, trusting(alice))
    assert (keys["SSL_CLIENT_VERIFY"], keys["SSL_CLIENT_S_DN"]) == ("SUCCESS", "CN=alice,O=Example")
    assert keys["SSL_CLIENT_CERT"] in alice.read_text()
    assert keys["SSL_TLS_SNI"] == "shop.example"
    keys = told(run, trusting())
    assert keys["SSL_CLIENT_VERIFY"] == "NONE"
    assert not [key for key in keys if key.startswith("SSL_CLIENT_") and key != "SSL_CLIENT_VERIFY"]


def test_a_client_without_the_certificate_that_is_needed_is_refused(
    serve: Serve, pem: Path, trusted: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """It can read why; the application is not called."""
    run = serve(tell, ssl_pem=str(pem), ssl_verify_client="required", ssl_client_ca=str(trusted))
    with pytest.raises(ssl.SSLError, match="CERTIFICATE_REQUIRED"), handshake(run.port) as sock:
        answered(sock)
    until(lambda: "peer did not return a certificate" in caplog.text, "the log says why")
    assert told(run, trusting(client_pem(tmp_path / "a", [(NameOID.COMMON_NAME, "a")])))["SSL_CLIENT_S_DN_CN"] == "a"


@pytest.mark.parametrize("version", ["TLSv1_2", "TLSv1_3"])
def test_a_session_is_resumed_in_this_process_and_begun_anew_in_another(
    serve: Serve, pem: Path, version: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another process, or a new certificate, does not know the session: then the handshake is a whole one."""
    context = trusting()
    context.minimum_version = context.maximum_version = ssl.TLSVersion[version]

    def reconnected(run: Running, session: ssl.SSLSession | None) -> tuple[bool | None, ssl.SSLSession | None]:
        raw = socket.create_connection(("127.0.0.1", run.port), WATCHDOG)
        with context.wrap_socket(raw, server_hostname="shop.example", session=session) as sock:
            assert answered(sock).endswith(b"/here")
            return sock.session_reused, sock.session

    first, second = serve(path_echo, ssl_pem=str(pem)), serve(path_echo, ssl_pem=str(pem))
    reused, session = reconnected(first, None)
    assert not reused
    reused, session = reconnected(first, session)
    assert reused
    reused, _ = reconnected(second, session)
    assert not reused


def test_names_choose_certificates(serve: Serve, pem: Path, tmp_path: Path) -> None:
    """SNI, over the network; the application is told the name."""
    other = write(issue("*.other.example"), tmp_path / "other.pem")
    run = serve(tell, ssl_pem=str(pem), ssl_certificates=f"*.other.example: {other}")
    with handshake(run.port, name="www.other.example") as sock:
        assert b'"SSL_TLS_SNI": "www.other.example"' in answered(sock)
    with pytest.raises(ssl.SSLCertVerificationError):
        handshake(run.port, name="unknown.example")


def test_a_program_brings_its_own_context(serve: Serve, pem: Path) -> None:
    """It says all there is to say."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    run = serve(tell, ssl_context=context)
    with handshake(run.port) as sock:
        assert b'"SSL_PROTOCOL": "TLSv1.3"' in answered(sock)


def test_the_page_has_the_counters(serve: Serve, pem: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Refused headers of proxies, certificates that could not be used, and when the certificate ends."""
    monkeypatch.setattr(certificates, "LOOK_EVERY", 0.05)
    monkeypatch.setattr(certificates, "SETTLES_IN", 0.02)
    run = serve(
        path_echo,
        listen="127.0.0.1:0 tls 127.0.0.1:0 proxy",
        proxy_from="127.0.0.1",
        ssl_pem=str(pem),
        shutdown_timeout=30,
    )
    view = run.server.parts.paste_pool.server_view
    assert view is not None
    shown = view.connections
    address = str(run.server.listeners[1].endpoint)
    assert shown()[3:] == (((address, 0),), 0, "3000-01-01T00:00:00Z")
    replace_by_broken(run, pem)
    with socket.create_connection(("127.0.0.1", run.server.listeners[1].endpoint.port), WATCHDOG) as sock:
        sock.sendall(REQUEST)
        with contextlib.suppress(ConnectionResetError):
            assert sock.recv(1) == b""
    until(lambda: (shown().proxy_refused[0][1], shown().tls_failures) == (1, 1), "both are counted")
