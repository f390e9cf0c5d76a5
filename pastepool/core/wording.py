"""
Spell durations, counts, addresses and texts from outside in one way, so that log, mail and page never differ.

Knows no record, no notice and no request.
"""

from __future__ import annotations

from pastepool.types import Seconds

LINE_LIMIT = 200
"""How many characters of a text from outside are shown on one line of a log."""


def spoken(duration: Seconds) -> str:
    """
    Spell a duration: with tenths of a second below ten seconds, in whole seconds from ten on.

    Units: seconds in, text with its unit out (``4.2 s``, ``1800 s``).
    """
    return f"{duration:.1f} s" if duration < 10 else f"{duration:.0f} s"


def counted(number: int, noun: str) -> str:
    """Spell a count with its noun (``1 worker``, ``3 workers``)."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def bracketed(host: str) -> str:
    """Put an IPv6 address in brackets, as in a URL (RFC 3986 3.2.2). A name or an IPv4 address stays as it is."""
    return f"[{host}]" if ":" in host and not host.startswith("[") else host


def host_and_port(host: str, port: int) -> str:
    """Join a host and a port as a URL does: an IPv6 address stands in brackets (``[::1]:8080``)."""
    return f"{bracketed(host)}:{port}"


def printable(text: str, limit: int = LINE_LIMIT) -> str:
    """
    Make a text from outside safe to show on one line: escape characters that do not print, and cut a long text.

    A line break could forge a second log line or a mail header, and a direction mark could reverse the order in which
    a line is shown. Both count as characters that do not print. Returns at most ``limit`` characters; a text that was
    cut ends in ``...``.

    Args:
        text: any text, even with a lone surrogate in it.
        limit: at least 3.
    """
    head = text[: limit + 1]
    shown = head if head.isprintable() else "".join(char if char.isprintable() else _escaped(char) for char in head)
    return shown if len(shown) <= limit else shown[: limit - 3] + "..."


def _escaped(char: str) -> str:
    return char.encode("unicode_escape").decode("ascii")
