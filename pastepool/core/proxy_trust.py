"""Define what it means to trust a proxy: which one, with which fields, and what becomes of the others."""

from __future__ import annotations

from dataclasses import dataclass

FORWARDED = "forwarded"
FOR, HOST, PROTO, PORT, BY = (f"x-forwarded-{word}" for word in ("for", "host", "proto", "port", "by"))
KNOWN = (FORWARDED, FOR, HOST, PROTO, PORT, BY)
"""The fields that a proxy may be trusted with, as an operator writes them."""

KEYS = {name: "HTTP_" + name.upper().replace("-", "_") for name in KNOWN}
"""The environ key of each field."""

ANYBODY = "*"


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
