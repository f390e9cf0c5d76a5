"""
Take several steps while no other thread can run: the look at a thread, and what is done to it because of the look.

A thread that runs Python may have to let go of the GIL between any two instructions. The other thread would go on then,
and be somewhere else when something is done to it. So all the steps are one call, and everything in it is written in C:
nothing in it lets go of the GIL. What is lazy here must be: each step is taken only when the one before it has answered
yes. Nor does the collector begin in between; it would run callbacks, which are Python.

Functions of the C library belong to such a step only if ``ctypes.PyDLL`` calls them, which keeps the GIL.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import chain, takewhile
from operator import eq

from pastepool.runtime.inspection.collector import CollectorKeptOut


def in_one_step(*steps: Iterable[object]) -> int:
    """
    Take steps one after the other, up to the first one that answers no. Returns how many have answered yes.

    ``steps``: lazy iterables of the answers, such as ``map`` with a function written in C. Raises: what a step raises.
    """
    with CollectorKeptOut():
        return len(list(takewhile(bool, chain.from_iterable(steps))))


def equal(function: Callable[..., object], *arguments: Iterable[object], to: object) -> Iterator[object]:
    """Return a step that calls a function written in C, and answers whether the result is equal to ``to``."""
    return map(eq, map(function, *arguments), (to,))
