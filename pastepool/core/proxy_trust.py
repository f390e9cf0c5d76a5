"""Define what it means to trust a proxy: which one, with which fields, and what becomes of the others."""

from __future__ import annotations

from dataclasses import dataclass, field

from pastepool.core.addresses import Network, is_within

FORWARDED = "forwarded"
FOR, HOST, PROTO, PORT, BY = (f"x-forwarded-{word}" for word in ("for", "host", "proto", "port", "by"))
PREFIX = "x-forwarded-prefix"
X_FORWARDED = "x-forwarded"

KNOWN = (FORWARDED, FOR, HOST, PROTO, PORT, BY)
"""The fields that waitress knows, and that ``trusted_proxy_headers`` may name in a section written for it."""

KEYS = {name: "HTTP_" + name.upper().replace("-", "_") for name in (*KNOWN, PREFIX)}
"""The environ key of each field."""

ANYBODY = "*"

USUAL_PORTS = {"http": "80", "https": "443"}
"""The port that a client means if it names none, for each scheme that a proxy may name."""

UNIX_PEER = "localhost"
"""What waitress calls every client on a unix socket, which has no address: as ``trusted_proxy``, and in its log."""


@dataclass(frozen=True)
class ProxyTrust:
    """
    Which proxy is believed, and what.

    ``proxy``: the address of the connection's other end, ``*`` for every one, empty for none. ``count``: how many proxies
    stand one behind the other; the last ``count`` entries of a list are believed. ``headers``: the fields that are
    believed, from ``KNOWN``. ``clear``: remove the other fields. ``log_cleared``: say in the log what was removed.
    """

    proxy: str = ""
    count: int = 1
    headers: frozenset[str] = frozenset()
    clear: bool = False
    log_cleared: bool = False


_REMEMBERED = 1024
"""Of how many addresses it is remembered whether they are trusted. To find it out takes microseconds for each network."""

UNIX = "unix"
"""The word for the clients on a unix socket, among the networks of ``trusted_proxies``."""


@dataclass(frozen=True)
class TrustedProxies:
    """
    The proxies that are believed, and what they are believed. False if there are none.

    ``peers``: the networks of their addresses, and the word ``UNIX`` if clients on a unix socket are proxies too.
    ``fields``: ``X_FORWARDED`` or ``FORWARDED``; with ``PREFIX``, ``X-Forwarded-Prefix`` counts for every path, not only
    for paths below it. ``networks``: the networks of ``peers``.
    """

    peers: tuple[Network | str, ...] = ()
    fields: tuple[str, ...] = (X_FORWARDED,)
    networks: tuple[Network, ...] = field(init=False)
    _found: dict[str, bool] = field(init=False, compare=False, repr=False, default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "networks", tuple(one for one in self.peers if not isinstance(one, str)))

    def __bool__(self) -> bool:
        return bool(self.peers)

    def is_peer(self, address: str) -> bool:
        """Say whether the other end of a connection is a trusted proxy. ``address``: empty for a unix socket."""
        return self.is_proxy(address) if address else UNIX in self.peers

    def is_proxy(self, address: str) -> bool:
        """Say whether an address is that of a trusted proxy."""
        found = self._found.get(address)
        if found is None:
            if len(self._found) >= _REMEMBERED:
                self._found.clear()
            found = self._found[address] = is_within(address, self.networks)
        return found
