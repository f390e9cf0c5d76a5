"""
Note what happens to the pool: the supervisor's actions, refused requests, mails, and the actions of operators.

This module makes the events of ``core.telling.event_log``; ``watch`` shows them. Runs on: any thread.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Sequence
from email.message import EmailMessage
from typing import Any

from pastepool.core.telling.event_log import EventLog, PoolEvent
from pastepool.core.telling.masking import masked_parameters
from pastepool.core.telling.report import CodePlace
from pastepool.core.wording import printable
from pastepool.types import Clock, Seconds, WorkerId

SHED = {
    "refused": "refused: all workers were busy and enough requests waited",
    "expired": "refused: all workers were busy and the request waited too long",
    "dropped": "dropped: its client hung up while it waited",
    "turned_away": "turned away: the server had its limit of connections",
}


class EventJournal:
    """Keeps the events of one server. ``_log`` is read and written under ``_lock``."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._log = EventLog()
        self._lock = threading.Lock()

    def note(self, kind: str, text: str, **about: Any) -> None:
        """Note an event that happens now. ``about``: as for ``EventLog.note``. Secrets in the text are masked."""
        text = printable(masked_parameters(text), 500)
        with self._lock:
            self._log.note(kind, self._clock.now(), text, **about)

    def note_shed(self, fate: str, now: Seconds) -> None:
        """Note that a waiting request was given up, or a client turned away. ``fate``: a key of ``SHED``."""
        with self._lock:
            self._log.note_more("shed", now, SHED[fate])

    def note_cut(self, now: Seconds) -> None:
        """Note that a client was cut that did not read."""
        self._log.note_more("cut", now, "cut: a client read nothing while requests waited for its worker")

    def noting_mail(
        self, deliver: Callable[[EmailMessage, Any, Clock], None]
    ) -> Callable[[EmailMessage, Any, Clock], None]:
        """Wrap the function that hands a mail to a mail server, so that its success or failure is noted."""

        def deliver_and_note(mail: EmailMessage, route: Any, clock: Clock) -> None:
            try:
                deliver(mail, route, clock)
            except Exception as error:
                self.note("mail failed", f"could not mail {mail['To']}: {str(error) or type(error).__name__}")
                raise
            self.note("mail sent", f"mailed {mail['To']}: {mail['Subject']}")

        return deliver_and_note

    def events(self) -> list[PoolEvent]:
        """Return the kept events, the newest first."""
        with self._lock:
            return self._log.newest_first()

    def last_stack(self, worker: WorkerId, serial: int) -> tuple[Seconds, Sequence[CodePlace]]:
        """Return the oldest stack noted of one task, with its instant; 0.0 and an empty stack if there is none."""
        seen: Collection[PoolEvent] = [
            event for event in self.events() if (event.worker, event.serial) == (worker, serial)
        ]
        return next(((event.at, event.stack) for event in reversed(list(seen)) if event.stack), (0.0, ()))
