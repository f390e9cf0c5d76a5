"""Watch our own server: the page shows everything about it and can kill its requests."""

from __future__ import annotations

import os
import threading
from typing import Any

from pastepool.core.interpreter import NO_STACKS, runs_without_gil
from pastepool.runtime.watching.server_view import ServerView
from pastepool.watch import actions
from pastepool.watch.dumping import dump
from pastepool.watch.flaming import CHOICES, Flames
from pastepool.watch.health import counters_of, health_of
from pastepool.watch.observer import Observer
from pastepool.watch.rows import app_root_of, shown_title
from pastepool.watch.visitor import OwnRequest, Visitor
from pastepool.watch.watched import EVERY, ActionOutcome, Aim, State, Whose


class OwnServer:
    """
    Implements ``watched.Watched`` for one server; all pages of the server share this object.

    ``flames``: makes and keeps the flame graphs.
    """

    def __init__(self, server_view: ServerView) -> None:
        self.flames = Flames(server_view, app_root_of(server_view))
        self._server_view = server_view
        self._observer = Observer(server_view)

    def health(self) -> tuple[int, str]:
        return health_of(self._server_view)

    def own_request(self) -> OwnRequest | None:
        server_view, ident = self._server_view, threading.get_ident()
        for worker in server_view.workers():
            task = worker.task
            if worker.ident == ident and task is not None:
                return OwnRequest(worker.worker_id, task.serial, task.peer)
        return None

    def state(self, visitor: Visitor, may_kill: bool) -> State:
        state = self._observer.state(visitor, may_kill)
        state["flame"] = self.flames.status()
        kills = may_kill and not self._server_view.supervisor.no_kills
        stacks = not runs_without_gil()
        state["actions"] = {"kill": kills, "dump": stacks, "reset": True, "flame": stacks}
        return state

    def counters(self, visitor: Visitor) -> dict[str, Any]:
        return counters_of(self._observer.state(visitor, may_kill=False))

    def question(self, aim: Aim) -> str | ActionOutcome:
        found = actions.find(self._server_view, aim)
        return found if isinstance(found, ActionOutcome) else shown_title(found[1], found[1].described())

    def kill(self, aim: Aim, visitor: Visitor) -> ActionOutcome:
        return actions.kill(self._server_view, aim, visitor)

    def dump(self, visitor: Visitor, whose: Whose = EVERY) -> ActionOutcome:
        if whose.is_other(os.getpid()):
            return ActionOutcome(409, "refused", f"This is the process {os.getpid()}, not {whose.pid}.")
        return dump(lambda text: actions.note(self._server_view, visitor, text))

    def reset(self, visitor: Visitor) -> ActionOutcome:
        self._server_view.reset()
        actions.note(self._server_view, visitor, "set all counters back to nothing")
        return ActionOutcome(200, "reset", "Everything is counted from nothing again.")

    def flame(self, seconds: int | None, worker: int, visitor: Visitor) -> ActionOutcome:
        if seconds not in CHOICES:
            return ActionOutcome(400, "invalid", f"seconds must be one of {', '.join(map(str, CHOICES))}.")
        if runs_without_gil():
            return ActionOutcome(409, "refused", f"This Python runs without the GIL. {NO_STACKS}")
        try:
            begun = self.flames.start(seconds, worker)
        except RuntimeError as error:
            return ActionOutcome(503, "refused", f"No thread can be started for it: {error}.")
        if not begun:
            return ActionOutcome(409, "running", "Another flame graph is being drawn; there is one at a time.")
        who = f"worker {worker}" if worker else "all workers"
        actions.note(self._server_view, visitor, f"began a flame graph of {who} for {seconds} s")
        return ActionOutcome(202, "started", f"Looking at {who} for {seconds} s.")

    def flame_status(self) -> dict[str, Any]:
        return self.flames.status()

    def flame_picture(self) -> bytes | None:
        return self.flames.picture()

    def refresh(self) -> None:
        self._observer.forget_look()
