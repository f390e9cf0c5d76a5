"""
The composition root: settings to objects, and the one place that starts and stops them, in order.

Nothing is opened and no thread exists before ``serve``; the exception are the listening sockets when a port has to be
known earlier (``bind``), and those stay usable after a fork (contract F2).
"""

from __future__ import annotations

import atexit
import contextlib
import itertools
import os
import sys
import threading
from collections.abc import Callable
from typing import Any

from pastepool import __version__
from pastepool.core.wording import counted
from pastepool.errors import NoThread, StartError
from pastepool.runtime.http.access_log import access_line
from pastepool.runtime.http.date_header import DateHeader
from pastepool.runtime.http.open_connections import OpenConnections
from pastepool.runtime.http.poller import Poller
from pastepool.runtime.http.returning import Returning
from pastepool.runtime.http.shared import Shared
from pastepool.runtime.inspection.inspector import Inspector
from pastepool.runtime.inspection.stacks import frame_of, stack_lines, stack_of
from pastepool.runtime.log import scribe
from pastepool.runtime.mail.mailer import Mailer
from pastepool.runtime.mail.smtp import deliver
from pastepool.runtime.pool.baton import Baton
from pastepool.runtime.pool.caretaker import Caretaker
from pastepool.runtime.pool.leading import Leading
from pastepool.runtime.pool.pool import Pool
from pastepool.runtime.pool.tally import Tally
from pastepool.runtime.sockets.acceptor import Acceptor
from pastepool.runtime.sockets.listener import Listener, open_listeners, url
from pastepool.runtime.sockets.waker import Waker
from pastepool.runtime.supervision.event_journal import EventJournal
from pastepool.runtime.supervision.supervisor import Supervisor
from pastepool.runtime.system.clock import MonotonicClock
from pastepool.runtime.system.forced_exit import ForcedExit, run_apart
from pastepool.runtime.system.signals import Signals
from pastepool.runtime.system.threads import spawn_thread
from pastepool.runtime.watching.admin_listener import AdminListener
from pastepool.runtime.watching.paste_pool import PastePool
from pastepool.runtime.watching.sampler import Sampler
from pastepool.runtime.watching.server_view import ServerView
from pastepool.settings.values import Settings
from pastepool.types import Seconds
from pastepool.wsgi.call import Application
from pastepool.wsgi.environ import listener_prototype

_log = scribe.scribbled("pastepool")

_DIED_OF_ZOMBIES = 3
"""Exit status when the process ends itself, so that a supervisor restarts it (contract P10)."""

_ADMIN_BACKLOG = 16
"""Operators that knock at the same instant."""

_CLIENTS_END_EARLY: Seconds = 0.5
"""
How long before the end of a drain those clients are cut that only send or read slowly: a drain that only they would
prolong is over in time and clean. A quarter of a shorter shutdown_timeout. Nothing derives it.
"""

_LEAVE_FOR: Seconds = 0.5
"""What idle workers get to leave in when others hang; they need a millisecond."""

_EXIT_MARGIN: Seconds = 2.0
"""What the interpreter gets for its own exit after a drain that used up its time. Nothing derives it."""

_TELL_FOR: Seconds = 1.0
"""How long the log may take to be told what did not stop: a handler's lock may be held by what did not."""


