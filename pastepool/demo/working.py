"""The routes that work: one answers at once, one after a while, one line by line, one shows the environment."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from typing import Any

from webob import Request, Response

from pastepool.demo.html import page, table
from pastepool.demo.numbers import parameter
from pastepool.demo.route import Route

SHOWN = (
    "REQUEST_METHOD SCRIPT_NAME PATH_INFO QUERY_STRING CONTENT_TYPE CONTENT_LENGTH SERVER_NAME SERVER_PORT "
    "SERVER_PROTOCOL SERVER_SOFTWARE REMOTE_ADDR REMOTE_PORT HTTP_HOST HTTP_ACCEPT HTTP_ACCEPT_ENCODING "
    "HTTP_ACCEPT_LANGUAGE HTTP_CONNECTION HTTP_USER_AGENT wsgi.version wsgi.url_scheme "
    "wsgi.multithread wsgi.multiprocess wsgi.run_once wsgi.input_terminated"
).split()
"""
The only keys whose values are shown. Cookies, credentials and headers that a proxy adds are not among them, because
they are private.
"""


def fast(request: Request, hang_limit: float) -> Response:
    """Answer at once."""
    return page(
        request, "Fast", f"<p>Answered at once by the thread <code>{threading.current_thread().name}</code>.</p>"
    )


def slow(request: Request, hang_limit: float) -> Response:
    """Answer after ``?seconds=`` seconds."""
    seconds = parameter(request, "seconds", 2, 0, hang_limit)
    time.sleep(seconds)
    return page(request, "Slow", f"<p>This took {seconds:g} seconds on purpose.</p>")


def streaming(request: Request, hang_limit: float) -> Response:
    """Send ``?lines=`` lines, one every ``?interval=`` seconds."""
    lines = int(parameter(request, "lines", 10, 1, 100_000))
    interval = parameter(request, "interval", 0.5, 0, hang_limit / lines)
    answer = Response(app_iter=_lines(lines, interval), content_type="text/plain", charset="utf-8")
    answer.headers["Cache-Control"] = "no-store"
    answer.headers["X-Content-Type-Options"] = "nosniff"
    return answer


def environ(request: Request, hang_limit: float) -> Response:
    """Show the WSGI environment, except what may be secret."""
    rows = [(key, _shown(request.environ[key])) for key in SHOWN if key in request.environ]
    extensions = sorted(key for key in request.environ if key.startswith(("pastepool.", "paste.", "wsgi.file_wrapper")))
    rows += [(key, f"({type(request.environ[key]).__name__})") for key in extensions]
    return page(request, "The WSGI environment", f"<p>Cookies and credentials are left out.</p>{table(rows)}")


def _lines(lines: int, interval: float) -> Iterator[bytes]:
    for line in range(1, lines + 1):
        if line > 1:
            time.sleep(interval)
        yield f"line {line} of {lines}\n".encode()


def _shown(value: Any) -> str:
    return value if isinstance(value, str) else repr(value)


ROUTES = (
    Route("/fast", "Fast", "A page that is ready at once.", fast),
    Route(
        "/slow",
        "Slow",
        "A page that takes its time, as a report or a remote service does.",
        slow,
        (("1 second", "seconds=1"), ("5 seconds", "seconds=5"), ("40 seconds", "seconds=40")),
    ),
    Route(
        "/streaming",
        "Streaming",
        "Lines that arrive one by one while the application is still at work.",
        streaming,
        (("10 lines", "lines=10&interval=0.5"), ("10,000 lines at once", "lines=10000&interval=0")),
    ),
    Route("/environ", "Environment", "What the server tells the application about your request.", environ),
)
