"""
Decide, at each instruction of an armed thread, whether the kill is raised there.

A thread that is to be killed is *armed*: from then on the interpreter calls us before its next instructions, in that
thread. We raise the exception there ourselves, at the first instruction that is good enough (``core.landing``). So the
decision and the raising are one step, and the exception cannot come later or elsewhere.

Source: ours. ``Reach`` has two implementations: ``monitoring`` for CPython 3.12 and later, ``tracing`` for 3.10 and
3.11.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from types import FrameType
from typing import NamedTuple, Protocol

from pastepool.core.landing.finals import runs_the_same_finally
from pastepool.core.landing.grade import Grade
from pastepool.core.landing.verdict import Standing, raised_before
from pastepool.types import Seconds

_LOOKED_AT_MOST: Seconds = 0.05
"""
What counts at most of the time between two looks. A thread that waits in C for a second, such as for a rollback, has not
run for a second: it gets its time when it has come back.
"""

_PATIENCE: tuple[tuple[Seconds, Grade], ...] = (
    (0.5, Grade.AVOID),
    (0.25, Grade.CLEANUP),
    (0.1, Grade.LIBRARY),
    (0.0, Grade.SAFE),
)
"""
From how long on, while the thread runs Python, a place of which grade is good enough.

A loop in an application reaches a safe place within its first round, and a call into a library returns. A loop inside
of a ``finally`` never does, and is ended all the same. The numbers are choices: all of them end a kill within a second
of processor time. In 0.25 s a thread that is asked before each instruction executes some 100,000. A clean-up that needs
more is cut off, but not at a place where it has just taken a lock of its own (``AVOID``). With the time by the clock, a
commit of ZODB was cut off on a busy machine in its second phase, and ZODB then closes the storage.
"""


class Place(NamedTuple):
    """Where a thread stands: the ``id`` of its innermost frame, and the offset of the instruction."""

    frame: int
    offset: int

    @classmethod
    def of(cls, frame: FrameType) -> Place:
        """Return the place of a thread whose innermost frame this is."""
        return cls(id(frame), frame.f_lasti)


class Arm:
    """
    The kill of one thread, as it waits to be raised. Made by the killer; ``raises`` runs on the victim.

    ``landed``: the exception was raised. ``looks``: before how many instructions it was asked. ``off``: the window was
    shut, so nothing is raised any more; written by the victim. ``aside``: the killer raises the exception in another way
    just now (``interrupting``); written by the killer. ``moved``: the victim has executed an instruction while it was set
    aside; written by the victim. ``woken``: where the killer has ended a wait (``waking``); None
    from the next instruction on. ``_ran``: for how long the thread has run Python since the first look.
    """

    __slots__ = (
        "aside",
        "exception",
        "ident",
        "landed",
        "looks",
        "moved",
        "off",
        "woken",
        "_looked_at",
        "_process",
        "_ran",
    )

    def __init__(self, ident: int, exception: type[BaseException]) -> None:
        self.ident = ident
        self.exception = exception
        self.aside = False
        self.landed = False
        self.looks = 0
        self.moved = False
        self.off = False
        self.woken: Place | None = None
        self._process = os.getpid()
        self._ran: Seconds = 0.0
        self._looked_at: Seconds = 0.0

    @property
    def waits(self) -> bool:
        """
        Whether it still waits to be raised in the calling process.

        An application may fork. The child is a copy of the armed thread, but not the call that is to end.
        """
        return not self.off and not self.aside and not self.landed and self._process == os.getpid()

    def is_asked(self) -> bool:
        """Note that the victim executes an instruction. Returns ``waits``. Runs on: the armed thread."""
        if self.aside:
            self.moved = True
        return self.waits

    def raises(self, frame: FrameType, offset: int) -> bool:
        """
        Say whether to raise before an instruction of the calling thread. Marks itself as landed if so.

        An error in here would be raised in the application, for example when its stack has no room for one more call.
        Then nothing is raised at this instruction.

        Args:
            frame: the innermost one of the application.
            offset: of the instruction that is executed next.
        """
        try:
            if not self.waits:
                return False
            if not self._is_woken(frame, offset) and raised_before(calls_of(frame, offset)) > self._good_enough():
                return False
        except Exception:
            return False
        self.landed = True
        return True

    def _is_woken(self, frame: FrameType, offset: int) -> bool:
        """Say whether this is the first instruction after a wait that the killer has ended, and still in its ``try``."""
        place = self.woken
        if place is None:
            return False
        self.woken = None
        return place.frame == id(frame) and runs_the_same_finally(frame.f_code, place.offset, offset)

    def _good_enough(self) -> Grade:
        now = time.thread_time()  # on a busy machine the time by the clock passes while the thread does not run
        if self.looks:
            self._ran += min(now - self._looked_at, _LOOKED_AT_MOST)
        self._looked_at = now
        self.looks += 1
        return next(grade for patience, grade in _PATIENCE if self._ran >= patience)


def calls_of(frame: FrameType, offset: int | None = None) -> Iterator[Standing]:
    """
    Return the calls of a stack, innermost first.

    ``offset``: of the instruction of the innermost call; None for the one at which its frame stands.
    """
    yield frame.f_code, frame.f_lasti if offset is None else offset
    outer = frame.f_back
    while outer is not None:
        yield outer.f_code, outer.f_lasti
        outer = outer.f_back


class Reach(Protocol):
    """A way to be called before each instruction of another thread."""

    def arm(self, arm: Arm, frame: FrameType, thread_state: int) -> bool:
        """
        Have ``arm`` asked before the next instructions of a thread. May be called again when the thread has moved.

        Returns False if that is not possible in this thread now. Runs on: killer, under the fence of the window.

        Args:
            frame: the innermost one of that thread.
            thread_state: the address of the interpreter's record of that thread.
        """

    def disarm(self, arm: Arm) -> None:
        """Have it asked no more. Runs on: the armed thread."""

    def forget(self, arm: Arm) -> None:
        """Give back what is kept for a thread that has ended. Runs on: any thread."""
