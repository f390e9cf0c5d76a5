"""
Translate the names of request fields into the keys that a WSGI environ uses (RFC 3875 4.1.18).

Knows which names are never passed on. Does not know values, order or limits.
"""

from __future__ import annotations

from pastepool.http1.caches import make_cache

DROPPED = ""
"""What ``environ_key`` returns for a field that the application must never see."""

_CACHE_LIMIT = 2048
"""
How many names the cache may hold. It is bounded because clients choose the names; real traffic uses a few dozen
spellings.
"""

_LONGEST_CACHED = 64
"""Longer names are not cached. A name may be as long as a whole head, and such names must not stay in memory."""

_UNPREFIXED = frozenset({"CONTENT_TYPE", "CONTENT_LENGTH"})

KEYS = make_cache()
"""
The environ key of each name seen so far. A name is spelled as the client spells it. For speed the engine reads this
cache itself.
"""


def environ_key(name: bytes) -> str:
    """
    Return the environ key under which a field is stored, or ``DROPPED``.

    A name with an underscore is dropped, because it would get the same key as the name with a hyphen (spoofing).
    ``Proxy`` is dropped, because it would become ``HTTP_PROXY``, which HTTP clients inside the application obey
    (CVE-2016-5385, "httpoxy").

    Runs on: any thread; each operation of the cache is atomic.
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
    """Join the values of two lines with the same field (RFC 9110 5.3; for cookies RFC 6265 5.4)."""
    return f"{first}; {second}" if key == "HTTP_COOKIE" else f"{first}, {second}"
