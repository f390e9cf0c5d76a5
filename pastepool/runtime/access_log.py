"""The access log: one line for each request, however it ended (logger ``pastepool.access``)."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Any

from pastepool.core.masking import masked_query, masked_url
from pastepool.core.wording import printable
from pastepool.types import Seconds

if TYPE_CHECKING:
    from pastepool.runtime.exchange import Exchange

_log = logging.getLogger("pastepool.access")

_FIELD_LIMIT = 300


def write_access_line(exchange: Exchange, now: Seconds) -> None:
    """
    Log one request: the combined format, then duration, queue wait, worker, and its fate if it was not simply answered.

    Values of a query that look secret are masked, and nothing a client sends can end the line or a quoted field.

    Runs on: whoever ends the request: its worker, the supervisor for a killed one, the baton's holder for a refused one.
    """
    environ = exchange.environ
    waited = max(0.0, exchange.started_at - exchange.arrived_at) if exchange.arrived_at and exchange.started_at else 0.0
    since = exchange.started_at or exchange.arrived_at or now
    user = environ.get("REMOTE_USER")
    _log.info(
        '%s - %s [%s] "%s %s %s" %s %s "%s" "%s" %.6f %.6f %s%s',
        environ.get("REMOTE_ADDR") or "-",
        _quoted(user) if isinstance(user, str) and user else "-",
        time.strftime("%d/%b/%Y:%H:%M:%S +0000", time.gmtime()),
        environ["REQUEST_METHOD"],
        _target(environ),
        environ["SERVER_PROTOCOL"],
        exchange.code_sent or exchange.code or "-",
        exchange.content_sent or "-",
        _quoted(masked_url(environ.get("HTTP_REFERER", ""))) or "-",
        _quoted(environ.get("HTTP_USER_AGENT", "")) or "-",
        max(0.0, now - since),
        waited,
        exchange.worker_name or "-",
        f" {exchange.fate}" if exchange.fate else "",
    )


def _target(environ: dict[str, Any]) -> str:
    path, question, query = str(environ.get("REQUEST_URI", "")).partition("?")
    return _quoted(path + (question + masked_query(query) if query else ""))


def _quoted(text: str) -> str:
    return printable(text, _FIELD_LIMIT).replace('"', '\\"')
