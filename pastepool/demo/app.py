"""Find the route for a request, and refuse a request that has none."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from webob import Request, Response

from pastepool.demo import crashing, files, gone, hanging, upload, working
from pastepool.demo.html import page, refusal
from pastepool.demo.index import index
from pastepool.demo.numbers import BadNumber
from pastepool.demo.route import Route

ROUTES: tuple[Route, ...] = (
    *working.ROUTES,
    *upload.ROUTES,
    *files.ROUTES,
    *gone.ROUTES,
    *hanging.ROUTES,
    *crashing.ROUTES,
)


class Demo:
    """
    The WSGI application.

    ``hang_limit``: the most seconds any route takes. Nothing in the object changes, so many threads may call it at
    once.
    """

    def __init__(self, hang_limit: float) -> None:
        self._hang_limit = hang_limit
        self._routes = {route.path: route for route in ROUTES}

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        """Answer one request. An exception that a route raises on purpose goes up to the server."""
        body: Iterable[bytes] = self._answer(Request(environ))(environ, start_response)
        return body

    def _answer(self, request: Request) -> Response:
        path = request.environ.get("PATH_INFO", "")
        if path in ("", "/"):
            return page(request, "The server that does not hang", index(request, ROUTES, self._hang_limit))
        route = self._routes.get(path)
        if route is None:
            return refusal(request, 404, f"There is no page {path!r} here.")
        if request.method not in route.methods:
            answer = refusal(request, 405, f"{path} takes {' and '.join(route.methods)}, not {request.method}.")
            answer.allow = route.methods
            return answer
        try:
            return route.handler(request, self._hang_limit)
        except BadNumber as error:
            return refusal(request, 400, f"The value of {error}.")
