"""Serve the static files of the page: script, style and pictures. No other file can be read through this module."""

from __future__ import annotations

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
    source = ASSETS / file
    if visit.request.method not in ("GET", "HEAD") or not _is_asset(file) or not source.is_file():
        return said(visit, ActionOutcome(404, "not found", "There is no such file."))
    response = Response(body=source.read_bytes(), content_type=kind or "application/octet-stream")
    if kind in ("text/css", "text/javascript", "application/javascript"):
        response.charset = "utf-8"
    response.headers["Cache-Control"] = "no-cache"
    return response


def _is_asset(file: str) -> bool:
    return file.isascii() and not file.startswith(".") and "/" not in file and "\\" not in file and file != "page.html"
