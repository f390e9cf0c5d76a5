"""
Say what a handler of a ``try`` or ``with`` does, so that it can be told whether it must not be interrupted.

Pure; any thread.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Sequence

from pastepool.core.landing.listing import ENDS, Instruction, places_of, successors


class Handler(enum.Enum):
    """
    What a handler is for.

    ``EXIT``: it calls the ``__exit__`` of a ``with``. ``FINALLY``: it is a ``finally`` with calls or assignments.
    ``UNDOES``: it is an ``except`` that gives something back. ``OTHER``: any other ``except``, and what the compiler
    adds to tidy its own stack.
    """

    EXIT = "exit"
    FINALLY = "finally"
    UNDOES = "undoes"
    OTHER = "other"


_UNDOING = (
    "release",
    "_release",
    "rollback",
    "abort",
    "close",
    "unlock",
    "putconn",
    "invalidate",
    "restore",
    "__exit__",
)
"""How the names of functions begin that give something back. Ours: names from DB-API, SQLAlchemy and ``threading``."""

CHANGES = frozenset({"STORE_ATTR", "STORE_SUBSCR", "DELETE_ATTR", "DELETE_SUBSCR", "STORE_GLOBAL", "DELETE_GLOBAL"})
"""Instructions that change something outside of the function's own variables."""

_EXCEPTS = frozenset({"POP_TOP", "DUP_TOP"})
"""
How an ``except`` begins: one without a class drops the exception; up to 3.10 one with a class copies it. On 3.10 a
``finally`` may hold the comparison of an ``except`` that stands in it, so that comparison tells nothing there.
"""

_PREFACE = frozenset({"PUSH_EXC_INFO", "NOP", "RESUME"})


def undoes(name: str) -> bool:
    """Say whether a function of this name gives something back."""
    return name.startswith(_UNDOING)


def body_of(steps: Sequence[Instruction], handler: int) -> frozenset[int]:
    """Return the indices of a handler's instructions: all that can follow its first one until it is over."""
    places = places_of(steps)
    body: set[int] = set()
    waiting = [places[handler]]
    while waiting:
        index = waiting.pop()
        if index in body:
            continue
        body.add(index)
        if steps[index].name != "POP_EXCEPT" and steps[index].name not in ENDS:
            waiting += successors(steps, places, index)
    return frozenset(body)


def kind_of(steps: Sequence[Instruction], body: Iterable[int]) -> Handler:
    """Say what a handler is for. ``body``: the indices of its instructions."""
    own = [steps[index] for index in sorted(body)]
    code = [step for step in own if step.name not in _PREFACE]
    if code[0].name == "WITH_EXCEPT_START":
        return Handler.EXIT
    if code[0].name in _EXCEPTS or any(step.name == "CHECK_EXC_MATCH" for step in own):
        return Handler.UNDOES if any(undoes(step.word) for step in own) else Handler.OTHER
    return Handler.FINALLY if any(step.calls or step.name in CHANGES for step in own) else Handler.OTHER
