"""The configurations of the page "Certificates" of the manual, served."""

from __future__ import annotations

import configparser
import re
import ssl
from pathlib import Path
from typing import Any

import pytest
from cryptography.x509.oid import NameOID

from tests.certificates import TlsClientSide, authority, client_pem, handshake, issue, revoking, trusting, write
from tests.meta.repository import ROOT
from tests.server.conftest import Serve
from tests.server.fronts import ELSEWHERE, HAPROXY, ClientElsewhere, Front, free_port
from tests.server.serving import Client, Environ, Running

PAGE = (ROOT / "docs" / "how-to" / "certificates.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```ini\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


def tell(environ: Environ, start_response: Any) -> list[bytes]:
    """An application whose answer is who its client is."""
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [f"{environ['wsgi.url_scheme']} {environ['REMOTE_ADDR']} {environ.get('SSL_CLIENT_S_DN')}".encode()]


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """The files that the page names, each under the last part of its name."""
    write(issue(), tmp_path / "shop.pem")
    write(issue("other.example"), tmp_path / "other.pem")
    write(issue("*.other.example"), tmp_path / "wildcard.pem")
    pair = issue()
    (tmp_path / "privkey.pem").write_bytes(pair.private_key_pem.bytes())
    (tmp_path / "fullchain.pem").write_bytes(b"".join(part.bytes() for part in pair.cert_chain_pems))
    (tmp_path / "clients.pem").write_bytes(authority().cert_pem.bytes())
    revoking(tmp_path / "revoked.pem")
    return tmp_path


def served(serve: Serve, files: Path, word: str) -> Running:
    """Serve the block of the page that has ``word``, with the files of the test and on free ports."""
    (block,) = (block for block in BLOCKS if word in block)
    block = re.sub(r"/etc/[\w/.]*/(\w+\.pem)", rf"{files}/\1", block)
    block = re.sub(r"[\d.]+:8\d\d\d", "127.0.0.1:0", block)
    parser = configparser.ConfigParser(interpolation=None)
    parser.read_string(block)
    options = dict(parser["server:main"])
    assert options.pop("use") == "egg:pastepool#http"
    return serve(tell, **options)


def asked(sock: ssl.SSLSocket | TlsClientSide) -> bytes:
    """Ask, and return the answer."""
    sock.sendall(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
    return sock.recv(65536).rpartition(b"\r\n")[2]


def test_two_files_and_a_plain_address(serve: Serve, files: Path) -> None:
    """As certbot writes them; the address without the word is plain."""
    run = served(serve, files, "ssl_key")
    with Client(run.port) as client:
        assert client.get().body == b"http 127.0.0.1 None"
    with handshake(run.server.listeners[1].endpoint.port) as sock:
        assert asked(sock) == b"https 127.0.0.1 None"


def test_several_names(serve: Serve, files: Path) -> None:
    """Each client gets the certificate for the name that it asks for."""
    run = served(serve, files, "ssl_certificates")
    for name in ("shop.example", "other.example", "www.other.example"):
        with handshake(run.port, name=name) as sock:
            assert asked(sock) == b"https 127.0.0.1 None"


def test_clients_with_certificates(serve: Serve, files: Path) -> None:
    """Only they are let in."""
    run = served(serve, files, "ssl_verify_client")
    alice = client_pem(files / "alice", [(NameOID.COMMON_NAME, "alice")])
    with handshake(run.port, trusting(alice)) as sock:
        assert asked(sock) == b"https 127.0.0.1 CN=alice"
    with pytest.raises(ssl.SSLError), handshake(run.port) as sock:
        asked(sock)


@pytest.mark.skipif(not Path(HAPROXY).exists(), reason="HAProxy is not installed")
def test_behind_haproxy_that_passes_tls_on(serve: Serve, files: Path, folder: Path, front: Front) -> None:
    """With the configuration of its page: the header comes before TLS, and names the client."""
    run, port = served(serve, files, "proxy tls"), free_port()
    text = (ROOT / "docs" / "how-to" / "files" / "haproxy.cfg").read_text(encoding="utf-8")
    text = text.replace("bind :80", f"bind 127.0.0.1:{port}").replace("127.0.0.1:8080", f"127.0.0.1:{run.port}")
    (folder / "haproxy.cfg").write_text(text)
    front([HAPROXY, "-db", "-f", str(folder / "haproxy.cfg")], port)
    with ClientElsewhere(port) as client:
        side = TlsClientSide(client.sock)
        side.shake()
        assert asked(side) == f"https {ELSEWHERE} None".encode()


def test_the_first_block_is_all_that_is_needed(serve: Serve, files: Path) -> None:
    """One address and one file."""
    (first, *_) = BLOCKS
    assert first.count("\n") == 4
    run = serve(tell, listen="127.0.0.1:0 tls", ssl_pem=str(files / "shop.pem"))
    with handshake(run.port) as sock:
        assert asked(sock) == b"https 127.0.0.1 None"