class Server:
    """
    A server for one application.

    ``serve`` blocks until the server was stopped and has drained. ``stop`` may be called from any thread, and in a
    signal handler, as often as one likes. ``ready`` is set when requests are taken. ``admin``: the application of
    ``admin_listen``.
    """

    def __init__(self, settings: Settings, application: Application, admin: Application | None = None) -> None:
        self.settings = settings
        self.clock = MonotonicClock()
        self.listeners: tuple[Listener, ...] = ()
        self.admin_listeners: tuple[Listener, ...] = ()
        self.ready = threading.Event()
        self.journal = EventJournal(self.clock)
        self.tally = Tally(self.clock)
        self.waker = Waker()
        self.look = threading.Event()
        serials = itertools.count(1)
        self.mailer = self._make_mailer()
        self.baton = Baton(settings.overload, self.waker.wake)
        self.caretaker = Caretaker(
            self.baton, self.waker.wake, settings.overload, self.clock, self.look.set, self._shed
        )
        self.connections = OpenConnections()
        returning = Returning(self.connections, self.waker.wake)
        self.shared = self._make_shared(application, returning)
        self.poller = Poller(
            settings, self.shared, self.connections, returning, self.waker, serials,
            on_hangup=self.caretaker.hung_up, on_turned_away=self._shed,
        )  # fmt: skip
        leading = Leading(
            self.poller.next_task, self.poller.ready_tasks, self.caretaker.refuse, returning.wake_for_returned
        )
        self.pool = Pool(
            self.baton, settings.pool, self.clock, spawn_thread, leading, self.tally, self.look.set, settings.logger
        )
        self.supervisor = self._make_supervisor()
        self.sampler = Sampler(self.pool, self.baton, settings.pool, self.clock, spawn_thread)
        self.paste_pool = PastePool(
            self.pool,
            self.baton,
            settings.pool,
            self.clock,
            serials,
            self.supervisor.ask_kill,
            self._make_server_view(),
        )
        self._admin = (
            AdminListener(admin, self.shared.date_header, self.clock, spawn_thread) if admin is not None else None
        )
        self._forced_exit = ForcedExit(self.clock, self._give_up, self.stop)
        self._signals = Signals(self._first_signal, self._second_signal)
        self._gave_up = False
        self._ended = False
        self._stop_asked = False
        self._started = False
        self._status = 0

    def _make_mailer(self) -> Mailer:
        settings = self.settings
        return Mailer(
            settings.mail, self.clock, config_file=settings.config_file, deliver=self.journal.noting_mail(deliver)
        )

    def _make_supervisor(self) -> Supervisor:
        return Supervisor(
            self.pool,
            self.baton,
            self.settings.pool,
            self.clock,
            Inspector(),
            signal=self.look,
            logger=self.settings.logger,
            mail=self.mailer.submit,
            mail_hung=self.settings.mail.when_hung,
            end_process=self._end_for_zombies,
            journal=self.journal,
        )

    def _make_shared(self, application: Application, returning: Returning) -> Shared:
        settings = self.settings
        return Shared(
            application=application,
            date_header=DateHeader(settings.server_header),
            clock=self.clock,
            keep_alive_for=settings.timeouts.keep_alive or float("inf"),
            watermark=settings.output_high_watermark,
            access=access_line if settings.access_log else None,
            nudge=self.look.set,
            returning=returning,
            tally=self.tally,
            old_protocol=settings.protocol_version == "HTTP/1.0",
        )

    def _make_server_view(self) -> ServerView:
        return ServerView(
            pool=self.pool,
            baton=self.baton,
            poller=self.poller,
            supervisor=self.supervisor,
            shared=self.shared,
            settings=self.settings,
            clock=self.clock,
            tally=self.tally,
            journal=self.journal,
            sampler=self.sampler,
            spawn=spawn_thread,
            began_at=self.clock.now(),
        )

    def _shed(self, fate: str, now: Seconds) -> None:
        self.tally.count(fate)
        self.journal.note_shed(fate, now)

    # Life.

    def bind(self) -> tuple[Listener, ...]:
        """Open the listening sockets now rather than in ``serve``. Raises: StartError."""
        if not self.listeners:
            settings = self.settings
            self.listeners = open_listeners(settings.host, settings.port, settings.listen_backlog)
            try:
                if self._admin is not None:
                    self.admin_listeners = open_listeners(settings.admin.host, settings.admin.port, _ADMIN_BACKLOG)
            except StartError:
                for listener in self.listeners:
                    listener.close()
                self.listeners = ()
                raise
        return self.listeners

    def _close_listeners(self) -> None:
        for listener in (*self.listeners, *self.admin_listeners):
            listener.close()

    def serve(self) -> None:
        """
        Serve until stopped; return at once if that has happened already. A server serves once. Raises: StartError.

        Runs on: the calling thread, which becomes the caretaker.
        """
        if self._stopped():
            self._close_listeners()
            return
        self.bind()
        try:
            self._begin()
        except NoThread as error:
            with contextlib.suppress(Exception):  # of what was not begun some cannot be ended
                self._shut_down()
            self._close_listeners()
            raise StartError(
                f"The server's threads cannot be started: {error}. Raise the limit on threads (ulimit -u; pids.max of a"
                f" container), or lower threadpool_workers (now {self.settings.pool.workers})."
            ) from error
        # Against losing a stop that comes just now: (1) we set ``_started``, then look at ``_stop_asked``; (2)
        # ``_begin_stop`` sets ``_stop_asked``, then looks at ``_started``. Whichever comes second sees the other's
        # write.
        self._started = True
        if self._stopped():
            self._begin_stop(0)
        self.ready.set()
        try:
            self.caretaker.take_care(self.poller.next_task)
        except BaseException:
            if not self._status:
                raise
            _tell_failure()  # an end that has begun is ended in its order, with its status
        self._shut_down()

    def _begin(self) -> None:
        """Start everything, the threads too. Raises: NoThread."""
        scribe.begin()
        for note in self.settings.notes:
            _log.warning("%s", note)
        listeners = [(listener.socket, self._prototype(listener)) for listener in self.listeners]
        self.poller.start(Acceptor(listeners, self.clock))
        self._signals.install()
        has_host = threading.current_thread() is not threading.main_thread()
        spawn_thread(lambda: self._forced_exit.run(has_host), "pastepool forced exit")
        self.mailer.start()
        for _ in range(self.settings.pool.workers):
            self.pool.spawn()
        self.journal.note("spawned", f"spawn {counted(self.settings.pool.workers, 'worker')}: the server starts")
        spawn_thread(self.supervisor.run, "pastepool supervisor")
        if self._admin is not None:
            self._admin.start([(listener, self._prototype(listener)) for listener in self.admin_listeners])
            self.sampler.watched(for_ever=True)
        self._announce()

    def stop(self) -> None:
        """
        Drain and end ``serve``, within ``shutdown_timeout``. Idempotent; safe in a signal handler.

        Runs on: any thread.
        """
        self._begin_stop(0)

    def _stopped(self) -> bool:
        return self._stop_asked

    def _begin_stop(self, status: int) -> None:
        self._stop_asked = True
        if not self._started:
            return
        self._forced_exit.arm(self.clock.now() + self.settings.timeouts.shutdown, status)
        self.waker.ask(self._drain)
        self.baton.ring()

    def _shut_down(self) -> None:
        """
        The order of the end: no more looks, no more workers, no more sockets, the mail out.

        Each step is taken whatever became of those before it, and an end by zombies keeps its status.
        """
        leave_for = _LEAVE_FOR if self._gave_up or self._status else _EXIT_MARGIN
        steps: tuple[Callable[[], object], ...] = (
            self.supervisor.close,
            self._close_admin,
            lambda: self.sampler.close(_EXIT_MARGIN),
            self.pool.close,
            self.waker.wake,
            lambda: self.pool.join(leave_for),
            self.poller.close,
            lambda: self.mailer.close(_EXIT_MARGIN),
            lambda: scribe.end(_TELL_FOR),
        )
        failures = [failure for step in steps if (failure := _attempt(step)) is not None]
        if self._status:
            self._forced_exit.finish(self._status)
            # The reaper ends the process; SystemExit would be swallowed by paster (contract P11).
            threading.Event().wait()
        if self._signals.fired:
            self._forced_exit.extend(self.clock.now() + _EXIT_MARGIN)
            atexit.register(self._forced_exit.exit_begins)
        else:
            self._forced_exit.dismiss()
        self._signals.restore()
        self._ended = True
        if failures:
            raise failures[0]

    def _close_admin(self) -> None:
        if self._admin is not None:
            self._admin.close(_EXIT_MARGIN)

    # Called by the parts.

    def _prototype(self, listener: Listener) -> dict[str, Any]:
        return listener_prototype(
            server_name=listener.host,
            server_port=listener.port,
            software=f"pastepool/{__version__}",
            errors=sys.stderr,
            extra={"paste.httpserver.thread_pool": self.paste_pool},
        )

    def _announce(self) -> None:
        """The few lines an operator wants; the first is what scripts look for since Paste."""
        policy = self.settings.pool
        source = f"{self.settings.config_file} [{self.settings.section}]" if self.settings.config_file else "a program"
        killing = f"killed after {policy.kill_after:g} s" if policy.kill_after else "never killed"
        lines = [f"serving on {url(listener)}" for listener in self.listeners]
        lines.append(
            f"pastepool {__version__}: {policy.workers} workers, at most {policy.max_workers}; "
            f"requests are hung after {policy.hung_after:g} s, {killing}"
        )
        lines += [f"threads are shown on {url(listener)}" for listener in self.admin_listeners]
        lines.append(f"settings from {source}; pid {os.getpid()}, Ctrl+C or SIGTERM stops")
        try:
            sys.stdout.write("\n".join(lines) + "\n")
            sys.stdout.flush()
        except (OSError, ValueError, AttributeError):
            pass  # there is no standard output to tell it to

    # The end.

    def _drain(self) -> None:
        """Take no new clients, close the unused connections; the rest close as their responses end. Runs on: baton."""
        if self.shared.draining:
            return
        self.shared.drain()
        _attempt(lambda: _log.info("stopping: requests that run or wait are finished first"))
        shutdown = self.settings.timeouts.shutdown
        try:
            self.poller.drain(self.clock.now() + shutdown - min(_CLIENTS_END_EARLY, shutdown / 4))
        finally:
            self.connections.when_empty(self.caretaker.finish)

    def _first_signal(self, number: int) -> None:
        self._begin_stop(0)

    def _second_signal(self, number: int) -> None:
        self._forced_exit.arm(self.clock.now(), 128 + number, at_once=True)

    def _end_for_zombies(self, reason: str) -> None:
        """Runs on: supervisor."""
        self._status = _DIED_OF_ZOMBIES
        self._begin_stop(_DIED_OF_ZOMBIES)

    def _give_up(self) -> bool:
        """The deadline of a stop has come. Answers whether the process is ours to end. Runs on: reaper."""
        self._gave_up = True
        ours = self._signals.fired or self._status != 0
        if not run_apart(lambda: self._tell_what_did_not_stop(ours), _TELL_FOR):
            _attempt(lambda: self._tell_what_did_not_stop(ours))
        if ours:
            _attempt(lambda: self.mailer.close(_EXIT_MARGIN))
        else:
            self.caretaker.finish()
        return ours

    def _tell_what_did_not_stop(self, ours: bool) -> None:
        for worker in list(self.pool.workers.values()):
            task = worker.fact[2]
            if task is not None:
                _log.error("%s did not stop: %s\n%s", worker.name, task.title(), _stack_of(worker.ident))
        for thread in threading.enumerate() if ours else ():
            if not thread.daemon and (self._ended or thread is not threading.main_thread()):
                _log.error("%s keeps the process from ending\n%s", thread.name, _stack_of(thread.ident))


def _attempt(step: Callable[[], object]) -> Exception | None:
    """Take one step of the end. A failure is told and given back: the next step is taken all the same."""
    try:
        step()
    except Exception as error:
        _tell_failure()
        return error
    return None


def _tell_failure() -> None:
    with contextlib.suppress(Exception):  # what has failed may be the log
        _log.critical("Internal error while stopping; please report this", exc_info=True)


def _stack_of(ident: int | None) -> str:
    return "\n".join(stack_lines(stack_of(frame_of(ident or 0))))
