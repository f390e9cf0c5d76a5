"""
Make the responses of the page, in each format, and the headers that let a browser only show them.

This module knows WebOb's responses. It does not know the pool.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import quote

from webob import Response

from pastepool.types import Seconds
from pastepool.watch.access import COOKIE
from pastepool.watch.watched import State

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self';"
    " base-uri 'none'; frame-ancestors 'none'"
)
SECURITY = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}


class Stream:
    """
    A response body without end: one event at once, then one after each pause, until the client or the listener closes.

    ``event``: makes the next event; None ends the stream. ``closing``: set when the listener closes. ``release``: called
    once at the end.
    """

    def __init__(
        self, event: Callable[[], bytes | None], closing: threading.Event, release: Callable[[], None], pause: Seconds
    ) -> None:
        self._event = event
        self._closing = closing
        self._release: Callable[[], None] | None = release
        self._first = True
        self._pause = pause

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        if not self._first:
            self._closing.wait(self._pause)
        self._first = False
        event = None if self._closing.is_set() else self._event()
        if event is None:
            raise StopIteration
        return event

    def close(self) -> None:
        """
        Call ``release``, even if the body was never read.

        That is why this class is not a generator: the ``finally`` of a generator that was never started does not run.
        """
        if self._release is not None:
            self._release()
            self._release = None


def wants(request: Any) -> str:
    """Return the media type that the client prefers: HTML, JSON or plain text; HTML if it accepts none of them."""
    offers = request.accept.acceptable_offers(["text/html", "application/json", "text/plain"])
    return str(offers[0][0]) if offers else "text/html"


def cookie_header(request: Any, value: str, lasts: Seconds) -> str:
    """
    Return a ``Set-Cookie`` header. ``lasts``: 0 deletes the cookie.

    WebOb could write it, but WebOb 1.8 reads the clock with a function that Python 3.12 warns about.
    """
    where = quote(f"{request.script_name}/")
    # A proxy may take TLS off and tell us nothing. The Origin of the form is the address in the browser.
    origin = str(request.environ.get("HTTP_ORIGIN", ""))
    secure = "; Secure" if request.scheme == "https" or origin.lower().startswith("https://") else ""
    return f"{COOKIE}={value}; Path={where}; Max-Age={int(lasts)}; HttpOnly; SameSite=Strict{secure}"


def event_of(state: State) -> bytes:
    """Write the state as one server-sent event."""
    return b"event: state\ndata: " + encoded(state) + b"\n\n"


def encoded(value: Any) -> bytes:
    """Write a value as JSON in bytes."""
    # A file name may contain a lone surrogate. ``backslashreplace`` turns it into an escape that is valid in JSON.
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "backslashreplace")


def json_answer(value: Any, status: int = 200) -> Any:
    """Make a response in JSON."""
    return Response(body=encoded(value), status=status, content_type="application/json", charset="utf-8")


def text_answer(status: int, text: str) -> Any:
    """Make a response in plain text, for a terminal."""
    return Response(body=text.encode("utf-8", "replace"), status=status, content_type="text/plain", charset="utf-8")


def html_answer(status: int, text: str) -> Any:
    """Make a response in HTML."""
    return Response(body=text.encode("utf-8", "replace"), status=status, content_type="text/html", charset="utf-8")


def moved(where: str) -> Any:
    """Make a response that redirects the visitor. ``where``: an address relative to the present one."""
    return Response(
        status=303, headerlist=[("Location", where), ("Content-Length", "0"), ("Content-Type", "text/plain")]
    )
