"""The options of TLS: what they become, and which of them contradict each other."""

from __future__ import annotations

import os
import shlex
import ssl
import subprocess
from pathlib import Path
from typing import Any

import pytest

from pastepool.errors import SettingsError
from pastepool.settings import Settings, read
from pastepool.settings.dialect import PASTE, WAITRESS, Dialect
from pastepool.settings.endpoint import Endpoint
from pastepool.settings.origin import KeyLines
from pastepool.settings.parsing import Unfit
from pastepool.settings.place import SettingsPlace
from pastepool.settings.tls_parsing import MAKE_ONE, CertificateNames, ContextObject
from pastepool.settings.values import TlsSettings

PEM = "/etc/ssl/shop.pem"


def settings(dialect: Dialect = PASTE, **local: Any) -> Settings:
    """Read a section."""
    return read(local, {}, dialect=dialect)


def complaint(**local: Any) -> str:
    """Read a section that must be refused, and return the sentence about it."""
    with pytest.raises(SettingsError) as caught:
        settings(**local)
    return str(caught.value)


def test_without_a_certificate_nothing_speaks_tls() -> None:
    """The default is what it was."""
    found = settings()
    assert found.tls == TlsSettings()
    assert not found.tls.has_certificate and not found.listen[0].tls
    assert found.listen[0].scheme == "http"


@pytest.mark.parametrize("dialect", [PASTE, WAITRESS], ids=["http", "main"])
def test_a_certificate_makes_host_and_port_speak_tls(dialect: Dialect) -> None:
    """As in Paste, where ssl_pem is all that is needed."""
    found = settings(dialect, host="127.0.0.1", port="8443", ssl_pem=PEM)
    assert found.listen == (Endpoint("127.0.0.1", 8443, tls=True),)
    assert found.listen[0].scheme == "https"
    assert found.tls.has_certificate and found.tls.pem == PEM


def test_a_word_makes_an_address_of_listen_speak_tls() -> None:
    """Plain addresses may stand beside it; a unix socket then has the port of https."""
    found = settings(
        listen="127.0.0.1:8080 127.0.0.1:8443 tls proxy unix:/run/a tls systemd tls", ssl_pem=PEM, proxy_from="::1"
    )
    assert [endpoint.tls for endpoint in found.listen] == [False, True, True, True]
    assert [endpoint.proxy for endpoint in found.listen] == [False, True, False, False]
    assert found.listen[2].server_port == 443
    assert dict(found.shown)["listen"] == "127.0.0.1:8080 127.0.0.1:8443 tls proxy unix:/run/a tls systemd tls"


def test_certfile_of_gunicorn_makes_every_bind_speak_tls() -> None:
    """There the certificate is for all addresses."""
    found = settings(bind="127.0.0.1:8443,[::1]:8443", certfile="/a.crt", keyfile="/a.key", ciphers="ECDHE+AESGCM")
    assert all(endpoint.tls for endpoint in found.listen)
    assert (found.tls.certificate, found.tls.key, found.tls.ciphers) == ("/a.crt", "/a.key", "ECDHE+AESGCM")


def test_relative_paths_are_those_of_the_start() -> None:
    """The application may change the directory later."""
    assert settings(ssl_pem="shop.pem").tls.pem == os.path.abspath("shop.pem")


def test_a_context_comes_from_a_program() -> None:
    """It is taken as it is, and text in its place is refused."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    found = settings(ssl_context=context)
    assert found.tls.context is context and found.tls.has_certificate and found.listen[0].tls
    assert dict(found.shown)["ssl_context"] == "an object from a program"
    assert "is not an object of ssl.SSLContext, which only a program can give; in a file, set ssl_pem" in complaint(
        ssl_context="adhoc"
    )
    assert "is not an object of ssl.SSLContext" in complaint(ssl_context=object())
    assert "the object has its own settings" in complaint(ssl_context=context, ssl_ciphers="AES")
    assert ContextObject().expects


def test_the_key_that_paste_makes_is_refused_with_the_command_that_makes_one(tmp_path: Path) -> None:
    """The command works."""
    assert MAKE_ONE in complaint(ssl_pem="*")
    subprocess.run(shlex.split(MAKE_ONE), cwd=tmp_path, check=True, capture_output=True)
    ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(tmp_path / "server.pem")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("Shop.Example: /a.pem", (("shop.example", "/a.pem"),)),
        ("a.example: /a.pem,\n*.b.example.:/b.pem,", (("a.example", "/a.pem"), ("*.b.example", "/b.pem"))),
    ],
)
def test_names_with_files(text: str, value: tuple[tuple[str, str], ...]) -> None:
    """Names are compared without regard to case, so they are kept in lower case."""
    assert CertificateNames()(text) == value
    assert CertificateNames()(CertificateNames().show(value)) == value


@pytest.mark.parametrize(
    "text", ["/a.pem", "a.example", "a.example:", "a b: /a", "*: /a", ",", "a: /a, a: /b", "a: /b/"]
)
def test_what_is_no_name_with_a_file(text: str) -> None:
    """Each part is needed, and no name may stand twice."""
    with pytest.raises(Unfit):
        CertificateNames()(text)


CLIENTS: dict[str, Any] = {"ssl_verify_client": "required", "ssl_client_ca": "/ca.pem"}


@pytest.mark.parametrize(
    ("local", "words"),
    [
        (
            {"listen": "127.0.0.1:1 tls"},
            "listen = 127.0.0.1:1 tls contradicts ssl_pem = not set; there is no certificate",
        ),
        ({"listen": "127.0.0.1:1", "ssl_pem": PEM}, "no address of listen has the word tls"),
        ({"ssl_pem": PEM, "ssl_certificate": "/a"}, "so delete one of the lines"),
        ({"ssl_pem": PEM, "ssl_key": "/a"}, "write ssl_certificate in place of ssl_pem"),
        ({"ssl_key": "/a"}, "it has no meaning without a certificate"),
        (CLIENTS, "it has no meaning without a certificate"),
        ({"ssl_pem": PEM, "ssl_verify_client": "required"}, "so set ssl_client_ca or delete the line"),
        ({"ssl_pem": PEM, "ssl_client_ca": "/ca.pem"}, "so set ssl_verify_client to optional or required"),
        ({"ssl_pem": PEM, "ssl_crl": "/crl.pem"}, "so set ssl_verify_client to optional or required"),
        ({"cert_reqs": "2"}, "cert_reqs = 2 contradicts ssl_pem = not set"),
        ({"ssl_version": "TLS"}, "ssl_minimum_version"),
    ],
)
def test_contradictions(local: dict[str, str], words: str) -> None:
    """An address that should speak TLS and does not would be worse than no start."""
    assert words in complaint(**local)


def test_what_asks_for_the_usual_needs_no_certificate() -> None:
    """A template may set what is the default anyway."""
    assert not settings(ssl_verify_client="off", ssl_minimum_version="1.2").tls.has_certificate
    assert settings(ssl_pem=PEM, **CLIENTS).tls.verify_client == "required"


def test_a_file_that_cannot_be_used_is_told_with_its_place() -> None:
    """Section, file, line, key and value, as for every mistake."""
    place = SettingsPlace("server:main", "shop.ini", {"server:main": {"ssl_pem": KeyLines((7,))}})
    error = place.unusable("ssl_pem", PEM, "is empty; name another file")
    assert str(error) == f"[server:main] of shop.ini, line 7: ssl_pem = {PEM} is empty; name another file."
    assert (error.key, error.value, error.line) == ("ssl_pem", PEM, 7)
    assert "is not one line of printable ASCII" in complaint(ssl_pem=PEM, ssl_ciphers="ü")
