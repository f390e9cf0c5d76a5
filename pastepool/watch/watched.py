"""
What the page asks of whatever it watches: one protocol, the same for every server below the application.

Three things answer it: our own server (``own_server``), Paste's own pool and no pool at all (both ``foreign``). Which
one is behind a request is decided in ``finding``. The page never asks which one it has: what a server cannot do, it
refuses itself, with an ``ActionOutcome`` that says so.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

from pastepool.watch.visitor import OwnRequest, Visitor

State = dict[str, Any]
"""Everything on the page at one moment, as the JSON has it: see ``docs/reference/watch-api.md``."""

FORMAT = "pastepool-watch"
VERSION = 1


@dataclass(frozen=True)
class ActionOutcome:
    """What became of an action; see the table in ``docs/reference/watch-api.md``."""

    status: int
    outcome: str
    text: str

    @property
    def ok(self) -> bool:
        """Whether it was done, or is being done."""
        return self.status < 300

    def as_json(self) -> dict[str, Any]:
        """As the JSON has it."""
        return {"ok": self.ok, "outcome": self.outcome, "text": self.text}


@dataclass(frozen=True)
class Aim:
    """
    The request somebody wants to have killed, as it was named in the query or the form.

    ``worker``, ``serial``: None where no whole number was given. ``allowed``: the page it came from may kill.
    """

    worker: int | None
    serial: int | None
    allowed: bool


class Watched(Protocol):
    """
    One server, as far as it can be watched.

    Runs on: any thread, several at once. Nothing here raises for what a visitor asked.
    """

    def health(self) -> tuple[int, str]:
        """Say whether anybody can be served: a status and a word, see ``docs/reference/watch-api.md``."""
        ...

    def own_request(self) -> OwnRequest | None:
        """Find the request that the calling thread runs as a worker of this server; None if it runs none."""
        ...

    def state(self, visitor: Visitor, may_kill: bool) -> State:
        """Give everything on the page but who asks. The visitor's own request is marked and never offered for a kill."""
        ...

    def counters(self, visitor: Visitor) -> dict[str, Any] | ActionOutcome:
        """Give what can be counted, as flat numbers."""
        ...

    def question(self, aim: Aim) -> str | ActionOutcome:
        """Name the request that a kill would end, to be asked about; an outcome says why there is nothing to ask."""
        ...

    def kill(self, aim: Aim, visitor: Visitor) -> ActionOutcome:
        """Have one request killed, and wait a little for what becomes of it."""
        ...

    def dump(self, visitor: Visitor) -> ActionOutcome:
        """Write the stack of every thread to the log."""
        ...

    def reset(self, visitor: Visitor) -> ActionOutcome:
        """Count from nothing again."""
        ...

    def flame(self, seconds: int | None, worker: int, visitor: Visitor) -> ActionOutcome:
        """Begin a flame graph of one worker, or of all if ``worker`` is 0. ``seconds``: None if no number was given."""
        ...

    def flame_status(self) -> dict[str, Any]:
        """Say how the flame graph stands, as the JSON has it."""
        ...

    def flame_picture(self) -> bytes | None:
        """Give the last finished flame graph as SVG; None where there is none."""
        ...

    def refresh(self) -> None:
        """Something was done: show the next visitor what became of it, and nothing that was seen before."""
        ...
