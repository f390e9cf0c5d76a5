"""
Say which handlers are in force at each instruction: those of ``try`` and ``with``, innermost first. Pure; any thread.

Up to CPython 3.10 the instructions themselves begin and end a block. From 3.11 on each code object has a table.
Sources: CPython's ``Objects/exception_handling_notes.txt`` (3.11 and later) and ``Python/ceval.c`` (3.10).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from types import CodeType
from typing import NamedTuple

from pastepool.core.landing.listing import Instruction, places_of, successors

Cover = tuple[tuple[int, ...], ...]
"""For each instruction, in order: the offsets of the handlers in force, innermost first."""

_BEGIN_A_BLOCK = frozenset({"SETUP_FINALLY", "SETUP_WITH", "SETUP_ASYNC_WITH"})
_HANDLER = -1
"""Stands for the block that is open while a handler runs. It protects nothing."""


class Entry(NamedTuple):
    """A row of the exception table: ``handler`` is in force from ``start`` to before ``end``; all are offsets."""

    start: int
    end: int
    handler: int


def cover_of(code: CodeType, steps: Sequence[Instruction]) -> Cover:
    """Return what protects each instruction of a function."""
    table = getattr(code, "co_exceptiontable", None)
    return from_blocks(steps) if table is None else from_table(steps, tuple(read_table(table)))


def read_table(table: bytes) -> Iterator[Entry]:
    """
    Read an exception table: rows of start, length, handler, and depth with a flag.

    Each number is written in groups of six bits, most significant first. Bit 6 of a byte says that another group
    follows. The first three numbers count units of two bytes.
    """
    numbers: list[int] = []
    value = 0
    for byte in table:
        value = value << 6 | byte & 63
        if not byte & 64:
            numbers.append(value)
            value = 0
    for start, length, handler in zip(numbers[::4], numbers[1::4], numbers[2::4], strict=False):
        yield Entry(2 * start, 2 * (start + length), 2 * handler)


def from_table(steps: Sequence[Instruction], entries: Sequence[Entry]) -> Cover:
    """Return the cover that an exception table gives. A handler that raises is itself covered by the next one."""

    def handler_at(offset: int) -> int | None:
        for entry in entries:
            if entry.start <= offset < entry.end:
                return entry.handler
        return None

    def chain(offset: int) -> tuple[int, ...]:
        found: list[int] = []
        handler = handler_at(offset)
        while handler is not None and handler not in found:
            found.append(handler)
            handler = handler_at(handler)
        return tuple(found)

    return tuple(chain(step.offset) for step in steps)


def from_blocks(steps: Sequence[Instruction]) -> Cover:
    """Return the cover that the instructions of CPython 3.10 give: they keep a stack of blocks."""
    places = places_of(steps)
    blocks: dict[int, tuple[int, ...]] = {}
    waiting: list[tuple[int, tuple[int, ...]]] = [(0, ())]
    while waiting:
        index, stack = waiting.pop()
        if index in blocks:
            continue
        blocks[index] = stack
        step = steps[index]
        if step.name in _BEGIN_A_BLOCK and step.target is not None:
            waiting += [(places[step.target], (_HANDLER, *stack)), (index + 1, (step.target, *stack))]
            continue
        after = stack[1:] if step.name in ("POP_BLOCK", "POP_EXCEPT") else stack
        waiting += [(following, after) for following in successors(steps, places, index)]
    return tuple(
        tuple(handler for handler in blocks.get(index, ()) if handler != _HANDLER) for index in range(len(steps))
    )
