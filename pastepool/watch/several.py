"""
Watch all processes of one server: the page shows the threads of all, and each action reaches the process that it names.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from pastepool.runtime.family.birth import TASKS_OF_ONE
from pastepool.runtime.family.link import NoAnswer
from pastepool.types import Seconds
from pastepool.watch.flaming import NO_FLAME
from pastepool.watch.health import counters_of
from pastepool.watch.merging import WORKERS_OF_ONE, Part, merged
from pastepool.watch.questions import aim_told, visitor_told
from pastepool.watch.visitor import OwnRequest, Visitor
from pastepool.watch.watched import EVERY, ActionOutcome, Aim, State, Whose

PATIENCE: Seconds = 0.5
"""How long a process may take to answer. A look takes a few milliseconds; one that takes longer may stand still."""

KILL_PATIENCE: Seconds = 4.0
"""The same for a kill, whose outcome is waited for (``actions.OUTCOME_WITHIN``)."""


class Known(NamedTuple):
    """One process as it is known to the one that is asked. ``shown``: for people. ``serves``: it takes requests."""

    serial: int
    slot: int
    pid: int
    serves: bool
    shown: Mapping[str, Any]


class Fellows(Protocol):
    """The processes of one server. Runs on: any thread."""

    def known(self) -> Sequence[Known]:
        """Return all of them, in the order of their slots."""

    def ask(self, serial: int, word: str, about: Any, patience: Seconds) -> Any:
        """Ask one of them. Raises: NoAnswer."""

    def ask_all(self, word: str, about: Any, patience: Seconds, but: int = 0) -> Mapping[int, Any]:
        """
        Ask all that serve, at the same time. Returns the answers that have come in time, by serial.

        ``but``: the serial of one that is not asked; 0 for none.
        """


class Several:
    """
    Implements ``watched.Watched`` for all processes of a server.

    Large because the protocol has a method for each address of the page, and each needs its own question.

    ``like``: returns a state with what no process knows: the settings, and what happened to the processes. ``stops``:
    says whether all end.
    """

    def __init__(self, fellows: Fellows, like: Callable[[], State], stops: Callable[[], bool]) -> None:
        self._fellows = fellows
        self._like = like
        self._stops = stops

    def health(self) -> tuple[int, str]:
        if self._stops():
            return 503, "stopping"
        if not any(known.serves for known in self._fellows.known()):
            return 503, "none serves"
        answers = [tuple(answer) for answer in self._fellows.ask_all("health", {}, PATIENCE).values()]
        if not answers:
            return 503, "stuck"
        return min(answers)  # 200 if one of them serves

    def own_request(self) -> OwnRequest | None:
        return None

    def parts(self, visitor: Visitor, may_kill: bool, but: int = 0) -> list[Part]:
        """Return the states of all that answer. ``but``: as for ``Fellows.ask_all``."""
        about = {"visitor": visitor_told(visitor), "may_kill": may_kill}
        answers = self._fellows.ask_all("state", about, PATIENCE, but)
        known = [each for each in self._fellows.known() if each.serial in answers]
        return [Part(each.slot, each.pid, each.serial, answers[each.serial]) for each in known]

    def processes(self) -> list[Mapping[str, Any]]:
        """Return the processes for people."""
        return [each.shown for each in self._fellows.known()]

    def like_told(self) -> dict[str, Any]:
        """Return what no worker knows: what happened to the processes, the newest first, and the molds."""
        like = self._like()
        return {"events": like["events"], "molds": like["molds"]}

    def state(self, visitor: Visitor, may_kill: bool) -> State:
        parts = self.parts(visitor, may_kill)
        return self.whole(parts, may_kill)

    def whole(self, parts: Sequence[Part], may_kill: bool) -> State:
        """Make one state of those of the processes."""
        state = merged(parts, self.processes(), self._like())
        state["pool"]["draining"] = self._stops()
        state["flame"] = self._flame_of([part.state for part in parts])
        allowed = [part.state["actions"] for part in parts]
        state["actions"] = {name: any(each[name] for each in allowed) for name in ("kill", "dump", "reset", "flame")}
        return state

    def _flame_of(self, states: Sequence[State]) -> dict[str, Any]:
        """Return the graph that is drawn, or else the newest one."""
        flames = [state["flame"] for state in states]
        running = [flame for flame in flames if flame["running"]]
        ready = sorted((flame for flame in flames if flame["ready"]), key=lambda flame: flame["finished_ago"])
        return dict([*running, *ready, *flames, {**NO_FLAME}][0])

    def counters(self, visitor: Visitor) -> dict[str, Any]:
        return counters_of(self.state(visitor, may_kill=False))

    def question(self, aim: Aim) -> str | ActionOutcome:
        found = self._aimed(aim)
        if isinstance(found, ActionOutcome):
            return found
        known, aim = found
        said = self._asked(known, "question", {"aim": aim_told(aim)}, PATIENCE)
        return said if isinstance(said, str) else _outcome(said)

    def kill(self, aim: Aim, visitor: Visitor) -> ActionOutcome:
        found = self._aimed(aim)
        if isinstance(found, ActionOutcome):
            return found
        known, aim = found
        return _outcome(
            self._asked(known, "kill", {"aim": aim_told(aim), "visitor": visitor_told(visitor)}, KILL_PATIENCE)
        )

    def _aimed(self, aim: Aim) -> tuple[Known, Aim] | ActionOutcome:
        """Find the process that an aim names, and the aim as it is known there; or say what does not fit."""
        found = self._named(aim.whose)
        if isinstance(found, ActionOutcome):
            return found
        if aim.worker is None or aim.serial is None:
            return ActionOutcome(400, "invalid", "worker and serial must both be whole numbers, as the page has them.")
        process, worker = divmod(aim.worker, WORKERS_OF_ONE)
        if process not in (0, found.serial) or (aim.serial - 1) // TASKS_OF_ONE != found.serial:
            text = f"That request does not run in process {found.slot} (pid {found.pid}); nobody was killed."
            return ActionOutcome(409, "refused", text)
        return found, dataclasses.replace(aim, worker=worker)

    def _named(self, whose: Whose) -> Known | ActionOutcome:
        if whose.slot is None or whose.pid is None:
            return ActionOutcome(400, "invalid", "slot and pid must say which process is meant, as the page has them.")
        found = [each for each in self._fellows.known() if each.pid == whose.pid]
        if not found:
            return ActionOutcome(404, "not found", f"There is no process {whose.pid} of this server any more.")
        if found[0].slot != whose.slot:
            text = f"The process {whose.pid} has the slot {found[0].slot}, not {whose.slot}; nothing was done."
            return ActionOutcome(409, "refused", text)
        return found[0]

    def _asked(self, known: Known, word: str, about: Any, patience: Seconds) -> Any:
        try:
            return self._fellows.ask(known.serial, word, about, patience)
        except NoAnswer:
            text = f"Process {known.slot} (pid {known.pid}) does not answer; its parent replaces it if that lasts."
            return {"status": 503, "outcome": "no answer", "text": text}

    def dump(self, visitor: Visitor, whose: Whose = EVERY) -> ActionOutcome:
        about = {"visitor": visitor_told(visitor), "whose": vars(whose)}
        if whose == EVERY:
            return self._of_all("dump", about)
        found = self._named(whose)
        return found if isinstance(found, ActionOutcome) else _outcome(self._asked(found, "dump", about, PATIENCE))

    def reset(self, visitor: Visitor) -> ActionOutcome:
        return self._of_all("reset", {"visitor": visitor_told(visitor)})

    def _of_all(self, word: str, about: Any) -> ActionOutcome:
        """Have all do something. The first outcome stands for all; one that is a failure comes first."""
        answers = self._fellows.ask_all(word, about, PATIENCE)
        asked = sum(known.serves for known in self._fellows.known())
        outcomes = sorted((_outcome(answer) for answer in answers.values()), key=lambda outcome: -outcome.status)
        if not outcomes:
            return ActionOutcome(503, "no answer", "No process answers.")
        missing = f" {asked - len(outcomes)} of {asked} processes did not answer." if len(outcomes) < asked else ""
        return dataclasses.replace(outcomes[0], text=outcomes[0].text + missing)

    def flame(self, seconds: int | None, worker: int, visitor: Visitor) -> ActionOutcome:
        process, thread = divmod(worker, WORKERS_OF_ONE)
        about = {"seconds": seconds, "worker": thread, "visitor": visitor_told(visitor)}
        known = [each for each in self._fellows.known() if each.serves and process in (0, each.serial)]
        if not known:
            return ActionOutcome(404, "not found", "There is no such process any more.")
        chosen = max(known, key=lambda each: each.shown["running"])
        outcome = _outcome(self._asked(chosen, "flame", about, PATIENCE))
        where = f" In process {chosen.slot} (pid {chosen.pid}), the busiest one." if not process else ""
        return dataclasses.replace(outcome, text=outcome.text + (where if outcome.ok else ""))

    def flame_status(self) -> dict[str, Any]:
        answers = self._fellows.ask_all("flame status", {}, PATIENCE)
        return self._flame_of([{"flame": answer} for answer in answers.values()])

    def flame_picture(self) -> bytes | None:
        statuses = self._fellows.ask_all("flame status", {}, PATIENCE)
        ready = {serial: status["finished_ago"] for serial, status in statuses.items() if status["ready"]}
        with contextlib.suppress(NoAnswer, ValueError):  # there is none
            picture = self._fellows.ask(min(ready, key=ready.__getitem__), "flame picture", {}, PATIENCE)
            return None if picture is None else str(picture).encode("utf-8", "replace")
        return None

    def refresh(self) -> None:
        self._fellows.ask_all("refresh", {}, PATIENCE)


def _outcome(told: Any) -> ActionOutcome:
    return ActionOutcome(**told)
