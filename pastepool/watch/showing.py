"""What the page shows. Each function makes the response of one address for a visit, and changes nothing."""

from __future__ import annotations

import time
from typing import Any

from webob import Response

from pastepool.core.wording import printable
from pastepool.types import Seconds
from pastepool.watch.answers import Stream, event_of, html_answer, json_answer, text_answer, wants
from pastepool.watch.assets import ASSETS
from pastepool.watch.html import filled, fragments_of
from pastepool.watch.table import text_table
from pastepool.watch.visit import Visit, said
from pastepool.watch.watched import ActionOutcome, State

POLL_EVERY: Seconds = 1.0


def state_of(visit: Visit) -> State:
    """Return everything that the page shows, with facts about the visitor and how the client gets the next state."""
    visitor = visit.visitor
    state = visit.watched.state(visitor, visit.mount.options.allow_kill)
    state["you"] = {
        "address": printable(visitor.address, 60),
        "worker": visitor.worker or None,
        "serial": visitor.serial or None,
        "logged_in": visit.admission.by == "cookie",
    }
    state["transport"] = {"stream": visitor.closing is not None, "poll_every": POLL_EVERY}
    return state


def page(visit: Visit) -> Any:
    """Return the page in the format that the client prefers: HTML, JSON or plain text."""
    state = state_of(visit)
    status = 501 if state["kind"] == "none" else 200
    wanted = wants(visit.request)
    if wanted == "application/json":
        response = json_answer(state, status)
    elif wanted == "text/plain":
        response = text_answer(status, text_table(state))
    else:
        template = (ASSETS / "page.html").read_text(encoding="utf-8")
        response = html_answer(status, filled(template, fragments_of(state, visit.csrf)))
    response.headers["Vary"] = "Accept"
    return response


def state(visit: Visit) -> Any:
    """Return the state as JSON (``api/v1/state``)."""
    return json_answer(state_of(visit))


def events(visit: Visit) -> Any:
    """
    Return the state as server-sent events (``api/v1/events``).

    The admin listener sends a stream. In the main server a stream would occupy a worker, so the response is one event
    and the time after which to ask again.
    """
    closing, streams = visit.visitor.closing, visit.mount.streams
    if closing is not None and visit.request.method == "GET" and streams.acquire(blocking=False):
        body: Any = Stream(lambda: _next_event(visit), closing, streams.release, POLL_EVERY)
    else:
        body = [b"retry: %d\n\n" % int(1000 * POLL_EVERY) + event_of(state_of(visit))]
    return Response(app_iter=body, content_type="text/event-stream", charset="utf-8")


def _next_event(visit: Visit) -> bytes | None:
    """Return the next event of a stream; None once the visitor's session is over, for example after a logout."""
    return event_of(state_of(visit)) if visit.mount.gate.still_admits(visit.admission, time.time()) else None


def counters(visit: Visit) -> Any:
    """Return the counters as JSON (``api/v1/counters``)."""
    counted = visit.watched.counters(visit.visitor)
    return said(visit, counted) if isinstance(counted, ActionOutcome) else json_answer(counted)


def flame_status(visit: Visit) -> Any:
    """Return the status of the flame graph as JSON (``api/v1/flame``)."""
    return json_answer(visit.watched.flame_status())


def picture(visit: Visit) -> Any:
    """Return the last finished flame graph (``flame.svg``)."""
    drawn = visit.watched.flame_picture()
    if drawn is None:
        return said(visit, ActionOutcome(404, "not found", "There is no finished flame graph yet."))
    return Response(body=drawn, content_type="image/svg+xml", charset="utf-8")
