"""The workers as the desk knows them: what the board shows of each, the link to it, and the file with its stacks."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Mapping
from typing import Any

from pastepool.core.generations.child import ChildPhase
from pastepool.runtime.family.board import Board, Shown
from pastepool.runtime.family.link import Link, NoAnswer, Question
from pastepool.runtime.family.stacks_file import stacks_in
from pastepool.runtime.inspection.memory import resident_size
from pastepool.runtime.system.threads import spawn_thread
from pastepool.types import Clock, Seconds
from pastepool.watch.questions import answer, visitor_read
from pastepool.watch.several import Known, Several
from pastepool.watch.wall import Wall, rounded

_SHOWN_WITHIN: Seconds = 10.0
"""
A worker that the board does not show so long after its link came has ended. The parent may show it a little later than it
sends the link.
"""


class KnownWorkers:
    """
    Implements ``watch.several.Fellows``.

    ``_links``, ``_dumps``, ``_met_at`` and ``_silent_since`` are changed under ``_lock``, by serial.
    """

    def __init__(self, board: Board, clock: Clock) -> None:
        self._board = board
        self._clock = clock
        self._lock = threading.Lock()
        self._links: dict[int, Link] = {}
        self._dumps: dict[int, int] = {}
        self._met_at: dict[int, Seconds] = {}
        self._silent_since: dict[int, Seconds] = {}
        self.watched: Several | None = None

    def meet(self, serial: int, link: int, dump: int) -> None:
        """Take the end of the link to a worker, and the descriptor of the file with its stacks."""
        made = Link(socket.socket(fileno=link), self._answer, spawn_thread)
        with self._lock:
            self._forget_gone_locked()
            self._links[serial], self._dumps[serial], self._met_at[serial] = made, dump, self._clock.now()
        made.start()

    def forget_gone(self) -> None:
        """Close what belongs to workers that have ended. Called now and then."""
        with self._lock:
            self._forget_gone_locked()

    def _forget_gone_locked(self) -> None:
        there = {shown.serial for shown in self._board.shown()}
        new = self._clock.now() - _SHOWN_WITHIN
        gone = [serial for serial in self._links if serial not in there]
        for serial in [serial for serial in gone if self._links[serial].ended or self._met_at[serial] < new]:
            del self._met_at[serial]
            self._links.pop(serial).close()
            os.close(self._dumps.pop(serial))
            self._silent_since.pop(serial, None)

    def shown(self) -> list[Shown]:
        """Return what the board shows, in the order of the slots."""
        return sorted(self._board.shown(), key=lambda shown: (shown.slot, shown.serial))

    def known(self) -> list[Known]:
        wall = Wall(self._clock)
        return [
            Known(each.serial, each.slot, each.pid, each.phase is ChildPhase.READY, self._told(each, wall))
            for each in self.shown()
        ]

    def _told(self, shown: Shown, wall: Wall) -> dict[str, Any]:
        """Describe one process: see ``docs/reference/watch-api.md``."""
        silent_since = self._silent_since.get(shown.serial)
        stands_still = silent_since is not None or shown.phase is ChildPhase.STUCK
        return {
            "slot": shown.slot,
            "pid": shown.pid,
            "serial": shown.serial,
            "generation": shown.generation,
            "state": shown.phase.value,
            "since": wall.text(shown.since),
            "for": wall.ago(shown.since),
            "memory": resident_size(shown.pid),
            "requests": shown.requests,
            "running": shown.running,
            "beat_ago": rounded(max(0.0, wall.now - shown.beat)) if shown.beat else None,
            "silent_since": None if silent_since is None else wall.text(silent_since),
            "silent_for": None if silent_since is None else wall.ago(silent_since),
            "stacks": self._stacks_of(shown.serial) if stands_still else "",
        }

    def molds(self) -> list[dict[str, Any]]:
        """Describe each mold: see ``docs/reference/watch-api.md``."""
        wall = Wall(self._clock)
        return [
            {
                "pid": mold.pid,
                "generation": mold.generation,
                "state": "forking" if mold.forks else "ready",
                "since": wall.text(mold.since),
                "for": wall.ago(mold.since),
                "memory": resident_size(mold.pid),
            }
            for mold in sorted(self._board.molds(), key=lambda mold: mold.generation)
        ]

    def _stacks_of(self, serial: int) -> str:
        """Return what C code of a worker has written of its threads, when the parent had it written last."""
        with self._lock:
            try:
                return stacks_in(self._dumps[serial])
            except (KeyError, OSError):
                return ""

    def ask(self, serial: int, word: str, about: Any, patience: Seconds) -> Any:
        link = self._links.get(serial)
        if link is None:
            raise NoAnswer(word)
        asked_at = self._clock.now()
        return self._heard(serial, link.put(word, about), asked_at, patience)

    def ask_all(self, word: str, about: Any, patience: Seconds, but: int = 0) -> Mapping[int, Any]:
        asked_at = self._clock.now()
        serving = [each.serial for each in self.shown() if each.phase is ChildPhase.READY and each.serial != but]
        questions = {serial: self._links[serial].put(word, about) for serial in serving if serial in self._links}
        answers = {}
        for serial, question in questions.items():
            left = asked_at + patience - self._clock.now()
            try:
                answers[serial] = self._heard(serial, question, asked_at, max(0.0, left))
            except NoAnswer:
                continue
        return answers

    def _heard(self, serial: int, question: Question, asked_at: Seconds, patience: Seconds) -> Any:
        """Wait for an answer, and keep in mind since when a worker gives none. Raises: NoAnswer."""
        try:
            answer = question.wait(patience)
        except NoAnswer:
            with self._lock:
                self._silent_since.setdefault(serial, asked_at)
            raise
        with self._lock:
            self._silent_since.pop(serial, None)
        return answer

    def _answer(self, word: str, about: Any) -> Any:
        """Answer a worker, whose page shows the others too."""
        watched = self.watched
        if watched is None:
            raise NoAnswer(word)
        if word != "others":
            return answer(watched, word, about)
        parts = watched.parts(visitor_read(about["visitor"]), about["may_kill"], about["but"])
        return {"parts": [list(part) for part in parts], "processes": watched.processes(), "like": watched.like_told()}
