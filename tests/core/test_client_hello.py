"""The host that a client asks for, read from its first message: of real clients, in pieces, and garbled."""

from __future__ import annotations

import contextlib
import ssl
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pastepool.core.client_hello import ClientHello


def hello(name: str | None = "shop.example", version: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3) -> bytes:
    """The first message of a client of the standard library."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.maximum_version = version
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    with contextlib.suppress(ssl.SSLWantReadError):
        context.wrap_bio(incoming, outgoing, server_hostname=name).do_handshake()
    return outgoing.read()


def in_records(data: bytes, size: int) -> bytes:
    """The same message in records of at most ``size`` bytes."""
    message = data[5:]
    pieces = [message[at : at + size] for at in range(0, len(message), size)]
    return b"".join(data[:3] + struct.pack("!H", len(piece)) + piece for piece in pieces)


def read(data: bytes, at_once: int = 1_000_000) -> tuple[bool, str]:
    """Whether OpenSSL may have the bytes, and the name in them."""
    found, done = ClientHello(), False
    for at in range(0, len(data), at_once):
        done = found.add(data[at : at + at_once])
        if done:
            break
    assert data.startswith(bytes(found.received))
    return done, found.name


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize("name", ["shop.example", "SHOP.example", "xn--bcher-kva.example", "a" * 63 + ".b"])
def test_the_name_of_a_real_client(name: str, version: ssl.TLSVersion) -> None:
    """As the client has written it, in one piece and in many."""
    data = hello(name, version)
    for at_once in (1, 7, 1_000_000):
        assert read(data, at_once) == (True, name)
        assert read(in_records(data, 50), at_once) == (True, name)
    assert read(in_records(data, 1)) == (True, name)


@pytest.mark.parametrize("name", [None, "127.0.0.1"])
def test_a_client_that_asks_for_no_name(name: str | None) -> None:
    """An address is no name (RFC 6066 3)."""
    assert read(hello(name)) == (True, "")


def test_a_message_that_is_not_complete_is_waited_for() -> None:
    """Up to its last byte."""
    data = hello()
    assert not any(read(data[:size])[0] for size in range(len(data)))


@pytest.mark.parametrize("bad", [b"\xff", b"\n", b" ", b"/", b"\0"])
def test_a_name_that_is_none(bad: bytes) -> None:
    """It is not told to anybody; OpenSSL decides whether the client may go on."""
    data = hello("shop.examplX").replace(b"examplX", b"exampl" + bad)
    assert read(data) == (True, "")


def message(extensions: bytes) -> bytes:
    """The first message of a client with these extensions, and no head."""
    body = bytes(34) + b"\0" + b"\0\2\x13\x01" + b"\1\0" + struct.pack("!H", len(extensions)) + extensions
    whole = b"\1" + struct.pack("!I", len(body))[1:] + body
    return b"\x16\3\1" + struct.pack("!H", len(whole)) + whole


def test_the_name_stands_behind_other_extensions() -> None:
    """Their order is free; a list whose first name is of another kind has none for us."""
    usual = b"\0\0\0\x06\0\4\0\0\1a"
    assert read(message(b"\0\x0b\0\2\1\0" + usual)) == (True, "a")
    assert read(message(usual.replace(b"\0\4\0\0\1a", b"\0\4\1\0\1a"))) == (True, "")


@pytest.mark.parametrize(
    "data",
    [
        b"GET / HTTP/1.1\r\n",
        b"\x80\x2e\x01\x03",
        b"\x16\3\1\0\0",
        b"\x16\3\1\0\4\2\0\0\0",
        b"\x16\3\1\0\4\1\0\0\0",
        b"\x16\3\1\0\1\1\x17",
        message(b"\0\0\0\6\0\4\0\0\7a"),
        message(b"\0\0\0\2\0\0"),
        message(b"\0\0\0\x63\0"),
        b"\x16\3\1" + b"\xff" * 70_000,
        in_records(b"\x16\3\1\0\0" + b"\1\xff\xff\xff" + bytes(70_000), 16_000),
    ],
    ids=range(11),
)
def test_what_is_not_understood_is_left_to_openssl(data: bytes) -> None:
    """Garbage, other messages, empty records, lists that end too soon, and messages that no client sends."""
    assert read(data + b"\x17" * 5) == (True, "")


@given(st.binary(max_size=200), st.integers(1, 50))
def test_random_bytes(data: bytes, at_once: int) -> None:
    """Nothing is raised, and pieces make no difference."""
    assert read(data) == read(data, at_once)


@given(st.integers(5, 400), st.integers(0, 255), st.integers(1, 600))
def test_a_changed_byte(at: int, value: int, at_once: int) -> None:
    """The same for a message that was right but for one byte."""
    data = bytearray(HELLO)
    data[min(at, len(data) - 1)] = value
    assert read(bytes(data)) == read(bytes(data), at_once)


HELLO = hello()
