"""Read and compare addresses of IP. Pure."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def ip_address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """Read an address, with or without a zone (``%eth0``). None for other text. ``::ffff:127.0.0.1`` is 127.0.0.1."""
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    mapped = getattr(address, "ipv4_mapped", None)
    return mapped or address


_MAPPED = "::ffff:"


def client_address(host: str) -> str:
    """
    Spell the address of a client as the application, the log and the page show it.

    The kernel gives the client of an IPv6 socket that takes IPv4 too as ``::ffff:127.0.0.1``. That is ``127.0.0.1``.
    """
    return host[len(_MAPPED) :] if host.startswith(_MAPPED) and "." in host else host


def named(peer: str) -> str:
    """Name the other end of a connection in a line of the log. A client on a unix socket has no address."""
    return peer or "a unix socket"


def same_address(text: str) -> str:
    """Spell an address in one way: an IPv4 address at a socket of IPv6 is an IPv4 address. Empty for other text."""
    address = ip_address(text)
    return "" if address is None else str(address)


def is_within(text: str, networks: Sequence[Network]) -> bool:
    """Say whether an address lies in one of the networks. False for a text that is no address."""
    address = ip_address(text)
    return address is not None and any(address in network for network in networks if network.version == address.version)
