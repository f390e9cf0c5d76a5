"""
Grade every instruction of one function: may an exception be raised there without leaving something behind?

Pure; any thread.

What is protected by a ``finally`` or a ``with`` is safe. The dangerous instructions are those around it:

1. the call of ``__enter__``, which may have taken what ``__exit__`` would give back;
2. the call of ``__exit__``, from the end of the protected block on; and the handler up to that call;
3. a ``finally``, and an ``except`` that gives something back: in the handler and in the copies that the compiler makes
   of a ``finally`` for the ways out without an exception. A copy has the same position in the source;
4. what stands between the last call before such a ``try`` and the ``try``: that call may have taken something;
5. what stands between ``acquire`` and ``release`` without a ``try``;
6. what stands between the end of a ``try`` whose ``except`` gives something back, and the end of the next call: on that
   way the next call gives it back, or commits;
7. what stands between the last call or assignment of a function and its return: the caller has no result yet.

In 3 something is being given back, which may take long, and may never end. All the others are passed within a few
instructions: there something was just taken, or was just given back.

An ``async with`` does not occur in a call that a worker runs.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from types import CodeType
from typing import NamedTuple

from pastepool.core.landing.cover import Cover, cover_of
from pastepool.core.landing.grade import Grade
from pastepool.core.landing.handlers import CHANGES, Handler, body_of, kind_of
from pastepool.core.landing.listing import ENDS, RETURNS, Instruction, listing, places_of, successors

_MOVES = frozenset({"NOP", "POP_TOP", "SWAP", "COPY", "POP_BLOCK", "DUP_TOP", "NOT_TAKEN"})
"""Instructions that only move values of the interpreter's stack, or the place of execution."""

_ENTERS = frozenset({"BEFORE_WITH", "BEFORE_ASYNC_WITH", "SETUP_WITH", "SETUP_ASYNC_WITH"})

_TAKES = re.compile(r"_?acquire(?:[_A-Z]|$)")
_GIVES = re.compile(r"_?release(?:[_A-Z]|$)")
"""Names of functions that take a lock, and of those that give it back."""

_Indices = set[int]


class Chart(NamedTuple):
    """
    The grades of the instructions of one function: SAFE, CLEANUP or AVOID.

    Each table has one byte for two bytes of code, and a last one that stands for no place: a function that has not begun
    yet is at offset -1. ``before``: an exception is raised before this instruction. ``inside``: it comes out of a function
    written in Python that the instruction calls. ``entered``: so it does, and that function has not taken anything yet,
    also if it is an ``__enter__``. ``returning``: it is raised in the instant at which a call written in C returns.
    ``calls`` has no grades: it is 1 where the instruction calls a function.
    """

    before: bytes
    inside: bytes
    entered: bytes
    returning: bytes
    calls: bytes


def chart_of(code: CodeType) -> Chart:
    """Return the chart of a function. It takes about a millisecond to make."""
    steps = listing(code)
    return chart(steps, cover_of(code, steps))


def chart(steps: Sequence[Instruction], cover: Cover) -> Chart:
    """Return the chart of instructions, if it is known which handlers are in force at each of them."""
    handlers = {handler for covering in cover for handler in covering}
    bodies = {handler: body_of(steps, handler) for handler in handlers}
    kinds = {handler: kind_of(steps, body) for handler, body in bodies.items()}
    leaving = set(_exits(steps, cover))
    ending: _Indices = set()
    for handler, body in bodies.items():
        if kinds[handler] is Handler.EXIT:
            leaving.update(_up_to_the_exit(steps, body))
        elif kinds[handler] is not Handler.OTHER:
            ending.update(body)
    finals = [bodies[handler] for handler, kind in kinds.items() if kind is Handler.FINALLY]
    ending.update(_copies(steps, cover, finals))
    cared = {handler for handler, kind in kinds.items() if kind in (Handler.FINALLY, Handler.UNDOES)}
    arriving, last_calls = _before_blocks(steps, cover, cared)
    holding, acquiring = _unprotected(steps, cover)
    entering = set(_entering(steps))
    leaving.update(_after_blocks(steps, cover, bodies, kinds))
    # A function that gives something back and has begun is clean-up, wherever it is called.
    return Chart(
        before=_table(steps, ending, leaving | arriving | holding | set(_before_returns(steps))),
        inside=_table(steps, ending | leaving, entering | holding),
        entered=_table(steps, ending | leaving, holding),
        returning=_table(steps, ending, leaving | entering | last_calls | holding | acquiring),
        calls=_spread(steps, [step.calls for step in steps]),
    )


def _table(steps: Sequence[Instruction], cleanup: _Indices, avoid: _Indices) -> bytes:
    grades = (
        Grade.AVOID if index in avoid else Grade.CLEANUP if index in cleanup else Grade.SAFE
        for index in range(len(steps))
    )
    return _spread(steps, grades)


