"""
Read from the first message of a TLS client which host it asks for (RFC 8446 4.1.2, RFC 6066 3). Pure.

The server must know that before OpenSSL reads the message, to choose a certificate. What this module does not understand
is left to OpenSSL, which then refuses it or not; so nothing here has to be complete.
"""

from __future__ import annotations

import re

_HANDSHAKE, _CLIENT_HELLO, _SERVER_NAME, _HOST = 22, 1, 0, 0
_RECORD_HEAD, _MESSAGE_HEAD = 5, 4

_BEFORE_SESSION = 34
"""The bytes of version and random number, which the length of the session's number follows."""

_LONGEST = 65536
"""No client sends so long a first message."""

_NAME = re.compile(rb"[A-Za-z0-9_.-]{1,253}")


class ClientHello:
    """
    Collects the first message of a client.

    ``received``: all bytes so far. ``name``: the host that it asks for, as it has written it; empty for none, while it is
    not known, and if it is no name of a host.
    """

    __slots__ = ("received", "name", "_message", "_next_record")

    def __init__(self) -> None:
        self.received = bytearray()
        self.name = ""
        self._message = bytearray()
        self._next_record = 0

    def add(self, data: bytes) -> bool:
        """Take bytes. Returns whether the message is complete, or not to be understood: then OpenSSL may have it."""
        received, message = self.received, self._message
        received += data
        while len(received) >= self._next_record + _RECORD_HEAD:
            begin = self._next_record + _RECORD_HEAD
            size = int.from_bytes(received[begin - 2 : begin], "big")
            if received[self._next_record] != _HANDSHAKE or not size or len(received) > _LONGEST:
                return True
            if len(received) < begin + size:
                return False
            message += received[begin : begin + size]
            self._next_record = begin + size
            if len(message) >= _MESSAGE_HEAD:
                whole = _MESSAGE_HEAD + int.from_bytes(message[1:_MESSAGE_HEAD], "big")
                if message[0] != _CLIENT_HELLO or len(message) >= whole:
                    self.name = _name_in(bytes(message[_MESSAGE_HEAD:whole]))
                    return True
        return bool(received) and received[0] != _HANDSHAKE


def _name_in(hello: bytes) -> str:
    """Return the name in a message without its head; empty if there is none, or if the message is garbled."""
    try:
        at = _BEFORE_SESSION
        for width in (1, 2, 1):  # the session's number, the ciphers, the ways to compress
            at += width + int.from_bytes(_exactly(hello, at, width), "big")
        end = at + 2 + int.from_bytes(_exactly(hello, at, 2), "big")
        at += 2
        while at < end:
            kind, size = (int.from_bytes(_exactly(hello, at + each, 2), "big") for each in (0, 2))
            if kind == _SERVER_NAME:
                return _host_in(_exactly(hello, at + 4, size))
            at += 4 + size
    except ValueError:
        pass
    return ""


def _host_in(extension: bytes) -> str:
    """Return the first name of a list that has no other names (RFC 6066 3)."""
    if _exactly(extension, 2, 1)[0] != _HOST:
        return ""
    size = int.from_bytes(_exactly(extension, 3, 2), "big")
    name = _exactly(extension, 5, size)
    return name.decode("ascii") if _NAME.fullmatch(name) else ""


def _exactly(data: bytes, at: int, size: int) -> bytes:
    """Return so many bytes. Raises: ValueError: there are fewer."""
    found = data[at : at + size]
    if len(found) < size:
        raise ValueError("the message ends too soon")
    return found
