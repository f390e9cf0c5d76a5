"""
Mail notices to operators, without making any other thread wait.

This module has a thread, a bounded queue, and retries for a mail server that fails. ``core.telling.notices`` decides
what a mail says and how often one may be sent. ``smtp`` hands a mail to a server.

``submit`` runs on any thread, mostly the supervisor. ``start`` and ``close`` run on the thread that composes the
server. Everything else runs on the mailer's own thread, which exists only if there are recipients.

What happens when something fails:

- a notice that finds the queue full is dropped and counted, and the next digest says how many were dropped;
- a mail that could not be sent is tried again a minute later; after ten attempts it is counted like a dropped notice;
- a server that fails is tried once a minute, so the log has one warning a minute;
- a mail about the end of the process goes before all others, because there is little time left to send it;
- a mail that waits when the server stops is tried once more. If that fails, or takes too long, it is written to the log.
"""

from __future__ import annotations

import math
import os
import re
import socket
import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from email import policy
from email.message import EmailMessage
from email.utils import formatdate, make_msgid

from pastepool.core.telling.notices import (
    LAST,
    MailRate,
    MailState,
    Notice,
    Origin,
    collect,
    collected_at,
    compose,
    digest,
    digest_at,
    is_collected,
    offer,
    take_collected,
)
from pastepool.core.wording import counted, printable
from pastepool.runtime.mail.smtp import Route, deliver
from pastepool.runtime.system.forced_exit import run_apart
from pastepool.runtime.system.loggers import own_logger
from pastepool.runtime.system.threads import spawn_thread
from pastepool.settings.values import MailSettings
from pastepool.types import Clock, Seconds

QUEUE_LIMIT = 100
"""Notices that may wait for the mailer's thread. A notice has up to ten stacks, so this bounds the memory."""

OUTBOX_LIMIT = 20
"""Finished mails that may wait for a server that fails: as many as the usual rate allows in two of its windows."""

RETRY_AFTER: Seconds = 60.0
ATTEMPTS = 10

_TELL_FOR: Seconds = 1.0
"""How long writing unsent mails to the log may take: a log handler may hang."""

_DOMAIN = re.compile(r"[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*")

_log = own_logger("pastepool.mail")

Deliver = Callable[[EmailMessage, Route, Clock], None]


@dataclass
class _Letter:
    """A mail that is ready to be sent. ``attempts``: how many attempts to send it have failed."""

    mail: EmailMessage
    attempts: int = 0


class Mailer:
    """
    Takes notices and mails them.

    Large because it is a thread with all that waits for it: the queue, what is collected, and the outbox.

    Any thread writes ``_queue``, ``_lost`` and ``_closing``, under ``_lock``. Only the mailer's thread writes
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
        Make a mailer. It starts no thread and opens no connection.

        Args:
            settings: without recipients no mail is sent: notices are forgotten and no thread is started.
            clock: for the rate, the retries and ``close``.
            config_file: shown in every mail.
            rate: how many mails may be sent in which time; None for the usual rate.
            deliver: hands one mail to a server. It raises when that fails, and must return within a bounded time.
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
        self._told = False
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
        Ask the mailer to mail a notice. Returns at once and raises nothing. The notice may be dropped (queue full).

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
        Take no more notices, try once to send each waiting mail, and wait at most ``wait`` seconds for that.

        What was not sent then is written to the log, and its text is not lost. A mail that is being sent after ``wait``
        seconds goes on being sent as long as the process lives. The mailer's thread is a daemon, so it does not keep the
        process alive.

        Returns:
            True when every mail was sent, or when there are no recipients.
        """
        with self._lock:
            self._closing = True
        self._wake.set()
        if not self._started:
            return not self._queue
        ended = self._clock.wait(self._finished, self._clock.now() + wait)
        left = self._left()
        if left:
            run_apart(lambda: _tell_unsent(left), _TELL_FOR)
        return ended and not self._outbox

    def _left(self) -> list[tuple[str, str]]:
        """Return subject and text of each mail that waits, and of each notice that is no mail yet. Once for each."""
        with self._lock:
            told, self._told = self._told, True
            queue = list(self._queue)
        if told:
            return []
        state = self._state
        for notice in queue:
            state = collect(notice, self._clock.now(), state)
        letters = [(str(letter.mail["Subject"]), letter.mail.get_content()) for letter in list(self._outbox)]
        messages = (compose(notice, self._origin, self._settings.subject_prefix) for notice in state.collected)
        return letters + [(message.subject, message.body) for message in messages]

    def _run(self) -> None:
        try:
            while not self._one_round():
                self._clock.wait(self._wake, self._next_at())
        finally:
            self._finished.set()

    def _one_round(self) -> bool:
        """Do everything that is due. Returns True when this was the last round, because of ``close``."""
        self._wake.clear()
        notices, lost, last = self._take()
        now = self._clock.now()
        for notice in notices:
            if is_collected(notice, self._rate):
                self._state = collect(notice, now, self._state)
            else:
                self._offer(notice, now)
        collected, self._state = take_collected(now, self._state, self._rate, last=last)
        for notice in collected:
            self._offer(notice, now)
        self._hold(lost)
        held, self._state = digest(now, self._state, self._rate, last=last)
        if held is not None:
            self._write(held)
        self._send_what_is_due(last)
        return last

    def _offer(self, notice: Notice, now: Seconds) -> None:
        at_once, self._state = offer(notice, now, self._state, self._rate)
        if at_once:
            self._write(notice)

    def _take(self) -> tuple[list[Notice], int, bool]:
        """Empty the queue. Returns its notices, the number of dropped ones, and True if ``close`` was called."""
        with self._lock:
            notices, lost = list(self._queue), self._lost
            self._queue.clear()
            self._lost = 0
            return notices, lost, self._closing

    def _next_at(self) -> Seconds:
        """Return the instant of the next retry, collection or digest; ``inf`` when none is due."""
        retry_at = self._retry_at if self._outbox else math.inf
        return min(retry_at, collected_at(self._state, self._rate), digest_at(self._state, self._rate))

    def _hold(self, count: int) -> None:
        """Add ``count`` notices to those that the next digest mentions."""
        if count:
            since = min(self._state.held_since, self._clock.now())
            self._state = replace(self._state, held=self._state.held + count, held_since=since)

    def _write(self, notice: Notice) -> None:
        """Make a mail of a notice and put it into the outbox. Where there is no room, only count the notice."""
        urgent = isinstance(notice, LAST)
        if len(self._outbox) >= OUTBOX_LIMIT and not urgent:
            self._hold(1)
            return
        try:
            letter = _Letter(envelope(notice, self._settings, self._origin))
        except Exception:
            # A bug of pastepool. The mailer's thread must survive it.
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
                # No failure of a mail server may end this thread.
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


def _tell_unsent(mails: Sequence[tuple[str, str]]) -> None:
    for subject, text in mails:
        _log.warning("not mailed before the end: %s\n%s", subject, text.rstrip())


def envelope(notice: Notice, settings: MailSettings, origin: Origin) -> EmailMessage:
    """
    Make a complete mail of a notice.

    The mail is plain UTF-8 text, encoded in 7 bits so that no relay changes it. Date and Message-ID keep it out of spam
    folders. Auto-Submitted keeps vacation programs from answering it.

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
