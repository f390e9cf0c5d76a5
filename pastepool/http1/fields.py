"""
Request field names: one spelling each, the one a WSGI environ uses (RFC 3875 4.1.18).

Knows which names are never passed on. Does not know values, order or limits.
"""

from __future__ import annotations

DROPPED = ""
"""What ``environ_key`` answers for a field the application must never see."""

_CACHE_LIMIT = 2048
"""
Clients choose the names, so the cache is bounded. Nothing derives the number: real traffic uses a few dozen spellings.
"""

_LONGEST_CACHED = 64
"""A name may be as long as a whole head; such names must not stay in memory."""

_UNPREFIXED = frozenset({"CONTENT_TYPE", "CONTENT_LENGTH"})

KEYS: dict[bytes, str] = {}
"""Names seen so far, as spelled by clients, with their environ key. Read directly where every request passes."""


def environ_key(name: bytes) -> str:
    """
    Say under which environ key a field is stored, or ``DROPPED``.

    A name with an underscore would be indistinguishable from one with a hyphen (spoofing), and ``Proxy`` would become
    ``HTTP_PROXY``, which HTTP clients inside the application obey (CVE-2016-5385, "httpoxy").

    Runs on: any thread; the cache is one dict whose operations are atomic.
    """
    text = name.decode("latin-1").upper()
    if "_" in text or text == "PROXY":
        key = DROPPED
    else:
        key = text.replace("-", "_")
        if key not in _UNPREFIXED:
            key = "HTTP_" + key
    if len(KEYS) < _CACHE_LIMIT and len(name) <= _LONGEST_CACHED:
        KEYS[name] = key
    return key


def joined(key: str, first: str, second: str) -> str:
    """Combine two lines of one field (RFC 9110 5.3; cookies are the exception, RFC 6265 5.4)."""
    return f"{first}; {second}" if key == "HTTP_COOKIE" else f"{first}, {second}"
