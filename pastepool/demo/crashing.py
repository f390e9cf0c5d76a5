"""The route that fails: before the first byte, after the first byte, or by calling ``sys.exit``."""

from __future__ import annotations

import sys
from collections.abc import Iterator

from webob import Request, Response

from pastepool.demo.html import refusal
from pastepool.demo.route import Route


class DemonstrationError(Exception):
    """Raised on purpose. Catcher: the server, which answers 500 or cuts the connection."""


def crashing(request: Request, hang_limit: float) -> Response:
    """Fail as ``?when=`` says: ``before`` or ``after`` the first byte, or ``exit`` to call ``sys.exit``."""
    when = request.GET.get("when", "before")
    if when == "before":
        raise DemonstrationError("raised before the first byte, on purpose")
    if when == "after":
        return Response(app_iter=_breaking_off(), content_type="text/plain", charset="utf-8")
    if when == "exit":
        sys.exit("called by the application, on purpose")
    return refusal(request, 400, f"The value of when has to be before, after or exit, not {when[:40]!r}.")


def _breaking_off() -> Iterator[bytes]:
    yield b"The first half of a sentence, and then"
    raise DemonstrationError("raised after the first byte, on purpose")


ROUTES = (
    Route(
        "/crashing",
        "Crashing",
        "An exception before the first byte (500), after it (the connection is cut), and sys.exit().",
        crashing,
        (("before the first byte", "when=before"), ("after it", "when=after"), ("sys.exit()", "when=exit")),
    ),
)
