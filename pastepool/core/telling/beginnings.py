"""
Cut texts of clients to what will be shown, before anything is looked for in them.

A client may send 60,000 characters of which 300 are shown. To mask all of them took 70 ms. A cut must not make a secret
look harmless: the beginning of a token may look like a word, and a password may lose the ``@`` that shows what it is.
So a part that is cut too short to be judged is left out.
"""

from __future__ import annotations

_JUDGED = 64
"""How many characters of a part are enough to judge it. Tokens are recognised by their first 24."""

_CUT = "..."


def beginning(text: str, limit: int) -> str:
    """
    Return as much of a path or a query as is needed to mask it and to show ``limit`` characters of it.

    Returns: at most ``limit`` characters and some more. A part that was cut too short ends in ``...``.
    """
    if len(text) <= limit + _JUDGED:
        return text
    seen = text[: limit + _JUDGED]
    part_at = max(seen.rfind("/"), seen.rfind("&"), seen.rfind(";"), seen.rfind("="), seen.rfind("?")) + 1
    return seen if len(seen) - part_at >= _JUDGED else seen[:part_at] + _CUT


def beginning_of_url(url: str, limit: int) -> str:
    """
    Return as much of a URL as is needed to mask it and to show ``limit`` characters of it.

    If the cut is inside of what may be a user and a password, all of that is left out.
    """
    seen = beginning(url, limit)
    if seen is url:
        return url
    before, slashes, authority = seen.rpartition("//")
    complete = not slashes or any(mark in authority for mark in "/?#@")
    return seen if complete else before + slashes + _CUT
