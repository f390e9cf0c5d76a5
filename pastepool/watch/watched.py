"""
The protocol through which the page asks the server below the application.

Three classes implement it: ``own_server.OwnServer`` for our own server, ``foreign.PastesPool`` for Paste's own pool,
and ``foreign.Nobody`` where there is no pool. ``finding`` decides which of them belongs to a request. The page never
asks which of them it has: each refuses what it cannot do, with an ``ActionOutcome`` that gives the reason.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

from pastepool.watch.visitor import OwnRequest, Visitor

State = dict[str, Any]
"""Everything that the page shows at one moment, in the form of the JSON: see ``docs/reference/watch-api.md``."""

FORMAT = "pastepool-watch"
VERSION = 1


@dataclass(frozen=True)
class ActionOutcome:
    """The outcome of an action: see the table in ``docs/reference/watch-api.md``. ``status``: of the HTTP response."""

    status: int
    outcome: str
    text: str

    @property
    def ok(self) -> bool:
        """Return whether the action was done, or is being done."""
        return self.status < 300

    def as_json(self) -> dict[str, Any]:
        """Return the outcome in the form of the JSON."""
        return {"ok": self.ok, "outcome": self.outcome, "text": self.text}


@dataclass(frozen=True)
class Whose:
    """One of several processes, as the visitor names it: its place and its pid. Both None: none is named."""

    slot: int | None = None
    pid: int | None = None

    def is_other(self, pid: int) -> bool:
        """Say whether another process than this one is named."""
        return self.pid is not None and self.pid != pid


EVERY = Whose()


@dataclass(frozen=True)
class Aim:
    """
    The request that a visitor wants to kill, as the query or the form names it.

    ``worker``, ``serial``: None if the visitor gave no whole number. ``allowed``: whether the visitor's page may kill.
    ``whose``: which process it runs in.
    """

    worker: int | None
    serial: int | None
    allowed: bool
    whose: Whose = EVERY


class Watched(Protocol):
    """
    What the page can see of one server and ask of it.

    Runs on: any thread, several at once. No method raises because of a visitor's input.
    """

    def health(self) -> tuple[int, str]:
        """Say whether the server can serve requests: a status and a word, see ``docs/reference/watch-api.md``."""
        ...

    def own_request(self) -> OwnRequest | None:
        """Return the request that the calling thread runs as a worker of this server; None if it runs none."""
        ...

    def state(self, visitor: Visitor, may_kill: bool) -> State:
        """
        Return everything that the page shows, except for the facts about the visitor.

        The visitor's own request is marked and never offered for a kill.
        """
        ...

    def counters(self, visitor: Visitor) -> dict[str, Any] | ActionOutcome:
        """Return the counters as flat numbers."""
        ...

    def question(self, aim: Aim) -> str | ActionOutcome:
        """
        Name the request that a kill would end, so that the page can ask for a confirmation.

        Returns an outcome if the request cannot be killed; it gives the reason.
        """
        ...

    def kill(self, aim: Aim, visitor: Visitor) -> ActionOutcome:
        """Have one request killed, wait a little for it to end, and return the outcome."""
        ...

    def dump(self, visitor: Visitor, whose: Whose = EVERY) -> ActionOutcome:
        """Write the stack of every thread to the log; of one process, if the visitor names one."""
        ...

    def reset(self, visitor: Visitor) -> ActionOutcome:
        """Set all counters back to zero."""
        ...

    def flame(self, seconds: int | None, worker: int, visitor: Visitor) -> ActionOutcome:
        """Start a flame graph of one worker, or of all if ``worker`` is 0. ``seconds``: None if no number was given."""
        ...

    def flame_status(self) -> dict[str, Any]:
        """Return the status of the flame graph, in the form of the JSON."""
        ...

    def flame_picture(self) -> bytes | None:
        """Return the last finished flame graph as SVG; None if there is none."""
        ...

    def refresh(self) -> None:
        """Forget what was seen before. Called after an action, so that the next visitor sees its result."""
        ...
