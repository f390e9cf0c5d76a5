"""
Holes in ``try``: places where an exception from outside passes a handler by, and that none of ours is open to kills.

On some CPythons the jump at the end of a loop lies outside of the ``try`` the loop stands in, as the table of handlers
has it: of 3.13 the jump itself, of 3.11 and 3.12 what comes just before its target. Only where the window is open does
it matter, and only code that opens it runs with it open.
"""

from __future__ import annotations

import dis
import sys
from collections.abc import Callable
from types import CodeType
from typing import Any

import pytest

from pastepool.runtime.http.exchange import Exchange
from pastepool.runtime.http.transmitting import TransmittingCall
from pastepool.runtime.pool.background import BackgroundTask
from pastepool.wsgi.call import Call

pytestmark = pytest.mark.skipif(sys.version_info < (3, 11), reason="handlers are found without a table before 3.11")

Handler = int | None


def handler_at(code: CodeType, offset: int) -> Handler:
    """Where an exception goes that is raised at an offset; None for out of the function."""
    entries: list[Any] = dis.Bytecode(code).exception_entries
    found = [entry.target for entry in entries if entry.start <= offset < entry.end]
    return found[-1] if found else None


def holes(function: Callable[..., Any]) -> list[str]:
    """Every jump back at which an exception would go elsewhere than from the rest of its loop."""
    code = function.__code__
    found = []
    for instruction in dis.get_instructions(code):
        if instruction.opname.startswith("JUMP_BACKWARD"):
            target = instruction.argval
            inside = handler_at(code, target)
            if {handler_at(code, instruction.offset), handler_at(code, target - 2)} != {inside}:
                found.append(f"{function.__qualname__}, offset {instruction.offset}")
    return found


OPENING = [
    function
    for owner in (Call, TransmittingCall, Exchange, BackgroundTask)
    for function in vars(owner).values()
    if callable(function) and {"open", "open_for_close"} & set(getattr(function, "__code__", holes.__code__).co_names)
]


def test_all_that_open_the_window_are_looked_at() -> None:
    """The call itself, each piece, ``close``, ``write``, and work that is no request."""
    names = {function.__qualname__ for function in OPENING}
    of_calls = {"Call.run", "Call.write", "Call._stream", "Call._send_small_file", "Call._close"}
    assert names == of_calls | {"BackgroundTask.run"}


@pytest.mark.parametrize("function", OPENING, ids=lambda function: function.__qualname__)
def test_nothing_that_opens_the_window_has_a_hole(function: Callable[..., Any]) -> None:
    """At every jump back a kill goes to the handler the source names: ``close`` is called, the window is shut."""
    assert holes(function) == []


HOLES = """
def for_ever():
    try:
        while True: pass
    finally: print()

def while_it_holds(number):
    try:
        while number < 10:
            number += 1
    finally: print()

def for_each(numbers):
    try:
        for number in numbers: pass
    finally: print()
"""
"""The first has a hole on 3.11 and 3.12 (40 of 40 kills went through it on each), the second on 3.13, the third nowhere."""


@pytest.mark.skipif(sys.version_info >= (3, 14), reason="nobody has looked for holes there")
def test_holes_are_found_where_they_are_known_to_be() -> None:
    """The look itself: a ``while`` in a ``try`` has one, as one or the other CPython compiles it; a ``for`` has none."""
    made: dict[str, Any] = {}
    exec(HOLES, made)
    assert holes(made["for_ever"]) + holes(made["while_it_holds"])
    assert holes(made["for_each"]) == []
