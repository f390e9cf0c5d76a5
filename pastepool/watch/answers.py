"""
What goes out: the kinds of answers, and the headers that keep a browser from doing anything with them but show them.

Knows WebOb's responses and nothing of the pool.
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
    """An answer that goes on: an event at once and then one after each pause, until either side hangs up."""

    def __init__(
        self, event: Callable[[], bytes], closing: threading.Event, release: Callable[[], None], pause: Seconds
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
        if self._closing.is_set():
            raise StopIteration
        return self._event()

    def close(self) -> None:
        """Give the place back, also if nothing was ever read (a generator's ``finally`` would not run then)."""
        if self._release is not None:
            self._release()
            self._release = None


def wants(request: Any) -> str:
    """The kind of answer a client likes best."""
    offers = request.accept.acceptable_offers(["text/html", "application/json", "text/plain"])
    return str(offers[0][0]) if offers else "text/html"


def cookie_header(request: Any, value: str, lasts: Seconds) -> str:
    """Write the cookie by hand: WebOb 1.8 asks the time in a way Python 3.12 warns of."""
    where = quote(f"{request.script_name}/")
    secure = "; Secure" if request.scheme == "https" else ""
    return f"{COOKIE}={value}; Path={where}; Max-Age={int(lasts)}; HttpOnly; SameSite=Strict{secure}"


def event_of(state: State) -> bytes:
    """The state as one server-sent event."""
    return b"event: state\ndata: " + encoded(state) + b"\n\n"


def encoded(value: Any) -> bytes:
    """JSON as bytes."""
    # A lone surrogate, which a file name may hold, becomes an escape that JSON knows.
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "backslashreplace")


def json_answer(value: Any, status: int = 200) -> Any:
    """Answer with JSON."""
    return Response(body=encoded(value), status=status, content_type="application/json", charset="utf-8")


def text_answer(status: int, text: str) -> Any:
    """Answer with text for a terminal."""
    return Response(body=text.encode("utf-8", "replace"), status=status, content_type="text/plain", charset="utf-8")


def html_answer(status: int, text: str) -> Any:
    """Answer with a page."""
    return Response(body=text.encode("utf-8", "replace"), status=status, content_type="text/html", charset="utf-8")


def moved(where: str) -> Any:
    """Send the visitor somewhere else, relative to where he is."""
    return Response(
        status=303, headerlist=[("Location", where), ("Content-Length", "0"), ("Content-Type", "text/plain")]
    )
