"""
Draw a token for mounted pages that have none, and write it into the log.

A mounted page is served at the port of the application, and often a proxy stands in front of that port. Every visitor
of a proxy on this machine has a loopback address, and nginx with a plain ``proxy_pass`` adds no header that would give
it away. So no fact about a request proves that it comes from this machine, and a mounted page asks for a token always.
"""

from __future__ import annotations

import secrets
import threading

from pastepool.runtime.log.scribe import scribbled

_log = scribbled("pastepool.watch")


class DrawnToken:
    """
    One random token for all pages of this process that have none. Runs on: any thread.

    ``_token`` is written once, under ``_lock``.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._token = ""

    def get(self) -> str:
        """Return the token. The first call draws it and writes it into the log."""
        with self._lock:
            if not self._token:
                self._token = secrets.token_urlsafe(24)
                _log.warning(
                    "watch_threads is mounted without a token, so this one was drawn: %s - enter it in the login form"
                    " of the page; it is valid until the process ends. To choose it yourself, set token in the section"
                    " of the page.",
                    self._token,
                )
            return self._token


drawn_token = DrawnToken()
"""The token of this process. A process that is forked after it was drawn has the same token."""
