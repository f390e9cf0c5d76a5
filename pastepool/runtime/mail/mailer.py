"""
Mail operators what happened, without ever keeping anybody waiting.

Knows a thread, a bounded queue and patience with mail servers. What a mail says and how often one may be sent is
decided by ``core.telling.notices``; how one reaches a server is known to ``smtp``.

``submit`` runs on any thread, mostly the supervisor; ``start`` and ``close`` on the one that composes the server;
everything else on the mailer's own thread, which exists only if somebody is to be mailed.

What is promised when things go wrong:

- a notice that finds the queue full is dropped and counted, and the next digest says how many;
- a mail that could not be sent is tried again a minute later, ten times; then it is counted like a dropped notice;
- while the server fails it is asked once a minute, so the log holds one warning a minute;
- the end of the process overtakes whatever waits, because there is little time left for it.
"""

from __future__ import annotations

import logging
import math
import os
import re
import socket
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from email import policy
from email.message import EmailMessage
from email.utils import formatdate, make_msgid

from pastepool.core.telling.notices import (
    MailRate,
    MailState,
    Notice,
    Origin,
    ProcessDies,
    compose,
    digest,
    digest_at,
    offer,
)
from pastepool.core.wording import counted, printable
from pastepool.runtime.mail.smtp import Route, deliver
from pastepool.runtime.system.threads import spawn_thread
from pastepool.settings.values import MailSettings
from pastepool.types import Clock, Seconds

QUEUE_LIMIT = 100
"""Notices that may wait for the mailer's thread. One holds up to ten stacks; nothing derives the number."""

OUTBOX_LIMIT = 20
"""Finished mails that may wait for a server that fails: two windows' worth of the usual rate."""

RETRY_AFTER: Seconds = 60.0
ATTEMPTS = 10

_DOMAIN = re.compile(r"[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*")

_log = logging.getLogger("pastepool.mail")

Deliver = Callable[[EmailMessage, Route, Clock], None]


@dataclass
class _Letter:
    """A mail ready to be sent. ``attempts``: how often that was tried."""

    mail: EmailMessage
    attempts: int = 0


