"""The header of the PROXY protocol: both versions, every family, and nothing that a scanner sends."""

from __future__ import annotations

import contextlib
import ipaddress
import random
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pastepool.http1.proxy_protocol import BadProxyHeader, ProxySource, _crc32c, read_proxy_header

SIGNATURE = b"\r\n\r\n\x00\r\nQUIT\n"
IPV4 = bytes([192, 0, 2, 1, 10, 0, 0, 1]) + struct.pack("!HH", 4711, 443)
IPV6 = bytes.fromhex("20010db8000000000000000000000001" * 2) + struct.pack("!HH", 4711, 443)

MAPPED = bytes.fromhex("00000000000000000000ffffc0000201" * 2) + struct.pack("!HH", 4711, 443)
"""192.0.2.1 as a socket of IPv6 has it."""


def block(command: int = 0x21, family: int = 0x11, addresses: bytes = IPV4, extras: bytes = b"") -> bytes:
    """A header of version 2."""
    return SIGNATURE + bytes([command, family]) + struct.pack("!H", len(addresses) + len(extras)) + addresses + extras


def extra(kind: int, value: bytes) -> bytes:
    """An extra value of version 2."""
    return bytes([kind]) + struct.pack("!H", len(value)) + value


def with_sum(wrong: int = 0) -> bytes:
    """A header of version 2 with a checksum."""
    plain = block(extras=extra(3, b"\0\0\0\0"))
    return plain[:-4] + struct.pack("!I", _crc32c(plain) ^ wrong)


GOOD = [
    (b"PROXY TCP4 192.0.2.1 10.0.0.1 4711 443\r\n", ("192.0.2.1", 4711, False)),
    (b"PROXY TCP6 2001:DB8::1 ::1 4711 443\r\n", ("2001:db8::1", 4711, False)),
    (b"PROXY TCP6 ::ffff:192.0.2.1 ::ffff:10.0.0.1 4711 443\r\n", ("192.0.2.1", 4711, False)),
    (b"PROXY UNKNOWN\r\n", ("", 0, False)),
    (b"PROXY UNKNOWN ffff:f...f ffff:f...f 65535 65535\r\n", ("", 0, False)),
    (block(), ("192.0.2.1", 4711, False)),
    (block(family=0x21, addresses=IPV6), ("2001:db8::1", 4711, False)),
    (block(family=0x21, addresses=MAPPED), ("192.0.2.1", 4711, False)),
    (block(family=0x31, addresses=b"/a".ljust(216, b"\0")), ("", 0, False)),
    (block(family=0x00, addresses=b""), ("", 0, False)),
    (block(command=0x20, family=0x00, addresses=b""), ("", 0, False)),
    (block(command=0x20, addresses=b"garbage"), ("", 0, False)),
    (block(extras=extra(0x04, b"noop") + extra(0x20, b"\x01\0\0\0\0")), ("192.0.2.1", 4711, True)),
    (block(extras=extra(0x20, b"\x00\0\0\0\0")), ("192.0.2.1", 4711, False)),
    (with_sum(), ("192.0.2.1", 4711, False)),
]


@pytest.mark.parametrize(("header", "said"), GOOD)
@pytest.mark.parametrize("rest", [b"", b"GET / HTTP/1.1\r\n\r\n"])
def test_what_a_header_says(header: bytes, said: tuple[str, int, bool], rest: bytes) -> None:
    """The bytes after it belong to the client. Byte by byte gives the same, and no byte too early."""
    assert read_proxy_header(header + rest) == ProxySource(*said, len(header))
    assert [read_proxy_header(header[:size]) for size in range(len(header))] == [None] * len(header)


@pytest.mark.parametrize(
    "data",
    [
        b"GET / HTTP/1.1\r\n",
        b"\x16\x03\x01",
        b"proxy TCP4 192.0.2.1 10.0.0.1 4711 443\r\n",
        b"PROXY TCP4 192.0.2.1 10.0.0.1 4711\r\n",
        b"PROXY TCP4 192.0.2.1 10.0.0.1 4711 443 \r\n",
        b"PROXY TCP4 192.0.2.1  10.0.0.1 4711 443\r\n",
        b"PROXY TCP4 2001:db8::1 ::1 4711 443\r\n",
        b"PROXY TCP6 192.0.2.1 10.0.0.1 4711 443\r\n",
        b"PROXY TCP4 192.0.2.999 10.0.0.1 4711 443\r\n",
        b"PROXY TCP4 192.0.2.1 x 4711 443\r\n",
        b"PROXY TCP4 192.0.2.1 10.0.0.1 70000 443\r\n",
        b"PROXY TCP4 192.0.2.1 10.0.0.1 1 70000\r\n",
        b"PROXY TCP4 192.0.2.1 10.0.0.1 -1 443\r\n",
        b"PROXY TCP4 192.0.2.\xff 10.0.0.1 1 443\r\n",
        b"PROXY UDP4 192.0.2.1 10.0.0.1 1 443\r\n",
        b"PROXY UNKNOWN " + b"x" * 93 + b"\r\n",
        b"PROXY " + b"x" * 102,
        block(command=0x11),
        block(command=0x22),
        block()[:14] + b"\xff\xff",
        block(addresses=IPV4[:-1]),
        block(family=0x31, addresses=b"/a"),
        block(extras=b"\x04"),
        block(extras=b"\x04\x00\x05abc"),
        block(extras=extra(3, b"\0\0\0")),
        block(extras=extra(0x20, b"")),
        block(extras=extra(0x20, b"\x01\0\0\0")),
        with_sum(wrong=1),
    ],
)
def test_what_is_no_header(data: bytes) -> None:
    """One error, which says why; never another one."""
    with pytest.raises(BadProxyHeader):
        read_proxy_header(data)


def test_the_checksum_is_that_of_castagnoli() -> None:
    """The check value of the standard."""
    assert _crc32c(b"123456789") == 0xE3069283


BEGINNINGS = st.sampled_from([b"", SIGNATURE, b"PROXY ", b"PROXY TCP4 "])


@given(st.tuples(BEGINNINGS, st.binary(max_size=200)).map(b"".join))
def test_any_bytes_give_a_result_or_one_error_at_any_split(data: bytes) -> None:
    """As long as a beginning gives no result, it is no error that more bytes would mend."""

    def outcome(data: bytes) -> ProxySource | str | None:
        try:
            return read_proxy_header(data)
        except BadProxyHeader:
            return "bad"

    outcomes = [outcome(data[:size]) for size in range(len(data) + 1)]
    decided = [found for found in outcomes if found is not None]
    assert decided[:1] * len(decided) == decided


def test_ten_thousand_random_headers_fail_in_no_other_way() -> None:
    """Half of them begin as a header does. What is taken is at most what came, and says an address or keeps the peer's."""
    lots = random.Random(11)
    taken = 0
    for _ in range(10_000):
        begin = lots.choice(
            [b"", SIGNATURE, SIGNATURE + b"\x21\x11\x00\x0c", b"PROXY ", b"PROXY TCP4 1.2.3.4 5.6.7.8 1 2"]
        )
        data = begin + lots.randbytes(lots.randrange(120)) + lots.choice([b"", b"\r\n"])
        with contextlib.suppress(BadProxyHeader):
            source = read_proxy_header(data)
            if source is not None:
                taken += 1
                assert 0 < source.size <= len(data)
                if source.address:
                    ipaddress.ip_address(source.address)
    assert taken > 1000
