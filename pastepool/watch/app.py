"""
``egg:pastepool#watch_threads``: from a request to an answer, wherever the application is mounted.

Knows addresses, methods and what they need; what is seen, shown and done is known to the modules beside it. Runs on:
the worker that has the request, or a thread of the admin listener; several at once.
"""

from __future__ import annotations

import mimetypes
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from importlib import resources
from typing import Any

from webob import Request, Response

from pastepool.core.wording import printable
from pastepool.runtime.log.scribe import scribbled
from pastepool.runtime.watching.server_view import ServerView
from pastepool.watch import actions
from pastepool.watch.access import LOGGED_IN_FOR, Admission, Gate, judge_origin
from pastepool.watch.actions import Outcome
from pastepool.watch.answers import (
    SECURITY,
    Stream,
    cookie_header,
    event_of,
    html_answer,
    json_answer,
    moved,
    text_answer,
    wants,
)
from pastepool.watch.flaming import CHOICES, Flames
from pastepool.watch.foreign import has_pastes_shape, no_pool_state, paste_state
from pastepool.watch.health import counters_of, health_of
from pastepool.watch.html import esc, filled, fragments_of, hidden, plain_page
from pastepool.watch.observer import POLL_EVERY, Observer, State
from pastepool.watch.options import WatchOptions
from pastepool.watch.rows import app_root_of
from pastepool.watch.table import text_table, wrapped
from pastepool.watch.visitor import Visitor, identify

_log = scribbled("pastepool.watch")

ASSETS = resources.files("pastepool.watch") / "static"
POOL_KEY = "paste.httpserver.thread_pool"
STREAM_LIMIT = 8
"""Streams at once on the admin listener; each holds one of its threads. The next one is told to poll."""

FORM_LIMIT = 16384
"""Bytes of a form; the longest has four short fields."""


@dataclass(frozen=True)
class Watched:
    """What one server's pages share; ``None`` for both under a server that is not ours."""

    observer: Observer
    flames: Flames


@dataclass(frozen=True)
class Visit:
    """One request with all that is known about it. ``api``: asked for under ``api/v1/``, so answered in JSON."""

    request: Any
    visitor: Visitor
    admission: Admission
    server_view: ServerView | None
    pool: Any
    api: bool = False

    def number(self, name: str) -> int | None:
        """A whole number out of the query or the form; None where it is none."""
        text = str(self.request.params.get(name, ""))
        return int(text) if text.isascii() and text.isdigit() and len(text) <= 18 else None


