"""
``egg:pastepool#watch_threads``: the WSGI application that turns a request into a response, under any mount point.

This module knows the addresses, their methods, and what each needs before it may run. ``showing``, ``doing`` and
``entering`` make the responses. Runs on: the worker that has the request, or a thread of the admin listener; several
threads at once.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any
from urllib.parse import quote

from webob import Request

from pastepool.core.wording import printable
from pastepool.runtime.log.scribe import scribbled
from pastepool.watch import doing, entering, showing
from pastepool.watch.access import Gate
from pastepool.watch.answers import SECURITY, json_answer, moved, text_answer
from pastepool.watch.assets import asset
from pastepool.watch.drawn import drawn_token
from pastepool.watch.finding import watched_by
from pastepool.watch.forms import UnreadableForm
from pastepool.watch.options import WatchOptions
from pastepool.watch.visit import Mount, Visit, said
from pastepool.watch.visitor import Visitor, identify
from pastepool.watch.watched import ActionOutcome

_log = scribbled("pastepool.watch")

STREAM_LIMIT = 8
"""
How many streams may run at once on the admin listener; each occupies one of its threads. The client of one more stream
is told to poll.
"""

_STATIC = "static/"

ROUTES: Mapping[str, Mapping[str, Callable[[Visit], Any]]] = {
    "": {"GET": showing.page},
    "api/v1/state": {"GET": showing.state},
    "api/v1/events": {"GET": showing.events},
    "api/v1/counters": {"GET": showing.counters},
    "api/v1/flame": {"GET": showing.flame_status, "POST": doing.flame},
    "flame": {"POST": doing.flame},
    "flame.svg": {"GET": showing.picture},
    "kill": {"GET": doing.ask, "POST": doing.kill},
    "api/v1/kill": {"POST": doing.kill},
    "dump": {"POST": doing.dump},
    "api/v1/dump": {"POST": doing.dump},
    "reset": {"POST": doing.reset},
    "api/v1/reset": {"POST": doing.reset},
    "logout": {"POST": entering.logout},
}
"""
The function for each address and method. ``WatchApp._change`` checks every POST before its function runs.
"""


class WatchApp:
    """
    The application of one mounted page. One process may have several pages that show the same pool.

    ``options``: what the operator allows on this page. Without a token there, only the admin listener shows the page
    without asking: it listens on a loopback address then. A request that comes through the main server needs the token
    of ``drawn``.
    """

    def __init__(self, options: WatchOptions) -> None:
        streams = threading.BoundedSemaphore(STREAM_LIMIT)
        self._options = options
        self._mount = Mount(options, Gate(options.token, options.allow_from), streams)
        self._mount_with_drawn_token: Mount | None = None

    def ready(self) -> None:
        """
        Draw the token now if the page has none. Called when the page is mounted, so that the log has the token from the
        start; otherwise the first request of a visitor does it.
        """
        if not self._options.token:
            drawn_token.get()

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        request = Request(environ)
        try:
            response = self._answer(request)
        except UnicodeError:
            response = text_answer(400, "The request is not valid UTF-8.")
        for name, value in SECURITY.items():
            response.headers.setdefault(name, value)
        # We do not call the response itself: it would make Location absolute, with a host that a proxy may have
        # changed.
        start_response(response.status, response.headerlist)
        if request.method == "HEAD":
            close = getattr(response.app_iter, "close", None)
            if close is not None:
                close()
            return []
        return response.app_iter  # type: ignore[no-any-return]

    def _answer(self, request: Any) -> Any:
        """Find the visitor and the server below, decide whether the visitor is admitted, and make the response."""
        path = _decoded(request.environ, "PATH_INFO")
        if not path:
            mounted_at = _decoded(request.environ, "SCRIPT_NAME")
            return moved(quote(f"{mounted_at.rpartition('/')[2]}/") if mounted_at else "/")
        name = path[1:]
        watched = watched_by(request.environ)
        if name == "health":
            status, word = watched.health()
            return json_answer({"status": word}, status)  # it tells no more, because it asks for no token
        visitor = identify(request.environ, watched.own_request())
        mount = self._mount_for(visitor)
        admission = mount.gate.judge(request.environ, visitor, time.time())
        visit = Visit(mount, request, visitor, admission, watched, name.startswith("api/"))
        try:
            return self._admitted(visit, name)
        except UnreadableForm as error:
            return said(visit, ActionOutcome(error.status, "invalid", str(error)))

    def _admitted(self, visit: Visit, name: str) -> Any:
        """Make the response for a visitor who may be admitted or not."""
        status = visit.admission.status
        if status in (401, 429) and name == "login" and visit.request.method == "POST":
            return entering.login(visit)
        if name.startswith(_STATIC) and status in (200, 401, 429):
            return asset(visit, name.removeprefix(_STATIC))
        if status != 200:
            return entering.refused(visit, visit.admission)
        return self._routed(visit, name)

    def _mount_for(self, visitor: Visitor) -> Mount:
        """Return the mount whose gate judges the visitor: without a token, the way the request came decides."""
        if self._options.token or visitor.closing is not None:
            return self._mount
        if self._mount_with_drawn_token is None:
            options = self._options
            gate = Gate(drawn_token.get(), options.allow_from, drawn=True)
            self._mount_with_drawn_token = Mount(options, gate, self._mount.streams)
        return self._mount_with_drawn_token

    def _routed(self, visit: Visit, name: str) -> Any:
        method = "GET" if visit.request.method == "HEAD" else visit.request.method
        if name == "login":
            return moved("./")
        route = ROUTES.get(name)
        if route is None:
            return said(visit, ActionOutcome(404, "not found", "There is no such page here."))
        if method not in route:
            allowed = ", ".join(sorted(route))
            response = said(visit, ActionOutcome(405, "refused", f"This address takes {allowed} only."))
            response.headers["Allow"] = allowed
            return response
        return self._change(visit, name, route[method]) if method == "POST" else route[method](visit)

    def _change(self, visit: Visit, name: str, action: Callable[[Visit], Any]) -> Any:
        """Run an action if the form comes from our own page, and make the next look show the result."""
        gate, admitted = visit.mount.gate, visit.admission
        form_csrf = visit.form.get("csrf", "")
        admission = gate.judge_change(visit.request.environ, form_csrf, admitted.by, admitted.session)
        if admission.status != 200:
            _log.warning("%s: refused %s: %s", printable(visit.visitor.address), name, admission.text)
            return said(visit, ActionOutcome(admission.status, "refused", admission.text))
        try:
            return action(visit)
        finally:
            visit.watched.refresh()


def _decoded(environ: dict[str, Any], key: str) -> str:
    """Return a path of the environ as text; empty if it is not there. Raises: UnicodeError: it is not UTF-8."""
    return str(environ.get(key) or "").encode("latin-1").decode("utf-8")
