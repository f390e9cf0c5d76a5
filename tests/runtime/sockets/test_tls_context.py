"""The context of TLS that files give, and the sentence about each file that cannot be used."""

from __future__ import annotations

import contextlib
import ssl
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import trustme
from cryptography.x509.oid import NameOID

from pastepool.errors import SettingsError
from pastepool.runtime.sockets.tls_context import TlsContext, files_of, make_context
from pastepool.settings.place import SettingsPlace
from pastepool.settings.values import TlsSettings
from tests.certificates import NAME, authority, client_pem, issue, revoking, shaken, trusting, write

PLACE = SettingsPlace("server:main", "shop.ini")
PASSWORD = "a secret"


@pytest.fixture
def pem(tmp_path: Path) -> Path:
    """A file with a key and a certificate."""
    return write(issue(), tmp_path / "shop.pem")


def complaint(tls: TlsSettings) -> str:
    """The sentence about each file that cannot be used, on a line of its own."""
    with pytest.raises(SettingsError) as caught:
        make_context(tls, PLACE)
    sentence = str(caught.value)
    for line in sentence.splitlines():
        assert line.startswith("[server:main] of shop.ini: ssl_") and line.endswith(".")
    return sentence


def pair(folder: Path, certificate: trustme.LeafCert | None = None) -> TlsSettings:
    """A certificate and a key in two files."""
    made = certificate or issue()
    made.private_key_pem.write_to_path(str(folder / "shop.key"))
    (folder / "shop.crt").write_bytes(b"".join(part.bytes() for part in made.cert_chain_pems))
    return TlsSettings(certificate=str(folder / "shop.crt"), key=str(folder / "shop.key"))


def encrypted(pem: Path) -> Path:
    """The same key and certificate, with a password on the key."""
    key = pem.with_suffix(".secret")
    command = ["openssl", "pkey", "-in", str(pem), "-aes256", "-passout", f"pass:{PASSWORD}", "-out", str(key)]
    subprocess.run(command, check=True, capture_output=True)
    certificate = pem.read_text()[pem.read_text().index("-----BEGIN CERTIFICATE") :]
    key.write_text(key.read_text() + certificate)
    return key


def test_one_file_or_two(pem: Path, tmp_path: Path) -> None:
    """Both forms are tried in a handshake before they are used; the date of their end is known."""
    for tls in (TlsSettings(pem=str(pem)), TlsSettings(certificate=str(pem)), pair(tmp_path)):
        made = make_context(tls, PLACE)
        assert shaken(made.context, trusting()).version() == "TLSv1.3"
        (certificate,) = made.certificates
        assert certificate.valid_to > 4e9
    assert files_of(pair(tmp_path)) == (str(tmp_path / "shop.crt"), str(tmp_path / "shop.key"))


def directory(pem: Path) -> None:
    """Put a directory in the place of the file."""
    pem.unlink()
    pem.mkdir()


BROKEN: dict[str, tuple[Callable[[Path], object], str]] = {
    "missing": (lambda pem: pem.unlink(), "cannot be read (No such file or directory)"),
    "directory": (directory, "cannot be read (Is a directory)"),
    "empty": (lambda pem: pem.write_bytes(b""), "has no certificate"),
    "garbage": (lambda pem: pem.write_bytes(bytes(range(256))), "has no certificate"),
    "key only": (lambda pem: pem.write_text(pem.read_text().partition("-----BEGIN CERT")[0]), "has no certificate"),
    "certificate only": (
        lambda pem: pem.write_text(pem.read_text()[pem.read_text().index("-----BEGIN CERT") :]),
        "has no private key",
    ),
    "another key": (
        lambda pem: pem.write_bytes(issue().private_key_pem.bytes() + issue().cert_chain_pems[0].bytes()),
        "has a certificate that does not belong to the key; name the two files that were made together",
    ),
    "half": (lambda pem: pem.write_text(pem.read_text()[:-200]), "is refused by OpenSSL (pem lib)"),
    "garbled": (
        lambda pem: pem.write_text(pem.read_text().replace("CERTIFICATE-----\nMI", "CERTIFICATE-----\nAA")),
        "is refused by OpenSSL",
    ),
    "encrypted": (lambda pem: encrypted(pem).rename(pem), "has an encrypted key; write its password into a file"),
}
"""What is wrong with a file, and what the sentence says of it."""


