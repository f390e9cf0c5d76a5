"""What an application is told of the TLS of its client, beside what OpenSSL says of the same certificate."""

from __future__ import annotations

import ssl
import subprocess
from pathlib import Path

import pytest
from cryptography.x509.oid import NameOID, ObjectIdentifier

from pastepool.runtime.http.encrypting import facts_of
from pastepool.wsgi.tls_keys import TlsFacts, tls_keys
from tests.certificates import Names, authority, client_pem, server_pem, shaken, trusting


def server(verify: ssl.VerifyMode = ssl.CERT_NONE) -> ssl.SSLContext:
    """A server's context that trusts the clients of the authority."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(server_pem())
    context.verify_mode = verify
    authority().configure_trust(context)
    return context


def told(tls: ssl.SSLObject) -> dict[str, str]:
    """What an application is told of an open connection."""
    return tls_keys(facts_of(tls, ""))


def openssl(pem: Path, *words: str) -> str:
    """What OpenSSL says of a certificate."""
    command = ["openssl", "x509", "-in", str(pem), "-noout", "-nameopt", "RFC2253", *words]
    return (
        subprocess.run(command, check=True, capture_output=True, text=True)
        .stdout.rstrip("\n")
        .partition("=")[2]
        .lstrip()
    )


SUBJECTS: dict[str, Names] = {
    "usual": [
        (NameOID.COUNTRY_NAME, "DE"),
        (NameOID.STATE_OR_PROVINCE_NAME, "Hessen"),
        (NameOID.LOCALITY_NAME, "Kassel"),
        (NameOID.ORGANIZATION_NAME, "Example, Inc."),
        (NameOID.ORGANIZATIONAL_UNIT_NAME, "R+D"),
        (NameOID.COMMON_NAME, "alice"),
        (NameOID.EMAIL_ADDRESS, "alice@example.org"),
    ],
    "directory": [
        (NameOID.DOMAIN_COMPONENT, "org"),
        (NameOID.DOMAIN_COMPONENT, "example"),
        [(NameOID.USER_ID, "alice"), (NameOID.COMMON_NAME, "Alice")],
    ],
    "person": [
        (NameOID.SURNAME, "Müller"),
        (NameOID.GIVEN_NAME, "Zoë"),
        (NameOID.STREET_ADDRESS, "1 \\Main St;"),
        (NameOID.SERIAL_NUMBER, "4711"),
        (NameOID.TITLE, "Dr."),
    ],
    "blanks": [(NameOID.ORGANIZATION_NAME, " a "), (NameOID.COMMON_NAME, '#1 <a> "b"\t ')],
    "one blank": [(NameOID.COMMON_NAME, " ")],
    "no common name": [(NameOID.ORGANIZATION_NAME, "Example")],
}


@pytest.mark.parametrize("subject", SUBJECTS)
def test_names_are_written_as_openssl_writes_them(tmp_path: Path, subject: str) -> None:
    """Order, short names, escapes: an application may compare them with what ``openssl x509`` prints."""
    pem = client_pem(tmp_path / "client.pem", SUBJECTS[subject])
    keys = told(shaken(server(ssl.CERT_REQUIRED), trusting(pem)))
    assert keys["SSL_CLIENT_VERIFY"] == "SUCCESS"
    assert keys["SSL_CLIENT_S_DN"] == openssl(pem, "-subject")
    assert keys["SSL_CLIENT_I_DN"] == openssl(pem, "-issuer")
    assert keys["SSL_CLIENT_M_SERIAL"] == openssl(pem, "-serial")
    assert keys["SSL_CLIENT_CERT"] in pem.read_text()
    assert ("SSL_CLIENT_S_DN_CN" in keys) == (subject not in ("person", "no common name"))


def test_a_kind_that_openssl_does_not_know_is_written_with_its_number(tmp_path: Path) -> None:
    """OpenSSL writes the value in hexadecimal; here it can be read."""
    pem = client_pem(tmp_path / "client.pem", [(ObjectIdentifier("1.2.3.4.5"), "x"), (NameOID.COMMON_NAME, "alice")])
    assert told(shaken(server(ssl.CERT_REQUIRED), trusting(pem)))["SSL_CLIENT_S_DN"] == "CN=alice,1.2.3.4.5=x"


def test_a_client_without_a_certificate() -> None:
    """Only the keys that are known are there."""
    for verify in (ssl.CERT_NONE, ssl.CERT_OPTIONAL):
        keys = told(shaken(server(verify), trusting()))
        cipher = keys.pop("SSL_CIPHER")
        assert cipher.startswith("TLS_")
        assert keys == {"SSL_PROTOCOL": "TLSv1.3", "SSL_CLIENT_VERIFY": "NONE"}


def test_what_is_not_known_is_empty_or_left_out() -> None:
    """The name that a client has asked for is there if it has asked for one."""
    usual = {"SSL_PROTOCOL": "", "SSL_CIPHER": "", "SSL_CLIENT_VERIFY": "NONE"}
    assert tls_keys(TlsFacts(None, None)) == usual
    assert tls_keys(TlsFacts(None, None, "shop.example")) == {**usual, "SSL_TLS_SNI": "shop.example"}
