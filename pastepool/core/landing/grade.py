"""Say how good a place is for raising an exception in an application. Pure; any thread."""

from __future__ import annotations

import enum


class Grade(enum.IntEnum):
    """
    How good a place is. A larger number is worse.

    ``SAFE``: nothing is left behind. ``LIBRARY``: so it is, as far as the code shows; but it is the code of a library,
    which may keep a state of its own. ``CLEANUP``: something is being given back, in a ``finally`` or an ``__exit__``.
    ``AVOID``: a lock or a resource was just taken and would stay taken, or the exception may be lost. ``NEVER``: our own
    bookkeeping or a lock of everybody would suffer, or the place is outside of the application.
    """

    SAFE = 0
    LIBRARY = 1
    CLEANUP = 2
    AVOID = 3
    NEVER = 4
