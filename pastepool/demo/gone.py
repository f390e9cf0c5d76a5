"""The route whose work stops when the client hangs up."""

from __future__ import annotations

import logging
import time

from webob import Request, Response

from pastepool.demo.html import page
from pastepool.demo.numbers import parameter
from pastepool.demo.route import Route

STEP = 0.1
"""Seconds between two questions whether the client is still there."""

log = logging.getLogger("pastepool.demo")


def gone(request: Request, hang_limit: float) -> Response:
    """Work for ``?seconds=`` in small steps, and stop when the client hangs up."""
    seconds = parameter(request, "seconds", 20, 0, hang_limit)
    client_gone = request.environ.get("pastepool.client_gone")
    began_at = time.monotonic()
    while time.monotonic() < began_at + seconds:
        if client_gone is not None and client_gone():
            log.info("the client left after %.1f s of %g; the work was stopped", time.monotonic() - began_at, seconds)
            return page(request, "Stopped", "<p>Nobody reads this: the client has left.</p>")
        time.sleep(min(STEP, seconds))
    told = "told the application nothing about its clients" if client_gone is None else "was asked all along"
    return page(request, "You stayed", f"<p>You stayed for {seconds:g} seconds. The server {told}.</p>")


ROUTES = (
    Route(
        "/gone",
        "Client gone",
        "Twenty seconds of work that stops, with a line in the log, when you close the tab.",
        gone,
        (("Start, then close the tab", "seconds=20"),),
    ),
)
