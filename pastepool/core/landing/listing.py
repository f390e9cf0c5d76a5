"""
List the instructions of a function in one form for every CPython from 3.10 on. Pure; any thread.

Source: the module ``dis``, whose documentation names the opcodes of each version.
"""

from __future__ import annotations

import dis
import opcode
from collections.abc import Iterable, Iterator, Sequence
from types import CodeType
from typing import NamedTuple

JUMPS = frozenset(opcode.opname[number] for number in (*opcode.hasjrel, *opcode.hasjabs))
"""Names of the instructions that have a target. Up to 3.10 these include the ones that begin a ``try`` or ``with``."""

_LOADS = ("LOAD_ATTR", "LOAD_METHOD", "LOAD_GLOBAL", "LOAD_NAME", "LOAD_DEREF", "LOAD_FAST")

Position = tuple[int | None, ...]
"""Where in the source an instruction comes from: its line; from 3.11 on also its last line and its columns."""


class Instruction(NamedTuple):
    """
    One instruction.

    ``offset``: in bytes, where the instruction begins. ``name``: of its opcode. ``argument``: as ``dis`` resolves it, so
    a name, a constant or a number. ``target``: the offset to which it may jump; None if it never jumps.
    """

    offset: int
    name: str
    argument: object = None
    target: int | None = None
    position: Position = ()

    @property
    def calls(self) -> bool:
        """
        Whether it calls a function that the source calls.

        On 3.11 the instruction ``PRECALL`` makes the calls of many functions written in C.
        """
        return self.name == "PRECALL" or (self.name.startswith("CALL") and not self.name.startswith("CALL_INTRINSIC"))

    @property
    def loads_none(self) -> bool:
        """Whether it puts the constant None on the stack."""
        return self.name in ("LOAD_CONST", "LOAD_COMMON_CONSTANT", "RETURN_CONST") and self.argument is None

    @property
    def word(self) -> str:
        """The name that it loads from an object or a scope, such as ``acquire``; empty for all others."""
        return self.argument if self.name.startswith(_LOADS) and isinstance(self.argument, str) else ""


def listing(code: CodeType) -> tuple[Instruction, ...]:
    """Return the instructions of a function in the order of their offsets, without ``EXTENDED_ARG``."""
    return tuple(_steps(dis.get_instructions(code)))


def _steps(instructions: Iterable[dis.Instruction]) -> Iterator[Instruction]:
    line: int | None = None
    begins: int | None = None
    for instruction in instructions:
        positions = getattr(instruction, "positions", None)
        if positions is None and isinstance(instruction.starts_line, int):
            line = instruction.starts_line
        if begins is None:
            begins = instruction.offset
        if instruction.opname == "EXTENDED_ARG":
            continue
        target = instruction.argval if instruction.opname in JUMPS else None
        position = tuple(positions) if positions is not None else (line,)
        yield Instruction(begins, instruction.opname, _argument(instruction), target, position)
        begins = None


def _argument(instruction: dis.Instruction) -> object:
    """From 3.15 on None is a common constant, which ``dis`` gives as a number and as text."""
    if instruction.opname == "LOAD_COMMON_CONSTANT":
        return None if instruction.argrepr == "None" else instruction.argrepr
    return instruction.argval


RETURNS = frozenset({"RETURN_VALUE", "RETURN_CONST"})
ENDS = RETURNS | {"RAISE_VARARGS", "RERAISE"}
"""Instructions that no other one follows."""

_GOES_ELSEWHERE = frozenset({"JUMP_FORWARD", "JUMP_ABSOLUTE", "JUMP_BACKWARD", "JUMP_BACKWARD_NO_INTERRUPT", "JUMP"})


def successors(steps: Sequence[Instruction], places: dict[int, int], index: int) -> Iterator[int]:
    """Return the indices of the instructions that may follow one, where nothing is raised."""
    step = steps[index]
    if step.name in ENDS:
        return
    if step.target is not None:
        yield places[step.target]
    if step.name not in _GOES_ELSEWHERE and index + 1 < len(steps):
        yield index + 1


def places_of(steps: Sequence[Instruction]) -> dict[int, int]:
    """Return the index of each offset."""
    return {step.offset: index for index, step in enumerate(steps)}
