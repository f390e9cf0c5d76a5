"""Compare the output on a page of the manual with the real output of a command."""

from __future__ import annotations

import re

ANY_LINES = "..."
"""A line of the page that stands for any number of lines."""

VARIABLE = (
    (r"\b(PID|pid) \d+", r"\1 N"),
    (r"\bPython 3\.\d+\.\d+\w*", "Python 3"),
    (r"\bworker \d+", "worker N"),
    (r"127\.0\.0\.1:\d{5}\b", "127.0.0.1:PORT"),
    (r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", "TIME"),
    (r"\b(has run|hung) for \d+(\.\d)? s", r"\1 for N s"),
)
"""
The parts of an output that differ from run to run: a pattern, and what takes its place before two lines are compared.
The page shows them as they were once.
"""

NOISE = re.compile(r"^(\[notice\] .*|WARNING: Running pip as the 'root' user .*)?$")
"""Lines that pip adds on some machines, and blank lines. They are not compared."""


def constant(line: str) -> str:
    """Return a line without its variable parts."""
    for pattern, mark in VARIABLE:
        line = re.sub(pattern, mark, line)
    return line.rstrip()


def lines_of(output: str) -> list[str]:
    """Return the lines of a real output that are to be compared, without their variable parts."""
    return [constant(line) for line in output.splitlines() if not NOISE.match(line)]


def find(shown: list[str], said: list[str], start: int = 0) -> int | None:
    """
    Find the shown lines in the said ones, at ``start`` or after it.

    Returns the number of the line after the last one that was found; None if the lines are not there.
    """
    return next((end for at in range(start, len(said) + 1) if (end := follows(shown, said, at)) is not None), None)


def follows(shown: list[str], said: list[str], at: int) -> int | None:
    """Return the number of the line after the shown lines, if exactly they stand from line ``at`` on; otherwise None."""
    for number, line in enumerate(shown):
        if line == ANY_LINES:
            return find(shown[number + 1 :], said, at)
        if at == len(said) or constant(line) != said[at]:
            return None
        at += 1
    return at


def is_whole(shown: list[str], said: list[str]) -> bool:
    """Return whether the shown lines are all that was said."""
    end = follows(shown, said, 0)
    return end == len(said) or (end is not None and shown[-1:] == [ANY_LINES])
