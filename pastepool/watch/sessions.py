"""
Make and check sessions: what a browser has after the token was entered. Pure except for a lock and random numbers.

A session is a text that only a server with the token can make: when it ends and a random id, with a signature. So it is
valid in every process that has the token, also after a restart, and nothing about it is stored, except that it was
ended by a logout.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import threading

from pastepool.types import Seconds

WallTime = float
"""An instant as ``time.time()`` gives it. The end of a session outlives the process, and a monotonic clock does not."""

LOGGED_IN_FOR: Seconds = 12 * 3600.0
"""How long a login lasts: a working day. After it the visitor must give the token again."""


class LoggedOut:
    """The sessions that a logout ended before their time. ``_until`` is written under ``_lock``. Runs on: any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._until: dict[str, int] = {}

    def add(self, session: str, until: int, now: WallTime) -> None:
        """End a session. Sessions whose time is over are forgotten."""
        with self._lock:
            self._until = {known: end for known, end in self._until.items() if now < end}
            self._until[session] = until

    def __contains__(self, session: str) -> bool:
        return session in self._until


logged_out = LoggedOut()
"""The sessions that were ended in this process. All its pages share it, because two pages may have the same token."""


class Sessions:
    """The sessions of one token. ``token``: may be empty, if there are no sessions."""

    def __init__(self, token: bytes) -> None:
        self._key = hmac.digest(token, b"pastepool watch_threads cookie 2", "sha256")

    def begin(self, now: WallTime) -> str:
        """Make a session; its text is the value of the cookie."""
        session = f"{int(now + LOGGED_IN_FOR)}-{secrets.token_hex(12)}"
        return f"{session}.{self._proof('session', session)}"

    def check(self, value: str, now: WallTime) -> str:
        """Return the session of a cookie's value; empty if it is not one of ours, is over or was ended."""
        session, _, proof = value.partition(".")
        given = proof.encode("utf-8", "backslashreplace")
        if not hmac.compare_digest(given, self._proof("session", session).encode()):
            return ""
        return session if self.lasts(session, now) else ""

    def lasts(self, session: str, now: WallTime) -> bool:
        """Say whether a session that was checked before still lasts."""
        return now < _end_of(session) and session not in logged_out

    def end(self, session: str, now: WallTime) -> None:
        """End a session that was checked, in this process."""
        logged_out.add(session, _end_of(session), now)

    def csrf(self, session: str) -> str:
        """Return the text that the forms of one session contain and no other site has."""
        return self._proof("csrf", session)

    def _proof(self, purpose: str, session: str) -> str:
        message = f"{purpose} {session}".encode("utf-8", "backslashreplace")
        return hmac.new(self._key, message, hashlib.sha256).hexdigest()


def _end_of(session: str) -> int:
    return int(session.partition("-")[0])
