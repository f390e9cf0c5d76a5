"""Certificates for tests, and a client's side of TLS."""

from __future__ import annotations

import contextlib
import functools
import importlib.util
import socket
import ssl
import tempfile
from collections.abc import Sequence
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import pytest

if TYPE_CHECKING or importlib.util.find_spec("trustme"):
    import trustme
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

NAME = "shop.example"

NO_TRUSTME = "trustme needs cffi, which has no build for free-threaded CPython 3.13"


@functools.cache
def authority() -> trustme.CA:
    """One authority for all tests: to make a key takes time. Where there is no trustme, the test is skipped."""
    pytest.importorskip("trustme", reason=NO_TRUSTME)
    return trustme.CA(key_type=trustme.KeyType.ECDSA)


def issue(*names: str, by: trustme.CA | None = None, **more: Any) -> trustme.LeafCert:
    """Issue a certificate."""
    return (by or authority()).issue_cert(*(names or (NAME, "127.0.0.1")), key_type=trustme.KeyType.ECDSA, **more)


def write(certificate: trustme.LeafCert, path: Path) -> Path:
    """Write a key and its certificate into one file."""
    certificate.private_key_and_cert_chain_pem.write_to_path(str(path))
    path.chmod(0o600)
    return path


@functools.cache
def server_pem() -> str:
    """Return the path of a file with a key and a certificate for tests that need no particular one."""
    return str(write(issue(), Path(_folder().name) / "server.pem"))


@functools.cache
def _folder() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="pp")


def trusting(client: Path | None = None) -> ssl.SSLContext:
    """Return a client's context that trusts the authority. ``client``: the file of the client's own key and certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    authority().configure_trust(context)
    if client is not None:
        context.load_cert_chain(client)
    return context


def handshake(
    port: int, context: ssl.SSLContext | None = None, name: str = NAME, patience: float = 30.0
) -> ssl.SSLSocket:
    """Connect to a port of this machine with the TLS of the standard library."""
    raw = socket.create_connection(("127.0.0.1", port), patience)
    try:
        return (context or trusting()).wrap_socket(raw, server_hostname=name)
    except BaseException:
        raw.close()
        raise


class TlsClientSide:
    """
    A client's socket with TLS, whose sending side can be closed alone: ``ssl.SSLSocket`` cannot do that.

    It has the methods of a socket that ``serving.Client`` uses.
    """

    def __init__(self, raw: socket.socket, context: ssl.SSLContext | None = None, name: str = NAME) -> None:
        self.raw = raw
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = (context or trusting()).wrap_bio(self._incoming, self._outgoing, server_hostname=name)
        self._readable = b""
        self._ended = False

    def connect(self, address: tuple[str, int]) -> None:
        """Connect, and make the handshake."""
        self.raw.connect(address)
        self.shake()

    def shake(self) -> None:
        """Make the handshake on a socket that is connected."""
        self._until_done(self._tls.do_handshake)

    def _until_done(self, step: Any) -> Any:
        while True:
            try:
                done = step()
            except ssl.SSLWantReadError:
                self._send_out()
                data = self.raw.recv(65536)
                if not data:
                    raise EOFError("the server closed in the middle of a record") from None
                self._incoming.write(data)
            else:
                self._send_out()
                return done

    def _send_out(self) -> None:
        records = self._outgoing.read()
        if records:
            self.raw.sendall(records)

    def sendall(self, data: bytes) -> None:
        for begin in range(0, len(data), 65536):
            self._tls.write(data[begin : begin + 65536])
            self._send_out()

    def recv(self, size: int, flags: int = 0) -> bytes:
        """Return decrypted bytes, or nothing after the server's close-notify or the end of its socket."""
        while not self._readable and not self._ended:
            try:
                self._readable = self._tls.read(size)
                self._ended = not self._readable
            except ssl.SSLWantReadError:
                data = self.raw.recv(65536)
                if data:
                    self._incoming.write(data)
                self._ended = not data
            except ssl.SSLZeroReturnError:
                self._ended = True
        data = self._readable[:size]
        if not flags & socket.MSG_PEEK:
            self._readable = self._readable[size:]
        return data

    def rest(self) -> bytes:
        """Return all bytes up to the end."""
        return b"".join(iter(lambda: self.recv(65536), b""))

    @property
    def was_told_of_end(self) -> bool:
        """Whether the server has ended TLS in order: with a close-notify."""
        try:
            self._tls.read(1)
        except ssl.SSLZeroReturnError:
            return True
        except ssl.SSLError:
            return False
        return True

    def is_silent(self) -> bool:
        """Return whether, at this moment, the connection is open and there is nothing to read. Tickets do not count."""
        patience = self.raw.gettimeout()
        self.raw.setblocking(False)
        try:
            self._readable = self.recv(65536)
        except BlockingIOError:
            return True
        finally:
            self.raw.settimeout(patience)
        return False

    def shutdown(self, how: int) -> None:
        """Say that nothing more comes, in TLS and below it."""
        try:
            self._tls.unwrap()
        except ssl.SSLError:
            pass
        self._send_out()
        self.raw.shutdown(how)

    def close(self) -> None:
        self.raw.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.raw, name)


Names: TypeAlias = "Sequence[tuple[x509.ObjectIdentifier, str] | Sequence[tuple[x509.ObjectIdentifier, str]]]"
"""The parts of a distinguished name; a part may have several values."""


@functools.cache
def signer() -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    """Return the certificate and the key of the authority of all tests."""
    key = serialization.load_pem_private_key(authority().private_key_pem.bytes(), None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    return x509.load_pem_x509_certificate(authority().cert_pem.bytes()), key


def name_of(parts: Names) -> x509.Name:
    """Make a distinguished name."""
    made = []
    for part in parts:
        pairs: Any = [part] if isinstance(part[0], x509.ObjectIdentifier) else part
        made.append(x509.RelativeDistinguishedName([x509.NameAttribute(kind, value) for kind, value in pairs]))
    return x509.Name(made)


def client_pem(path: Path, parts: Names, *, by: Any = None, ended: bool = False) -> Path:
    """Write a client's key and certificate into a file. ``by``: certificate and key of another authority."""
    issuer, issuer_key = by or signer()
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(timezone.utc)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name_of(parts))
        .issuer_name(issuer.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=2))
        .not_valid_after(now + timedelta(days=-1 if ended else 1))
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), critical=False)
        .sign(issuer_key, hashes.SHA256())
    )
    form = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    path.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, *form) + certificate.public_bytes(serialization.Encoding.PEM)
    )
    return path


def revoking(path: Path, *pems: Path) -> Path:
    """Write a list of revoked certificates into a file."""
    issuer, issuer_key = signer()
    now = datetime.now(timezone.utc)
    crl = x509.CertificateRevocationListBuilder().issuer_name(issuer.subject)
    crl = crl.last_update(now - timedelta(days=1)).next_update(now + timedelta(days=1))
    for pem in pems:
        serial = x509.load_pem_x509_certificate(pem.read_bytes()).serial_number
        revoked = x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(now - timedelta(hours=1))
        crl = crl.add_revoked_certificate(revoked.build())
    path.write_bytes(crl.sign(issuer_key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
    return path


def shaken(server: ssl.SSLContext, client: ssl.SSLContext, name: str = NAME) -> ssl.SSLObject:
    """Make a handshake in memory, and return the server's side."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    ours = server.wrap_bio(to_server, to_client, server_side=True)
    theirs = client.wrap_bio(to_client, to_server, server_hostname=name)
    for side in (theirs, ours) * 3:
        with contextlib.suppress(ssl.SSLWantReadError):
            side.do_handshake()
    return ours