class WatchApp:
    """
    The application.

    Large because each route has a method here.

    ``options``: what the operator allows on this page. One process may have several, with the same pool behind them.
    """

    def __init__(self, options: WatchOptions) -> None:
        self._options = options
        self._gate = Gate(options.token, options.allow_from)
        self._streams = threading.BoundedSemaphore(STREAM_LIMIT)
        self._routes: Mapping[str, Mapping[str, Callable[[Visit], Any]]] = {
            "": {"GET": self._page},
            "api/v1/state": {"GET": lambda visit: json_answer(self._state(visit))},
            "api/v1/events": {"GET": self._events},
            "api/v1/counters": {"GET": self._counters},
            "api/v1/flame": {"GET": self._flame_status, "POST": self._flame},
            "flame": {"POST": self._flame},
            "flame.svg": {"GET": self._picture},
            "kill": {"GET": self._ask, "POST": self._kill},
            "api/v1/kill": {"POST": self._kill},
            "dump": {"POST": self._dump},
            "api/v1/dump": {"POST": self._dump},
            "reset": {"POST": self._reset},
            "api/v1/reset": {"POST": self._reset},
            "logout": {"POST": self._logout},
        }

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        request = Request(environ)
        try:
            response = self._answer(request)
        except UnicodeDecodeError:
            response = text_answer(400, "The request is not valid UTF-8.")
        for name, value in SECURITY.items():
            response.headers.setdefault(name, value)
        # Not through the response's own call: it would make Location absolute, with a host a proxy may have changed.
        start_response(response.status, response.headerlist)
        if request.method == "HEAD":
            close = getattr(response.app_iter, "close", None)
            if close is not None:
                close()
            return []
        return response.app_iter  # type: ignore[no-any-return]

    # Who, and where to.

    def _answer(self, request: Any) -> Any:
        path = str(request.path_info)
        if not path:
            return moved(f"{str(request.script_name).rpartition('/')[2]}/" if request.script_name else "/")
        name = path[1:]
        pool = request.environ.get(POOL_KEY)
        server_view = getattr(pool, "server_view", None)
        server_view = server_view if isinstance(server_view, ServerView) else None
        if name == "health":
            return _health(server_view)
        visitor = identify(request.environ, server_view)
        admission = self._gate.judge(request.environ, visitor, time.time())
        visit = Visit(request, visitor, admission, server_view, pool, name.startswith("api/"))
        if admission.status == 401 and name == "login" and request.method == "POST":
            return self._login(visit)
        if admission.status == 401 and name.startswith("static/"):
            return self._asset(visit, name)
        if admission.status != 200:
            return self._refused(visit, admission)
        return self._routed(visit, name)

    def _routed(self, visit: Visit, name: str) -> Any:
        method = "GET" if visit.request.method == "HEAD" else visit.request.method
        if name.startswith("static/"):
            return self._asset(visit, name)
        if name == "login":
            return moved("./")
        route = self._routes.get(name)
        if route is None:
            return _said(visit, Outcome(404, "not found", "There is no such page here."))
        if method not in route:
            allowed = ", ".join(sorted(route))
            response = _said(visit, Outcome(405, "refused", f"This address takes {allowed} only."))
            response.headers["Allow"] = allowed
            return response
        if method == "POST":
            if (visit.request.content_length or 0) > FORM_LIMIT:
                return _said(visit, Outcome(413, "invalid", "The form is too large."))
            admission = self._gate.judge_change(
                visit.request.environ, str(visit.request.POST.get("csrf", "")), visit.admission.by
            )
            if admission.status != 200:
                _log.warning("%s: refused %s: %s", printable(visit.visitor.address), name, admission.text)
                return _said(visit, Outcome(admission.status, "refused", admission.text))
            return self._done(visit, route[method])
        return route[method](visit)

    def _done(self, visit: Visit, action: Callable[[Visit], Any]) -> Any:
        """Have something done, and make the next look show it."""
        try:
            return action(visit)
        finally:
            if visit.server_view is not None:
                self._watched(visit.server_view).observer.look_anew()

    def _refused(self, visit: Visit, admission: Admission) -> Any:
        if admission.status == 401 and not visit.api and wants(visit.request) == "text/html":
            form = (
                f'<p>{esc(admission.text)}</p><form method="post" action="login"><label>Token <input type="password"'
                ' name="token" autocomplete="current-password" required autofocus></label>'
                " <button>Log in</button></form>"
            )
            response = html_answer(401, plain_page("watch_threads", form, back=False))
        else:
            response = _said(visit, Outcome(admission.status, "refused", admission.text))
        if admission.status == 401:
            response.headers["WWW-Authenticate"] = 'Bearer realm="pastepool watch_threads"'
        return response

    # Looking.

    def _watched(self, server_view: ServerView) -> Watched:
        """What all pages of one server share, made when the first is asked for. One step of a dict, so no lock."""
        found = server_view.common.get("watch")
        if not isinstance(found, Watched):
            made = Watched(Observer(server_view), Flames(server_view, app_root_of(server_view)))
            found = server_view.common.setdefault("watch", made)
        return found

    def _state(self, visit: Visit) -> State:
        server_view, visitor = visit.server_view, visit.visitor
        ours = server_view is not None
        if server_view is not None:
            watched = self._watched(server_view)
            state = watched.observer.state(visitor, self._options.allow_kill)
            state["flame"] = watched.flames.status()
        else:
            state = paste_state(visit.pool) if has_pastes_shape(visit.pool) else no_pool_state()
            state["flame"] = _NO_FLAME
        state["actions"] = {
            "kill": ours and self._options.allow_kill,
            "dump": state["kind"] != "none",
            "reset": ours,
            "flame": ours,
        }
        state["you"] = {
            "address": printable(visitor.address, 60),
            "worker": visitor.worker or None,
            "serial": visitor.serial or None,
            "logged_in": visit.admission.by == "cookie",
        }
        state["transport"] = {"stream": visitor.closing is not None, "poll_every": POLL_EVERY}
        return state

    def _page(self, visit: Visit) -> Any:
        state = self._state(visit)
        status = 501 if state["kind"] == "none" else 200
        wanted = wants(visit.request)
        if wanted == "application/json":
            response = json_answer(state, status)
        elif wanted == "text/plain":
            response = text_answer(status, text_table(state))
        else:
            template = (ASSETS / "page.html").read_text(encoding="utf-8")
            response = html_answer(status, filled(template, fragments_of(state, self._gate.csrf)))
        response.headers["Vary"] = "Accept"
        return response

    def _events(self, visit: Visit) -> Any:
        closing = visit.visitor.closing
        if closing is not None and visit.request.method == "GET" and self._streams.acquire(blocking=False):
            body: Any = Stream(lambda: event_of(self._state(visit)), closing, self._streams.release, POLL_EVERY)
        else:
            body = [b"retry: %d\n\n" % int(1000 * POLL_EVERY) + event_of(self._state(visit))]
        return Response(app_iter=body, content_type="text/event-stream", charset="utf-8")

    def _counters(self, visit: Visit) -> Any:
        if visit.server_view is None:
            return _said(visit, Outcome(501, "not found", "There is no pool of pastepool to count."))
        return json_answer(counters_of(self._state(visit)))

    def _asset(self, visit: Visit, name: str) -> Any:
        file = name.removeprefix("static/")
        kind = mimetypes.guess_type(file)[0]
        source = ASSETS / file
        if visit.request.method not in ("GET", "HEAD") or not _is_asset(file) or not source.is_file():
            return _said(visit, Outcome(404, "not found", "There is no such file."))
        response = Response(body=source.read_bytes(), content_type=kind or "application/octet-stream")
        if kind in ("text/css", "text/javascript", "application/javascript"):
            response.charset = "utf-8"
        response.headers["Cache-Control"] = "no-cache"
        return response

    # Doing.

    def _target(self, visit: Visit) -> tuple[ServerView, int, int] | Outcome:
        """Which request of which server a kill is aimed at."""
        if visit.server_view is None:
            return Outcome(501, "refused", "Only requests of pastepool's own pool can be killed.")
        if not self._options.allow_kill:
            return Outcome(
                403, "refused", "Killing is off; allow_kill = true, beside the other settings of this page, allows it."
            )
        worker, serial = visit.number("worker"), visit.number("serial")
        if worker is None or serial is None:
            return Outcome(400, "invalid", "worker and serial must both be whole numbers, as the page has them.")
        return visit.server_view, worker, serial

    def _ask(self, visit: Visit) -> Any:
        """Name the request and ask, before it is killed."""
        target = self._target(visit)
        if isinstance(target, Outcome):
            return _said(visit, target)
        server_view, number, serial = target
        worker = actions.find(server_view, number, serial)
        if isinstance(worker, Outcome):
            return _said(visit, worker)
        task = worker.fact[2]
        title = actions.task_title(task) if task is not None else ""
        form = (
            f"<p>Worker {number} runs</p><p><strong>{esc(title)}</strong></p><p>Killing raises an exception in it; its"
            " client is answered 504 if nothing was sent yet. What the application was doing is left half done.</p>"
            f'<form method="post" action="kill">{hidden(csrf=self._gate.csrf, worker=number, serial=serial)}'
            '<button class="danger">Kill this request</button></form>'
        )
        return html_answer(200, plain_page(f"Kill worker {number}?", form))

    def _kill(self, visit: Visit) -> Any:
        target = self._target(visit)
        return _said(
            visit, target if isinstance(target, Outcome) else actions.kill(target[0], visit.visitor, *target[1:])
        )

    def _dump(self, visit: Visit) -> Any:
        return _said(visit, actions.dump(visit.server_view, visit.visitor))

    def _reset(self, visit: Visit) -> Any:
        if visit.server_view is None:
            return _said(visit, Outcome(501, "refused", "There is nothing to reset."))
        self._watched(visit.server_view).observer.reset()
        return _said(visit, actions.note_reset(visit.server_view, visit.visitor))

    def _flame_status(self, visit: Visit) -> Any:
        return json_answer(_NO_FLAME if visit.server_view is None else self._watched(visit.server_view).flames.status())

    def _flame(self, visit: Visit) -> Any:
        seconds, worker = visit.number("seconds"), visit.number("worker") or 0
        if visit.server_view is None:
            return _said(visit, Outcome(501, "refused", "Only pastepool's own pool is looked at."))
        if seconds not in CHOICES:
            return _said(visit, Outcome(400, "invalid", f"seconds must be one of {', '.join(map(str, CHOICES))}."))
        try:
            begun = self._watched(visit.server_view).flames.start(seconds, worker)
        except RuntimeError as error:
            return _said(visit, Outcome(503, "refused", f"No thread can be started for it: {error}."))
        if not begun:
            return _said(visit, Outcome(409, "running", "Another flame graph is being drawn; there is one at a time."))
        return _said(visit, actions.note_flame(visit.server_view, visit.visitor, seconds, worker))

    def _picture(self, visit: Visit) -> Any:
        picture = None if visit.server_view is None else self._watched(visit.server_view).flames.picture()
        if picture is None:
            return _said(visit, Outcome(404, "not found", "There is no finished flame graph yet."))
        return Response(body=picture, content_type="image/svg+xml", charset="utf-8")

    def _login(self, visit: Visit) -> Any:
        request = visit.request
        admission = judge_origin(request.environ)
        if admission.status == 200 and (request.content_length or 0) <= FORM_LIMIT:
            if self._gate.knows(str(request.POST.get("token", ""))):
                _log.info("%s logged in", printable(visit.visitor.address))
                response = moved("./")
                response.headers["Set-Cookie"] = cookie_header(request, self._gate.cookie(time.time()), LOGGED_IN_FOR)
                return response
            admission = Admission(401, "The token is wrong.")
        _log.warning("%s: refused login: %s", printable(visit.visitor.address), admission.text)
        return self._refused(visit, admission)

    def _logout(self, visit: Visit) -> Any:
        response = moved("./")
        response.headers["Set-Cookie"] = cookie_header(visit.request, "", 0)
        return response


_NO_FLAME = {
    "running": False,
    "seconds": 0,
    "left": 0.0,
    "samples": 0,
    "ready": False,
    "finished_ago": None,
    "title": "",
    "cost_share": None,
    "choices": list(CHOICES),
}


def _said(visit: Visit, outcome: Outcome) -> Any:
    """Answer with what became of something, in the kind that was asked for."""
    wanted = wants(visit.request)
    if visit.api or wanted == "application/json":
        return json_answer(outcome.as_json(), outcome.status)
    if wanted == "text/plain":
        return text_answer(outcome.status, "\n".join(wrapped(outcome.text)) + "\n")
    return html_answer(outcome.status, plain_page(outcome.outcome.capitalize(), f"<p>{esc(outcome.text)}</p>"))


def _health(server_view: ServerView | None) -> Any:
    """Whether anybody can be served; tells nothing else, because it asks for no token."""
    status, word = health_of(server_view)
    return json_answer({"status": word}, status)


def _is_asset(file: str) -> bool:
    return file.isascii() and not file.startswith(".") and "/" not in file and "\\" not in file and file != "page.html"
