"""One request for the page, with all that is known about it, and the answer that says what became of something."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Any

from pastepool.watch.access import Admission, Gate
from pastepool.watch.answers import html_answer, json_answer, text_answer, wants
from pastepool.watch.html import esc, plain_page
from pastepool.watch.options import WatchOptions
from pastepool.watch.table import wrapped
from pastepool.watch.visitor import Visitor
from pastepool.watch.watched import ActionOutcome, Aim, Watched


@dataclass(frozen=True)
class Mount:
    """
    One mounted page; a process may have several, with the same pool behind them.

    ``options``: what the operator allows on it. ``streams``: one is taken for each answer that goes on.
    """

    options: WatchOptions
    gate: Gate
    streams: threading.BoundedSemaphore


@dataclass(frozen=True)
class Visit:
    """One request. ``api``: asked for under ``api/v1/``, so answered in JSON."""

    mount: Mount
    request: Any
    visitor: Visitor
    admission: Admission
    watched: Watched
    api: bool = False

    @property
    def csrf(self) -> str:
        """What every form of ours holds and no other page knows."""
        return self.mount.gate.csrf

    def number(self, name: str) -> int | None:
        """A whole number out of the query or the form; None where it is none."""
        text = str(self.request.params.get(name, ""))
        return int(text) if text.isascii() and text.isdigit() and len(text) <= 18 else None

    def aim(self) -> Aim:
        """The request that is to be killed, as the query or the form names it."""
        return Aim(self.number("worker"), self.number("serial"), self.mount.options.allow_kill)


def said(visit: Visit, outcome: ActionOutcome) -> Any:
    """Answer with what became of something, in the kind that was asked for."""
    wanted = wants(visit.request)
    if visit.api or wanted == "application/json":
        return json_answer(outcome.as_json(), outcome.status)
    if wanted == "text/plain":
        return text_answer(outcome.status, "\n".join(wrapped(outcome.text)) + "\n")
    return html_answer(outcome.status, plain_page(outcome.outcome.capitalize(), f"<p>{esc(outcome.text)}</p>"))
