"""The life of the desk: what it begins with, what its parent tells it, and its end."""

from __future__ import annotations

import faulthandler
import signal
import threading
import traceback
from collections.abc import Callable
from typing import Any

from pastepool import __version__
from pastepool.core.addresses import is_within
from pastepool.core.generations.child import ChildPhase
from pastepool.core.telling.notices import ProcessTrouble
from pastepool.desk.deputy import Deputy
from pastepool.desk.workers import KnownWorkers
from pastepool.runtime.family.birth import CONDEMNED, FAILED, MAIL, NOTE, RETIRE, WORKER, Birth
from pastepool.runtime.family.naming import middle_of, name_process
from pastepool.runtime.family.wire import LONGEST
from pastepool.runtime.http.date_header import DateHeader
from pastepool.runtime.log import scribe
from pastepool.runtime.log.reopening import reopen_log_files
from pastepool.runtime.mail.mailer import Mailer
from pastepool.runtime.mail.smtp import deliver
from pastepool.runtime.supervision.event_journal import EventJournal
from pastepool.runtime.system.clock import MonotonicClock
from pastepool.runtime.system.forced_exit import end_process
from pastepool.runtime.system.standard_streams import errors_stream
from pastepool.runtime.system.threads import spawn_thread
from pastepool.runtime.watching.admin_listener import AdminListener
from pastepool.types import Seconds
from pastepool.watch.figures import events_of
from pastepool.watch.finding import WATCHED_KEY
from pastepool.watch.paste_state import unknown_state
from pastepool.watch.process import Process
from pastepool.watch.several import Several
from pastepool.watch.wall import Wall
from pastepool.watch.watched import State
from pastepool.wsgi.environ import listener_prototype
from pastepool.wsgi.serving import Application

_BEAT_EVERY: Seconds = 1.0
_CLOSES_WITHIN: Seconds = 0.5
_MAILS_WITHIN: Seconds = 2.0
"""How long its parts may take to close, and its last mails to be sent."""

_log = scribe.scribbled("pastepool")


def run_desk(birth: Birth, prepare: Callable[[], None], page: Callable[[], Application | None]) -> None:
    """
    Be the desk until the parent wants its end or has gone. Then the process ends: this does not return.

    ``prepare``: what else a child has to do first. ``page``: makes the application of ``admin_listen``; None without that
    option. Runs on: the only thread of a process that was just forked.
    """
    status = 0
    try:
        birth.lane.close()  # it takes no broadcast
        prepare()
        Desk(birth, page).run()
    except BaseException:
        birth.wire.send(FAILED, traceback.format_exc().rstrip()[-LONGEST:])
        status = 1
    end_process(status, 0.0)  # the exit functions are those of the parent


class Desk:
    """``birth``: what the parent has given it. ``page``: as for ``run_desk``."""

    def __init__(self, birth: Birth, page: Callable[[], Application | None]) -> None:
        self._birth = birth
        self._settings = settings = birth.settings
        self._clock = clock = MonotonicClock()
        self._board = birth.row.board
        self._began_at = clock.now()
        self._process = Process(self._began_at, self._began_at)
        self.journal = EventJournal(clock)
        self._workers = KnownWorkers(self._board, clock)
        self._several = Several(self._workers, self._like, lambda: self._board.stops)
        self._workers.watched = self._several
        noted = self.journal.noting_mail(deliver)
        self._mailer = Mailer(settings.mail, clock, config_file=settings.config_file, deliver=noted)
        self._deputy = Deputy(birth.listeners, settings, self._nobody_serves, clock, spawn_thread)
        self._admin: AdminListener | None = None
        application = page()
        if application is not None:
            allowed = settings.admin.allow_from
            self._admin = AdminListener(
                application,
                DateHeader(settings.server_header),
                clock,
                spawn_thread,
                admits=lambda address: is_within(address, allowed),
            )

    def run(self) -> None:
        """Work until the parent tells it to end, or has gone."""
        self._arrange()
        scribe.begin()
        self._mailer.start()
        self._deputy.start()
        spawn_thread(self._beat, "pastepool beat")
        if self._admin is not None:
            listeners = [(each, self._prototype(each)) for each in self._birth.admin_listeners]
            self._admin.start(listeners, shared=True)
        self._obey()
        self._end()

    def _arrange(self) -> None:
        """Handle signals, and name the process."""
        self._birth.row.stand_aside()
        faulthandler.register(signal.SIGUSR2, file=self._birth.dump, all_threads=True)
        signal.signal(signal.SIGTERM, lambda *_: self._birth.wire.send(CONDEMNED, "SIGTERM asked for its end"))
        signal.signal(signal.SIGQUIT, signal.SIG_IGN)
        signal.signal(signal.SIGUSR1, lambda *_: spawn_thread(_reopen, "pastepool log files"))
        name_process(middle_of(self._settings), "desk", "desk")

    def _obey(self) -> None:
        wire = self._birth.wire
        while (messages := wire.receive(wait=True)) is not None:
            for word, text in messages:
                if word == RETIRE:
                    return
                if word == WORKER:
                    link, dump = wire.descriptors.popleft(), wire.descriptors.popleft()
                    self._workers.meet(int(text), link, dump)
                elif word == MAIL:
                    self._mailer.submit(ProcessTrouble(tuple(text.splitlines())))
                if word in (MAIL, NOTE):
                    self.journal.note("process", text)

    def _end(self) -> None:
        """Free the ports first: if the parent was killed, a new server may start at once."""
        self._deputy.close(_CLOSES_WITHIN)
        if self._admin is not None:
            self._admin.close(_CLOSES_WITHIN)
        for listener in (*self._birth.listeners, *self._birth.admin_listeners):
            listener.close()
        self._mailer.close(_MAILS_WITHIN)
        scribe.end(_CLOSES_WITHIN)

    def _beat(self) -> None:
        """Show that the desk lives, and keep nothing of workers that do not."""
        never = threading.Event()
        while True:
            self._birth.row.beat(0, 0)
            self._workers.forget_gone()
            never.wait(_BEAT_EVERY)

    def _nobody_serves(self) -> bool:
        phases = [shown.phase for shown in self._board.shown()]
        return ChildPhase.READY not in phases and not self._board.stops

    def _prototype(self, listener: Any) -> dict[str, Any]:
        """Make the environ that all requests of one listener for the operator share."""
        endpoint = listener.endpoint
        return listener_prototype(
            scheme=endpoint.scheme,
            server_name=endpoint.server_name,
            server_port=endpoint.server_port,
            software=f"pastepool/{__version__}",
            errors=errors_stream(),
            extra={WATCHED_KEY: self._several},
        )

    def _like(self) -> State:
        """Return a state with what the desk itself knows, and no worker."""
        wall = Wall(self._clock)
        state = unknown_state()
        state["process"] = self._process.facts(wall)
        state["events"] = events_of(self, wall, "")
        state["molds"] = self._workers.molds()
        state["settings"] = [list(pair) for pair in self._settings.shown]
        return state


def _reopen() -> None:
    _, failed = reopen_log_files()
    for sentence in failed:
        _log.error("SIGUSR1: the log file %s", sentence)
