"""
The request target in its four forms (RFC 9112 3.2): what path and query it names, and on which host.

Knows bytes only; decoding for WSGI happens a floor above.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from pastepool.errors import PeerError

_ABSOLUTE = re.compile(rb"https?://([^/?#]*)([^?#]*)(?:\?(.*))?", re.IGNORECASE | re.DOTALL)

_HOST = re.compile(r"(?:\[[0-9A-Fa-f:.]+(?:%25[\w.~-]+)?\]|[\w.~!$&'()*+,;=%-]*)(?::\d*)?", re.ASCII)
"""``uri-host [":" port]`` (RFC 9110 7.2, RFC 3986 3.2.2). Empty is legal: the target has no authority."""


class Target(NamedTuple):
    """``authority`` is None unless the target itself names the host (absolute form)."""

    path: bytes
    query: bytes
    authority: str | None


def split_target(method: str, target: bytes) -> Target:
    """
    Take a request target apart.

    Raises: PeerError 400 for a form its method does not allow, or a fragment, which never belongs on the wire.
    """
    if b"#" in target:
        raise PeerError(400, "The request target contains a fragment (#).")
    if target.startswith(b"/"):
        path, _, query = target.partition(b"?")
        return Target(path, query, None)
    if target == b"*" and method == "OPTIONS":
        return Target(b"*", b"", None)
    match = _ABSOLUTE.fullmatch(target)
    if match is None:
        raise PeerError(400, "The request target is neither a path nor an absolute http URL.")
    authority, path, query = match.groups()
    host = authority.decode("latin-1")
    if not host or host.startswith(":") or not is_host(host):
        raise PeerError(400, "The request target names no valid host.")
    return Target(path or b"/", query or b"", host)


def is_host(value: str) -> bool:
    """Say whether a Host field or an authority is well formed."""
    return _HOST.fullmatch(value) is not None
