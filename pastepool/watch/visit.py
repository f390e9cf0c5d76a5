"""One request for the page with everything that is known about it, and the response that reports an outcome."""

from __future__ import annotations

import functools
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pastepool.watch.access import Admission, Gate
from pastepool.watch.answers import html_answer, json_answer, text_answer, wants
from pastepool.watch.forms import form_fields, query_fields
from pastepool.watch.html import esc, plain_page
from pastepool.watch.options import WatchOptions
from pastepool.watch.table import wrapped
from pastepool.watch.visitor import Visitor
from pastepool.watch.watched import ActionOutcome, Aim, Watched, Whose


@dataclass(frozen=True)
class Mount:
    """
    One mounted page. A process may have several pages that show the same pool.

    ``options``: what the operator allows on the page. ``streams``: limits the streams; each acquires it once.
    """

    options: WatchOptions
    gate: Gate
    streams: threading.BoundedSemaphore


@dataclass(frozen=True)
class Visit:
    """One request for the page. ``api``: its address is under ``api/``, so its response is JSON."""

    mount: Mount
    request: Any
    visitor: Visitor
    admission: Admission
    watched: Watched
    api: bool = False

    @property
    def csrf(self) -> str:
        """Return the text that every form of this page contains and no other site has."""
        return self.mount.gate.csrf_of(self.admission.session)

    @functools.cached_property
    def form(self) -> Mapping[str, str]:
        """Return the fields of the form; none if the method is not POST. Raises: UnreadableForm, the first time."""
        return form_fields(self.request.environ) if self.request.method == "POST" else {}

    @functools.cached_property
    def query(self) -> Mapping[str, str]:
        """Return the fields of the query. Raises: UnreadableForm, the first time."""
        return query_fields(self.request.environ)

    def number(self, name: str) -> int | None:
        """Return a field of the form or the query as a whole number; None if it is not one."""
        text = self.form.get(name) or self.query.get(name, "")
        return int(text) if text.isascii() and text.isdigit() and len(text) <= 18 else None

    def aim(self) -> Aim:
        """Return the request to kill, as the query or the form names it."""
        return Aim(self.number("worker"), self.number("serial"), self.mount.options.allow_kill, self.whose())

    def whose(self) -> Whose:
        """Return the process that the query or the form names."""
        return Whose(self.number("slot"), self.number("pid"))


def said(visit: Visit, outcome: ActionOutcome) -> Any:
    """Make a response that reports an outcome, in the format that the client asked for."""
    wanted = wants(visit.request)
    if visit.api or wanted == "application/json":
        return json_answer(outcome.as_json(), outcome.status)
    if wanted == "text/plain":
        return text_answer(outcome.status, "\n".join(wrapped(outcome.text)) + "\n")
    return html_answer(outcome.status, plain_page(outcome.outcome.capitalize(), f"<p>{esc(outcome.text)}</p>"))