@pytest.mark.parametrize("how", BROKEN)
def test_what_cannot_be_used(pem: Path, how: str) -> None:
    """One sentence with the option, the file, the reason and what to do."""
    spoil, words = BROKEN[how]
    spoil(pem)
    sentence = complaint(TlsSettings(pem=str(pem)))
    assert f"ssl_pem = {pem} {words}" in sentence
    assert "; " in sentence


def test_all_that_cannot_be_used_is_told_at_once(pem: Path, tmp_path: Path) -> None:
    """Each file and each value has its sentence, and is told once, although each certificate has a context of its own."""
    keyless = tmp_path / "keyless.pem"
    keyless.write_bytes(issue().cert_chain_pems[0].bytes())
    tls = TlsSettings(
        pem=str(keyless),
        certificates=(("a.example", str(keyless)), ("b.example", str(pem)), ("c.example", "/nowhere.pem")),
        ciphers="NONSENSE",
        verify_client="required",
        client_ca="/no-ca.pem",
        crl=str(pem),
    )
    told = complaint(tls).splitlines()
    assert [sentence.partition(": ")[2].partition("; ")[0] for sentence in told] == [
        "ssl_ciphers = NONSENSE names no cipher that OpenSSL has here",
        "ssl_client_ca = /no-ca.pem cannot be read (No such file or directory)",
        f"ssl_crl = {pem} has no -----BEGIN X509 CRL-----",
        f"ssl_pem = {keyless} has no private key (-----BEGIN PRIVATE KEY-----)",
        f"ssl_certificates = {keyless} has no private key (-----BEGIN PRIVATE KEY-----)",
        "ssl_certificates = /nowhere.pem cannot be read (No such file or directory)",
    ]
    assert "or set ssl_key." in complaint(TlsSettings(certificate=str(keyless)))


def test_two_files_that_do_not_fit(tmp_path: Path) -> None:
    """As when a program has written one of them, and not yet the other."""
    old, new = issue(), issue()
    tls = pair(tmp_path, old)
    (tmp_path / "shop.crt").write_bytes(new.cert_chain_pems[0].bytes())
    assert (
        f"ssl_certificate = {tls.certificate} has a certificate that does not belong to the key in {tls.key}"
        in complaint(tls)
    )
    (tmp_path / "shop.key").write_text("x")
    assert f"ssl_key = {tls.key} has no private key (-----BEGIN PRIVATE KEY-----); name another" in complaint(tls)
    rsa = authority().issue_cert(NAME, key_type=trustme.KeyType.RSA)
    (tmp_path / "shop.key").write_bytes(rsa.private_key_pem.bytes())
    assert "does not belong to the key" in complaint(tls)


def test_a_password_comes_from_a_file(pem: Path, tmp_path: Path) -> None:
    """Its first line; a wrong one is said."""
    secret = tmp_path / "password"
    tls = TlsSettings(pem=str(encrypted(pem)), password_file=str(secret))
    assert f"ssl_password_file = {secret} cannot be read" in complaint(tls)
    secret.write_text(f"{PASSWORD}\r\nmore")
    assert shaken(make_context(tls, PLACE).context, trusting()).version()
    secret.write_text("wrong")
    assert f"has a key that the password in {secret} does not open" in complaint(tls)
    secret.write_text("")
    assert "has an encrypted key" in complaint(tls)