class Mailer:
    """
    Takes notices and mails them.

    Fields written under ``_lock`` by any thread: ``_queue``, ``_lost``, ``_closing``. The mailer's thread alone writes
    ``_outbox``, ``_state`` and ``_retry_at``.
    """

    def __init__(
        self,
        settings: MailSettings,
        clock: Clock,
        *,
        config_file: str = "",
        rate: MailRate | None = None,
        deliver: Deliver = deliver,
    ) -> None:
        """
        Start nothing and open nothing.

        Args:
            settings: without recipients nobody is mailed: notices are taken and forgotten, no thread is started.
            clock: for the rate, the retries and ``close``.
            config_file: shown in every mail.
            rate: how often is often enough.
            deliver: hands one mail to a server; raises when that fails, and must end within a bounded time.
        """
        self._settings = settings
        self._clock = clock
        self._rate = rate or MailRate()
        self._deliver = deliver
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._finished = threading.Event()
        self._started = False
        self._queue: deque[Notice] = deque()
        self._lost = 0
        self._closing = False
        self._outbox: deque[_Letter] = deque()
        self._state = MailState()
        self._retry_at: Seconds = 0.0
        self._origin = Origin("", 0, config_file)

    def start(self) -> None:
        """Start the thread, in the process that will serve. A second call does nothing. Raises: NoThread."""
        if self._settings.recipients and not self._started:
            self._origin = Origin(socket.gethostname(), os.getpid(), self._origin.config_file)
            self._retry_at = self._clock.now()
            spawn_thread(self._run, "pastepool mailer")
            self._started = True

    def submit(self, notice: Notice) -> None:
        """
        Ask for an operator to be told. Returns at once, raises nothing, promises nothing.

        Runs on: any thread.
        """
        if not self._settings.recipients:
            return
        with self._lock:
            if self._closing or len(self._queue) >= QUEUE_LIMIT:
                self._lost += 1
            else:
                self._queue.append(notice)
        self._wake.set()

    def close(self, wait: Seconds) -> bool:
        """
        Take no more notices, try once to mail what waits, and wait no longer than ``wait`` seconds for that.

        A mail that is on its way then goes on being sent as long as the process lives: the thread is a daemon.

        Returns:
            True when everything was mailed or nobody is to be mailed.
        """
        with self._lock:
            self._closing = True
        self._wake.set()
        if not self._started:
            return not self._queue
        return self._clock.wait(self._finished, self._clock.now() + wait) and not self._outbox

    def _run(self) -> None:
        try:
            while not self._one_round():
                self._clock.wait(self._wake, self._next_at())
        finally:
            self._finished.set()

    def _one_round(self) -> bool:
        """Do everything that is due. Returns: True when that was the last time."""
        self._wake.clear()
        notices, lost, last = self._take()
        now = self._clock.now()
        for notice in notices:
            at_once, self._state = offer(notice, now, self._state, self._rate)
            if at_once:
                self._write(notice)
        self._hold(lost)
        held, self._state = digest(now, self._state, self._rate, last=last)
        if held is not None:
            self._write(held)
        self._send_what_is_due(last)
        return last

    def _take(self) -> tuple[list[Notice], int, bool]:
        """Empty the queue. Returns: what was in it, how many found no room, and whether any more can come."""
        with self._lock:
            notices, lost = list(self._queue), self._lost
            self._queue.clear()
            self._lost = 0
            return notices, lost, self._closing

    def _next_at(self) -> Seconds:
        """Say when there is something to do without being asked."""
        return min(self._retry_at if self._outbox else math.inf, digest_at(self._state, self._rate))

    def _hold(self, count: int) -> None:
        """Have the next digest speak of ``count`` more."""
        if count:
            since = min(self._state.held_since, self._clock.now())
            self._state = replace(self._state, held=self._state.held + count, held_since=since)

    def _write(self, notice: Notice) -> None:
        """Make a mail of a notice and put it into the outbox, or count it where there is no room."""
        urgent = isinstance(notice, ProcessDies)
        if len(self._outbox) >= OUTBOX_LIMIT and not urgent:
            self._hold(1)
            return
        try:
            letter = _Letter(envelope(notice, self._settings, self._origin))
        except Exception:
            # Our bug; the thread that writes mails must outlive it.
            _log.warning("could not write a mail about %s", type(notice).__name__, exc_info=True)
            return
        if urgent:
            self._outbox.appendleft(letter)
        else:
            self._outbox.append(letter)

    def _send_what_is_due(self, last: bool) -> None:
        while self._outbox and (last or self._clock.now() >= self._retry_at):
            letter = self._outbox[0]
            try:
                self._deliver(letter.mail, self._settings, self._clock)
            except Exception as error:
                # Whatever went wrong on the way to a mail server is no reason to stop anything here.
                self._failed(letter, error)
                return
            self._outbox.popleft()
            _log.info("mailed %s: %s", ", ".join(self._settings.recipients), letter.mail["Subject"])

    def _failed(self, letter: _Letter, error: Exception) -> None:
        letter.attempts += 1
        self._retry_at = self._clock.now() + RETRY_AFTER
        _log.warning(
            "could not mail %s through %s:%s: %s; %s waiting, next try in %g s",
            ", ".join(self._settings.recipients),
            self._settings.host,
            self._settings.port,
            printable(str(error)) or type(error).__name__,
            counted(len(self._outbox), "mail"),
            RETRY_AFTER,
        )
        if letter.attempts >= ATTEMPTS:
            self._outbox.popleft()
            self._hold(1)


def envelope(notice: Notice, settings: MailSettings, origin: Origin) -> EmailMessage:
    """
    Make a complete mail of a notice.

    Plain UTF-8 text that survives any relay, with the headers that keep it out of spam folders and that keep vacation
    programs from answering it.

    Source: RFC 5322 for Date and Message-ID, RFC 3834 for Auto-Submitted.
    """
    message = compose(notice, origin, settings.subject_prefix)
    domain = origin.host if _DOMAIN.fullmatch(origin.host) else "localhost"
    mail = EmailMessage(policy=policy.SMTP.clone(cte_type="7bit"))
    mail["Subject"] = message.subject
    mail["From"] = settings.sender
    mail["To"] = ", ".join(settings.recipients)
    mail["Date"] = formatdate()
    mail["Message-ID"] = make_msgid(domain=domain)
    mail["Auto-Submitted"] = "auto-generated"
    mail.set_content(message.body)
    return mail