def _spread(steps: Sequence[Instruction], values: Iterable[int]) -> bytes:
    """Return a table from one value for each instruction."""
    table = bytearray()
    ends = [step.offset for step in steps[1:]] + [steps[-1].offset + 2]
    for end, value in zip(ends, values, strict=True):
        table += bytes([value]) * (end // 2 - len(table))
    return bytes(table) + b"\0"


def _entering(steps: Sequence[Instruction]) -> Iterator[int]:
    """The calls of ``__enter__``. From 3.14 on it is loaded like an attribute and called like a function."""
    for index, step in enumerate(steps):
        enters = step.calls and index > 0 and steps[index - 1].name == "LOAD_SPECIAL"
        if step.name in _ENTERS or enters:
            yield index


def _exits(steps: Sequence[Instruction], cover: Cover) -> Iterator[int]:
    """The calls ``__exit__(None, None, None)``, with what leads to them from the end of the block on."""
    for index, step in enumerate(steps):
        first = _first_of_exit(steps, index) if step.calls else None
        if first is not None:
            yield from range(first, index + 1)
            yield from _leading_to(steps, cover, first)


def _first_of_exit(steps: Sequence[Instruction], call: int) -> int | None:
    """Return where the three arguments of a call of ``__exit__`` begin; None if the call is another one."""
    last = call - 1
    if last >= 0 and steps[last].name == "PRECALL":
        last -= 1
    first = last - 2
    if first < 0 or not steps[first].loads_none:
        return None
    rest = steps[first + 1 : last + 1]
    same = all(step.loads_none for step in rest) or all(step.name == "DUP_TOP" for step in rest)
    return first if same else None


def _leading_to(steps: Sequence[Instruction], cover: Cover, index: int) -> Iterator[int]:
    """What stands directly before an instruction, outside of the block that has ended: it only moves values."""
    known = set(cover[index])
    before = index - 1
    while before >= 0 and set(cover[before]) <= known and _only_moves(steps[before]):
        yield before
        before -= 1


def _only_moves(step: Instruction) -> bool:
    return step.name in _MOVES or step.name.startswith(("ROT_", "STORE_FAST", "LOAD_FAST", "JUMP_", "POP_JUMP_"))


def _up_to_the_exit(steps: Sequence[Instruction], body: frozenset[int]) -> Iterator[int]:
    """Of the handler of a ``with``: what comes up to the call of ``__exit__``."""
    call = next(index for index in sorted(body) if steps[index].name == "WITH_EXCEPT_START")
    yield from (index for index in body if index <= call)


def _copies(steps: Sequence[Instruction], cover: Cover, finals: Iterable[frozenset[int]]) -> Iterator[int]:
    """The copies of each ``finally``, and what leads to them from the end of their block on."""
    for body in finals:
        positions = {steps[index].position for index in body if _tells_its_place(steps[index])}
        for index, step in enumerate(steps):
            if step.position in positions and index not in body:
                yield index
                yield from _leading_to(steps, cover, index)


def _tells_its_place(step: Instruction) -> bool:
    """``PUSH_EXC_INFO``, ``RERAISE`` and the like have the position of something else, or none."""
    return step.position[:1] not in ((), (None,)) and step.name not in (
        "PUSH_EXC_INFO",
        "RERAISE",
        "COPY",
        "POP_EXCEPT",
    )


def _before_blocks(steps: Sequence[Instruction], cover: Cover, cared: set[int]) -> tuple[set[int], set[int]]:
    """
    Return what stands before each block of a ``finally`` or of an ``except`` that gives something back.

    Returns:
        the instructions between the last call and the block; those last calls.
    """
    between: set[int] = set()
    calls: set[int] = set()
    for index in range(1, len(steps)):
        if not (set(cover[index]) - set(cover[index - 1])) & cared:
            continue
        before = index - 1
        while before >= 0 and not steps[before].calls and steps[before].name not in ENDS:
            between.add(before)
            before -= 1
        if before >= 0 and steps[before].calls:
            calls.add(before)
            if steps[before - 1].name == "PRECALL":
                calls.add(before - 1)
    return between, calls


def _after_blocks(
    steps: Sequence[Instruction], cover: Cover, bodies: dict[int, frozenset[int]], kinds: dict[int, Handler]
) -> Iterator[int]:
    """
    What can follow an instruction of a block, is outside of it, and comes before what gives something back.

    That is a jump back to the block, for which some CPythons have no row in the table, and the moving of values. After a
    ``try`` whose ``except`` gives something back, it is everything up to the end of the next call.
    """
    places = places_of(steps)
    for handler, body in bodies.items():
        until_a_call = kinds[handler] is Handler.UNDOES
        if kinds[handler] is Handler.OTHER:
            continue
        inside = [index for index in range(len(steps)) if handler in cover[index]]
        waiting = [after for index in inside for after in successors(steps, places, index)]
        seen = set(body) | set(inside)
        while waiting:
            index = waiting.pop()
            if index in seen or not (until_a_call or _only_moves(steps[index])):
                continue
            seen.add(index)
            yield index
            if not steps[index].calls or steps[index].name == "PRECALL":
                waiting += successors(steps, places, index)


def _before_returns(steps: Sequence[Instruction]) -> Iterator[int]:
    """What stands between the last call or assignment of a function and its return."""
    for index, step in enumerate(steps):
        if step.name in RETURNS:
            yield index
            before = index - 1
            while before >= 0 and not steps[before].calls and steps[before].name not in CHANGES | ENDS:
                yield before
                before -= 1


def _unprotected(steps: Sequence[Instruction], cover: Cover) -> tuple[set[int], set[int]]:
    """
    Return what stands between an ``acquire`` and the next block or ``release``, in the order of the code.

    Returns:
        these instructions; the calls of ``acquire``.
    """
    holding: set[int] = set()
    calls: set[int] = set()
    state = ""
    known: set[int] = set()
    for index, step in enumerate(steps):
        if _TAKES.match(step.word):
            state, known = "about to take", set(cover[index])
        elif _GIVES.match(step.word) and state == "takes":
            state = "about to give"
        if state in ("takes", "about to give"):
            if set(cover[index]) - known:
                state = ""
                continue
            holding.add(index)
        if step.calls and state == "about to take":
            calls.add(index)
            state = "about to take" if step.name == "PRECALL" else "takes"
        elif step.calls and state == "about to give" and step.name != "PRECALL":
            state = ""
    return holding, calls
