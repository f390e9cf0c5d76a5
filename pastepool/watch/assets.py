"""Serve the static files of the page: script, style and pictures. No other file can be read through this module."""

from __future__ import annotations

import functools
import mimetypes
from importlib import resources
from typing import Any

from webob import Response

from pastepool.watch.visit import Visit, said
from pastepool.watch.watched import ActionOutcome

ASSETS = resources.files("pastepool.watch") / "static"


def asset(visit: Visit, file: str) -> Any:
    """Return a response with one file; 404 for any other name."""
    kind = mimetypes.guess_type(file)[0]
    if visit.request.method not in ("GET", "HEAD") or file not in _names():
        return said(visit, ActionOutcome(404, "not found", "There is no such file."))
    response = Response(body=(ASSETS / file).read_bytes(), content_type=kind or "application/octet-stream")
    if kind in ("text/css", "text/javascript", "application/javascript"):
        response.charset = "utf-8"
    response.headers["Cache-Control"] = "no-cache"
    return response


@functools.cache
def _names() -> frozenset[str]:
    """
    Return the names of the files that are served.

    A name from a visitor is compared with these names, and never goes to the system: there it could be too long, hold a
    null byte, or lead to another folder.
    """
    return frozenset(file.name for file in ASSETS.iterdir() if file.is_file() and not file.name.startswith(".")) - {
        "page.html"
    }
