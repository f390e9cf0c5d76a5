"""
Read the PROXY protocol: a header that a load balancer sends before the first byte of the client, versions 1 and 2.

Sans-I/O: bytes in, a result or an error out. The header is mandatory where it is switched on, because a client could send
one itself where it is optional. Source: "The PROXY protocol", version 3.2 of HAProxy's doc/proxy-protocol.txt.
"""

from __future__ import annotations

import ipaddress
import re
import struct
from typing import NamedTuple

_SIGNATURE = b"\r\n\r\n\x00\r\nQUIT\n"
_FIRST = b"PROXY "
_LONGEST_LINE = 107
_LONGEST_BLOCK = 4096
"""The most bytes after the fixed part of version 2. The length field would allow 65,535, and real headers have some 100."""

_FIXED = struct.Struct("!12sBBH")
_LINE = re.compile(rb"PROXY (TCP4|TCP6) (\S+) (\S+) ([0-9]{1,5}) ([0-9]{1,5})\r\n")
_UNKNOWN = re.compile(rb"PROXY UNKNOWN(?: [^\r\n]*)?\r\n")
_VERSIONS = {b"TCP4": 4, b"TCP6": 6}

_LOCAL, _PROXY = 0x20, 0x21
_ADDRESSES = {0x11: struct.Struct("!4s4sHH"), 0x21: struct.Struct("!16s16sHH")}
"""The address block of version 2 by family and protocol: TCP over IPv4 and over IPv6."""

_TYPE_CRC32C, _TYPE_SSL = 0x03, 0x20
_CLIENT_SSL = 0x01
_SHORTEST_SSL = 5
"""The value about TLS begins with a byte of flags and four bytes about the client's certificate."""


class BadProxyHeader(ValueError):
    """The peer sent no header, or a garbled one. Catcher: close the connection without an answer."""


class ProxySource(NamedTuple):
    """
    What the header says of the client. ``address``: empty if the header keeps the real peer (LOCAL, UNKNOWN and other
    families). ``over_tls``: the client spoke TLS with the balancer. ``size``: how many bytes the header has.
    """

    address: str
    port: int
    over_tls: bool
    size: int


def read_proxy_header(data: bytes) -> ProxySource | None:
    """
    Read the header at the beginning of what has come so far.

    Returns: what it says; None if more bytes are needed. Raises: BadProxyHeader.
    """
    if data.startswith(_SIGNATURE[: len(data)]):
        return _read_block(data)
    if data.startswith(_FIRST[: len(data)]):
        return _read_line(data)
    raise BadProxyHeader("it begins with something else")


def _read_line(data: bytes) -> ProxySource | None:
    """Read version 1: a line of text."""
    end = data.find(b"\r\n", 0, _LONGEST_LINE)
    if end < 0:
        if len(data) >= _LONGEST_LINE:
            raise BadProxyHeader(f"its line is longer than {_LONGEST_LINE} bytes")
        return None
    line = data[: end + 2]
    if _UNKNOWN.fullmatch(line):
        return ProxySource("", 0, False, len(line))
    found = _LINE.fullmatch(line)
    if found is None:
        raise BadProxyHeader("its line has another form")
    kind, source, target, port, target_port = found.groups()
    addresses = [_address(text, _VERSIONS[kind]) for text in (source, target)]
    if int(port) > 65535 or int(target_port) > 65535:
        raise BadProxyHeader("a port is above 65535")
    return ProxySource(addresses[0], int(port), False, len(line))


def _address(text: bytes, version: int) -> str:
    try:
        address = ipaddress.ip_address(text.decode("ascii"))
    except ValueError:
        raise BadProxyHeader("an address is malformed") from None
    if address.version != version:
        raise BadProxyHeader("an address is of another family")
    return _spelt(address)


def _spelt(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> str:
    """
    Spell an address as it is spelt for the other end of a connection.

    A balancer that takes IPv4 at a socket of IPv6 names such a client ``::ffff:192.0.2.1``. That is ``192.0.2.1``.
    """
    return str(getattr(address, "ipv4_mapped", None) or address)


def _read_block(data: bytes) -> ProxySource | None:
    """Read version 2: a binary block."""
    if len(data) < _FIXED.size:
        return None
    _, command, family, length = _FIXED.unpack_from(data)
    if command not in (_LOCAL, _PROXY):
        raise BadProxyHeader("its version or command is unknown")
    if length > _LONGEST_BLOCK:
        raise BadProxyHeader(f"it is longer than {_LONGEST_BLOCK} bytes")
    size = _FIXED.size + length
    if len(data) < size:
        return None
    addresses = _ADDRESSES.get(family)
    begin = _FIXED.size + (addresses.size if addresses else 216 if family >> 4 == 3 else 0)
    if command == _LOCAL:
        return ProxySource("", 0, False, size)
    if begin > size:
        raise BadProxyHeader("its addresses are cut off")
    over_tls = _read_extras(data[:size], begin)
    if addresses is None:
        return ProxySource("", 0, over_tls, size)
    source, _, port, _ = addresses.unpack_from(data, _FIXED.size)
    return ProxySource(_spelt(ipaddress.ip_address(source)), port, over_tls, size)


def _read_extras(header: bytes, at: int) -> bool:
    """Walk over the extra values (TLV) that begin at ``at``. Returns whether the client spoke TLS."""
    over_tls = False
    while at < len(header):
        if at + 3 > len(header):
            raise BadProxyHeader("an extra value is cut off")
        kind, length = header[at], int.from_bytes(header[at + 1 : at + 3], "big")
        value = header[at + 3 : at + 3 + length]
        if len(value) < length:
            raise BadProxyHeader("an extra value is cut off")
        if kind == _TYPE_SSL:
            if length < _SHORTEST_SSL:
                raise BadProxyHeader("what it says of TLS is cut off")
            over_tls = bool(value[0] & _CLIENT_SSL)
        if kind == _TYPE_CRC32C:
            _check_sum(header, at + 3, value)
        at += 3 + length
    return over_tls


def _check_sum(header: bytes, at: int, value: bytes) -> None:
    """Compare the checksum at ``at``. It is computed over the whole header with zeros in place of the checksum."""
    if len(value) != 4 or _crc32c(header[:at] + b"\0\0\0\0" + header[at + 4 :]) != int.from_bytes(value, "big"):
        raise BadProxyHeader("its checksum is wrong")


def _crc32c(data: bytes) -> int:
    """Return the checksum of Castagnoli (RFC 3720, appendix B.4). A header is short, so no table is kept."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF
