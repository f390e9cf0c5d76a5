"""
Who notes what happens to the pool: the supervisor's actions, refused requests, mails, an operator's deeds.

Knows events (``core.telling.event_log``) and where they come from; ``watch`` shows them. Runs on: any thread.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from email.message import EmailMessage
from typing import Any

from pastepool.core.telling.event_log import EventLog, PoolEvent
from pastepool.core.telling.masking import masked_path
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
    """The events of one server."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._log = EventLog()

    def note(self, kind: str, text: str, **about: Any) -> None:
        """Note that something happened now; ``about`` as for ``EventLog.note``."""
        self._log.note(kind, self._clock.now(), printable(masked_path(text), 500), **about)

    def note_shed(self, fate: str, now: Seconds) -> None:
        """Note that a waiting request was given up, or a connection turned away: one of ``SHED``."""
        self._log.note_more("shed", now, SHED[fate])

    def noting_mail(
        self, deliver: Callable[[EmailMessage, Any, Clock], None]
    ) -> Callable[[EmailMessage, Any, Clock], None]:
        """Wrap what hands a mail to a server, so that its success or failure is noted."""

        def deliver_and_note(mail: EmailMessage, route: Any, clock: Clock) -> None:
            try:
                deliver(mail, route, clock)
            except Exception as error:
                self.note("mail failed", f"could not mail {mail['To']}: {str(error) or type(error).__name__}")
                raise
            self.note("mail sent", f"mailed {mail['To']}: {mail['Subject']}")

        return deliver_and_note

    def events(self) -> list[PoolEvent]:
        """Give what is kept, the newest first."""
        return self._log.newest_first()

    def last_stack(self, worker: WorkerId, serial: int) -> tuple[Seconds, Sequence[CodePlace]]:
        """Give the oldest stack noted of one task, with its instant; an empty one if none was."""
        seen: Collection[PoolEvent] = [
            event for event in self.events() if (event.worker, event.serial) == (worker, serial)
        ]
        return next(((event.at, event.stack) for event in reversed(list(seen)) if event.stack), (0.0, ()))
