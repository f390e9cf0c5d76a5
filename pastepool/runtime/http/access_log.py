"""Write the access log: one line for each request, however it ended (logger ``pastepool.access``)."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any

from pastepool.core.telling.beginnings import beginning, beginning_of_url
from pastepool.core.telling.masking import masked_path, masked_query, masked_url
from pastepool.core.wording import printable
from pastepool.runtime.log.pen import Pen
from pastepool.runtime.log.scribe import scribbled
from pastepool.types import Seconds

if TYPE_CHECKING:
    from pastepool.runtime.http.exchange import Exchange

_by_pen = Pen(logging.getLogger("pastepool.access"))
_by_scribe = scribbled("pastepool.access")

_FIELD_LIMIT = 300

_REMEMBERED = 2048
"""How many texts of clients are remembered, together with their spelling in the log; a megabyte or two at most."""

_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
"""``strftime`` would take the names from the locale, which the application may set."""


def access_line(exchange: Exchange, now: Seconds, *, aside: bool = False) -> Callable[[], None]:
    """
    Return a function that writes the line of one request. The line has the facts of this moment, even if the function
    is called later.

    The line is in the combined format, followed by the duration, the wait for a worker (both in seconds), the worker,
    the fate if the request did not end normally, and the proxy if a trusted one gave the client's address. Values of a
    query that look secret are masked. No text of a client can end the line or a quoted field.

    ``aside``: the calling thread must not wait for the log, so another thread writes the line.

    Runs on: the thread that ends the request: its worker; with ``aside`` the supervisor for a killed request, and the
    baton's holder for a refused one.
    """
    environ = exchange.environ
    waited = max(0.0, exchange.started_at - exchange.arrived_at) if exchange.arrived_at and exchange.started_at else 0.0
    since = exchange.started_at or exchange.arrived_at or now
    peer = exchange.connection.peer or "-"
    is_proxy = "pastepool.peer" in environ
    return partial(
        (_by_scribe if aside else _by_pen).info,
        '%s - %s [%s] "%s %s %s" %s %s "%s" "%s" %.6f %.6f %s%s%s',
        (_quoted(_text(environ, "REMOTE_ADDR")).replace(" ", "%20") or "-") if is_proxy else peer,
        _quoted(_text(environ, "REMOTE_USER")).replace(" ", "%20") or "-",
        _time_of_day(),
        exchange.method,
        _spelled(_target, exchange.target),
        f"HTTP/{exchange.version}",
        exchange.code_sent or exchange.code or "-",
        exchange.content_sent or "-",
        _spelled(_referer, _text(environ, "HTTP_REFERER")) or "-",
        _spelled(_quoted, _text(environ, "HTTP_USER_AGENT")) or "-",
        max(0.0, now - since),
        waited,
        exchange.worker_name or "-",
        f" {exchange.fate}" if exchange.fate else "",
        f" via {peer}" if is_proxy else "",
    )


def _time_of_day() -> str:
    """Spell this second as the combined format does, in UTC."""
    return _second(int(time.time()))


@lru_cache(1)
def _second(when: int) -> str:
    year, month, day, hour, minute, second = time.gmtime(when)[:6]
    return f"{day:02d}/{_MONTHS[month - 1]}/{year}:{hour:02d}:{minute:02d}:{second:02d} +0000"


def _text(environ: dict[str, Any], key: str) -> str:
    """Return a text of the environ; empty for anything else, because the application may have changed the value."""
    value = environ.get(key, "")
    return value if isinstance(value, str) else ""


def _spelled(spell: Callable[[Any], str], text: str | bytes) -> str:
    """
    Spell a text of a client for the line. ``spell``: the function that does it.

    The result for a short text is remembered: the same browsers ask for the same paths again and again, and the search for
    secrets takes longer than a short request. A text of a class of the application's own is not remembered, because it may
    be equal to another text and be spelled in another way.
    """
    is_remembered = len(text) <= _FIELD_LIMIT and type(text) in (str, bytes)
    return _remembered(spell, text) if is_remembered else spell(text)


@lru_cache(_REMEMBERED)
def _remembered(spell: Callable[[Any], str], text: str | bytes) -> str:
    return spell(text)


def _referer(url: str) -> str:
    return _quoted(masked_url(beginning_of_url(url, _FIELD_LIMIT)))


def _target(target: bytes) -> str:
    path, question, query = beginning(target.decode("latin-1"), _FIELD_LIMIT).partition("?")
    return _quoted(masked_path(path) + (question + masked_query(query) if query else ""))


def _quoted(text: str) -> str:
    """
    Escape a text for a quoted field. Backslashes are escaped first: otherwise a backslash of the client would cancel
    the one that escapes the quotation mark after it.
    """
    seen = text[: _FIELD_LIMIT + 1]
    return printable(seen.replace("\\", "\\\\").replace('"', '\\"'), _FIELD_LIMIT)