def test_versions_and_ciphers(pem: Path) -> None:
    """The oldest version is 1.2 or 1.3; ciphers are those of 1.2; what fits to nothing is refused."""
    tls, old = TlsSettings(pem=str(pem), ciphers="ECDHE+AESGCM"), trusting()
    old.maximum_version = ssl.TLSVersion.TLSv1_2
    cipher = shaken(make_context(tls, PLACE).context, old).cipher()
    assert cipher is not None and cipher[0].startswith("ECDHE") and "GCM" in cipher[0]
    with pytest.raises(ssl.SSLError):
        shaken(make_context(replace(tls, minimum_version="1.3"), PLACE).context, old)
    assert "ssl_ciphers = nonsense names no cipher that OpenSSL has here" in complaint(replace(tls, ciphers="nonsense"))


def test_names_choose_certificates(tmp_path: Path) -> None:
    """Exact ones before those with a star, which covers one part; any other name gets the first certificate."""
    names = {"usual": NAME, "exact": "a.example", "star": "*.b.example", "more": "c.b.example"}
    files = {key: str(write(issue(name), tmp_path / f"{key}.pem")) for key, name in names.items()}
    certificates = tuple((names[key], files[key]) for key in ("exact", "star", "more"))
    made = make_context(TlsSettings(pem=files["usual"], certificates=certificates), PLACE)
    assert len(made.certificates) == 4
    for name in (NAME, "a.example", "x.b.example", "c.b.example"):
        assert shaken(made.context_for(name), trusting(), name).version()  # the client checks the name
    for name in ("other.example", "b.example", "x.y.b.example"):
        assert made.context_for(name) is made.context
    (tmp_path / "star.pem").write_text("x")
    assert f"ssl_certificates = {files['star']} has no certificate" in complaint(
        TlsSettings(pem=files["usual"], certificates=certificates)
    )


def test_the_name_is_compared_without_case_and_without_the_last_dot() -> None:
    """As DNS does."""
    one, other, usual = (ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER) for _ in range(3))
    made = TlsContext(usual, (), {"a.example": one, "*.example": other})
    assert made.context_for("A.Example.") is one
    assert made.context_for("b.EXAMPLE") is other
    assert made.context_for("") is made.context_for("example") is usual


@pytest.mark.parametrize("verify", ["optional", "required"])
def test_clients_with_certificates(pem: Path, tmp_path: Path, verify: str) -> None:
    """One that is signed, is in time and is not revoked is let in; any other is refused, also where none is needed."""
    alice = [(NameOID.COMMON_NAME, "alice")]
    trusted = tmp_path / "clients.pem"
    trusted.write_bytes(authority().cert_pem.bytes())
    good, bad = client_pem(tmp_path / "good", alice), client_pem(tmp_path / "bad", alice)
    ended = client_pem(tmp_path / "ended", alice, ended=True)
    stranger = write(issue("alice", by=trustme.CA()), tmp_path / "stranger")
    crl = revoking(tmp_path / "crl", bad)
    tls = TlsSettings(pem=str(pem), verify_client=verify, client_ca=str(trusted), crl=str(crl))
    context = make_context(tls, PLACE).context
    assert shaken(context, trusting(good)).getpeercert()
    for client, why in ((bad, "revoked"), (ended, "expired"), (stranger, "unable to get")):
        with pytest.raises(ssl.SSLCertVerificationError, match=why):
            shaken(context, trusting(client))
    with contextlib.nullcontext() if verify == "optional" else pytest.raises(ssl.SSLError, match="PEER_DID_NOT_RETURN"):
        assert shaken(context, trusting()).getpeercert() is None
    crl.write_text("x")
    assert f"ssl_crl = {crl} has no -----BEGIN X509 CRL-----" in complaint(tls)
    trusted.write_text("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
    assert f"ssl_client_ca = {trusted} is refused by OpenSSL" in complaint(tls)


def test_a_context_of_a_program_is_taken_as_it_is(pem: Path) -> None:
    """Nothing is known of its certificate; but it is tried, because no client could be served with one for clients."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    assert "does not fit to the other options of TLS (no shared cipher)" in complaint(TlsSettings(context=context))
    context.load_cert_chain(pem)
    made = make_context(TlsSettings(context=context), PLACE)
    assert (made.context, made.certificates) == (context, ())
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    assert "ssl_context = an object from a program is not one of a server" in complaint(TlsSettings(context=client))
