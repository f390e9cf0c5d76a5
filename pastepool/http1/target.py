"""
Split a request target (RFC 9112 3.2) into path, query and host.

Path and query stay bytes; the package ``wsgi`` decodes them.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from pastepool.errors import PeerError

_ABSOLUTE = re.compile(rb"https?://([^/?#]*)([^?#]*)(?:\?(.*))?", re.IGNORECASE | re.DOTALL)

_HOST = re.compile(r"(?:\[[0-9A-Fa-f:.]+(?:%25[\w.~-]+)?\]|[\w.~!$&'()*+,;=%-]*)(?::\d*)?", re.ASCII)
"""``uri-host [":" port]`` (RFC 9110 7.2, RFC 3986 3.2.2). It may be empty, for a target without an authority."""


class Target(NamedTuple):
    """The parts of a request target. ``authority``: None unless the target itself names the host (absolute form)."""

    path: bytes
    query: bytes
    authority: str | None


def split_target(method: str, target: bytes) -> Target:
    """
    Split a request target into its parts.

    Raises: PeerError 400 for a form that the method does not allow, and for a fragment, which a client must never send.
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
