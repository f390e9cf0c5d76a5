"""The actions of the page. Each function has one action carried out and returns a response with its outcome."""

from __future__ import annotations

from typing import Any

from pastepool.watch.answers import html_answer
from pastepool.watch.html import esc, hidden, plain_page
from pastepool.watch.visit import Visit, said
from pastepool.watch.watched import ActionOutcome, Aim


def ask(visit: Visit) -> Any:
    """Return a page that names the request and asks for a confirmation of its kill."""
    aim = visit.aim()
    title = visit.watched.question(aim)
    if isinstance(title, ActionOutcome):
        return said(visit, title)
    form = (
        f"<p>Worker {aim.worker} runs</p><p><strong>{esc(title)}</strong></p><p>Killing raises an exception in it; its"
        " client is answered 504 if nothing was sent yet. What the application was doing is left half done.</p>"
        f'<form method="post" action="kill">{hidden(csrf=visit.csrf, **_named(aim))}'
        '<button class="danger">Kill this request</button></form>'
    )
    return html_answer(200, plain_page(f"Kill worker {aim.worker}?", form))


def _named(aim: Aim) -> dict[str, object]:
    """Return the fields that name a request, and the process if the visitor has named it."""
    process = {name: number for name, number in vars(aim.whose).items() if number is not None}
    return {"worker": aim.worker, "serial": aim.serial, **process}


def kill(visit: Visit) -> Any:
    """Kill one request, after the confirmation."""
    return said(visit, visit.watched.kill(visit.aim(), visit.visitor))


def dump(visit: Visit) -> Any:
    """Write all stacks to the log."""
    return said(visit, visit.watched.dump(visit.visitor, visit.whose()))


def reset(visit: Visit) -> Any:
    """Set all counters back to zero."""
    return said(visit, visit.watched.reset(visit.visitor))


def flame(visit: Visit) -> Any:
    """Begin a flame graph."""
    return said(visit, visit.watched.flame(visit.number("seconds"), visit.number("worker") or 0, visit.visitor))
