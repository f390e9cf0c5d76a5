"""Certificates for tests, and a client's side of TLS."""

from __future__ import annotations

import functools
import socket
import ssl
import tempfile
from pathlib import Path
from typing import Any

import trustme

NAME = "shop.example"


@functools.cache
def authority() -> trustme.CA:
    """One authority for all tests: to make a key takes time."""
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


def trusting(*, client: trustme.LeafCert | None = None) -> ssl.SSLContext:
    """Return a client's context that trusts the authority. ``client``: the client's own certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    authority().configure_trust(context)
    if client is not None:
        client.configure_cert(context)
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
