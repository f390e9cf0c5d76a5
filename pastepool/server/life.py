"""
The life of a server: this module starts its parts and stops them, in order. No other module does.

Before ``serve`` nothing is open and no thread exists, with one exception: ``bind`` opens the listening sockets earlier,
for callers that must know the port. These sockets stay usable after a fork (contract F2).
"""

from __future__ import annotations

import atexit
import contextlib
import os
import tempfile
import threading
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

from pastepool import __version__
from pastepool.core.overload import connections_that_fit
from pastepool.core.ownership import claim
from pastepool.core.wording import counted
from pastepool.errors import NoThread, StartError
from pastepool.pooling.hub import hub
from pastepool.pooling.leftovers import tell_what_did_not_stop
from pastepool.runtime.http.open_connections import OpenConnections
from pastepool.runtime.log import scribe
from pastepool.runtime.sockets.acceptor import Acceptor
from pastepool.runtime.sockets.listener import Listener, open_all, remove_files
from pastepool.runtime.sockets.passed import take_passed
from pastepool.runtime.system.errands import Errands
from pastepool.runtime.system.forced_exit import ForcedExit, run_apart
from pastepool.runtime.system.open_files import OpenFiles, count_open
from pastepool.runtime.system.service_manager import ServiceManager, service_manager
from pastepool.runtime.system.signals import Signals
from pastepool.runtime.system.standard_streams import errors_stream, fill_closed_descriptors
from pastepool.runtime.system.threads import spawn_thread
from pastepool.runtime.watching.paste_pool import PastePool
from pastepool.server.announcing import (
    announce,
    status_line,
    tell_stopping,
    tell_what_is_waited_for,
    tell_what_keeps_the_process,
)
from pastepool.server.asked import errands_by_signal
from pastepool.server.assembly import assemble_server
from pastepool.server.belonging import files_of_application
from pastepool.server.exiting import Exiting
from pastepool.server.forking import Forking
from pastepool.server.membership import Membership
from pastepool.settings.origin import named_in
from pastepool.settings.values import PublicAddress, Settings
from pastepool.types import Seconds, Spawner
from pastepool.wsgi.environ import listener_prototype
from pastepool.wsgi.serving import Application

_log = scribe.scribbled("pastepool")

_DIED_OF_ZOMBIES = 3
"""Exit status when the process ends itself, so that a supervisor restarts it (contract P10)."""

_ADMIN_BACKLOG = 16
"""The kernel's backlog of the admin listener: this many operators may connect at the same instant."""

_CLIENTS_END_EARLY: Seconds = 0.5
"""
How long before the end of a drain the server cuts clients that only send or read slowly. So a drain that only such
clients would prolong still ends in time and in order. With a short shutdown_timeout: a quarter of it, if that is less.
"""

_LEAVE_FOR: Seconds = 0.5
"""How long idle workers have to leave while others hang. They need about a millisecond."""

_EXIT_MARGIN: Seconds = 2.0
"""
How long the interpreter has for its own exit after a drain that used up its time. Parts that are closed have as long.
"""

_TELL_FOR: Seconds = 1.0
"""
How long writing to the log may take at the end: a thread that did not stop may hold the lock of a log handler.
"""


class Server:
    """
    A server for one application.

    Large because the beginning and the end of all its parts, and whatever can bring the end, are ordered in one place.

    ``serve`` blocks until the server was stopped and has drained. ``stop`` may be called from any thread and from a
    signal handler, any number of times. ``ready`` is set when the server takes requests. ``admin``: the application of
    ``admin_listen``. ``parts``: the objects it consists of. ``membership``: if this is one of several processes that
    serve. The process then belongs to the server, and ends with it. ``spawn``: starts the thread of a worker.
    """

    def __init__(
        self,
        settings: Settings,
        application: Application,
        admin: Application | None = None,
        membership: Membership | None = None,
        spawn: Spawner = spawn_thread,
    ) -> None:
        self.settings = settings
        first_task = membership.first_task if membership else 1
        self.parts = assemble_server(settings, application, admin, self._end_for_zombies, first_task, spawn)
        self.listeners: tuple[Listener, ...] = ()
        self.admin_listeners: tuple[Listener, ...] = ()
        self.ready = threading.Event()
        self._service = ServiceManager("", 0.0)
        self._membership = membership
        self._siblings = None if membership is None else membership.siblings
        self._patience = settings.timeouts.shutdown
        self._forced_exit = ForcedExit(self.parts.clock, self._give_up, self.stop)
        self._errands = Errands()
        asked = errands_by_signal(self._errands, self.parts.pool, self.parts.clock, membership)
        self._signals = Signals(self._first_signal, self._second_signal, self._handler_exits, asked)
        self._open_files = OpenFiles()
        self._forking = Forking(self.parts, self._signals)
        self._exiting = Exiting(self.parts, self._end_with)
        self._gave_up = False
        self._ended = False
        self._stop_asked = False
        self._started = False
        self._status = 0

    def bind(self) -> tuple[Listener, ...]:
        """
        Open the listening sockets before ``serve``, which otherwise opens them.

        Raises: StartError: a socket cannot be opened. SettingsError: a certificate cannot be used. The operator must change
            the settings, free the port or correct the file.
        """
        if not self.listeners:
            fill_closed_descriptors()
            settings = self.settings
            self.parts.certificates.load()
            if self._membership is None:
                self._service = service_manager(os.environ)
                passed = take_passed(settings.listen, os.environ)
                self.listeners = open_all(settings.listen, settings.listen_backlog, passed)
            else:
                self.listeners = self._membership.listeners
            try:
                if self.parts.admin is not None:
                    self.admin_listeners = open_all(settings.admin.listen, _ADMIN_BACKLOG)
            except StartError:
                for listener in self.listeners:
                    listener.close()
                self.listeners = ()
                raise
            self._forking.note_bound((*self.listeners, *self.admin_listeners))
        return self.listeners

    def _close_listeners(self) -> None:
        for listener in (*self.listeners, *self.admin_listeners):
            listener.close()

    def serve(self) -> None:
        """
        Serve until ``stop`` is called; return at once if it was called before. A server can serve only once.

        Raises: StartError: a socket cannot be opened or a thread cannot be started; the sentence says how to mend it.
            After the drain: what a signal handler of the program raised, such as SystemExit.
        Runs on: the calling thread, which becomes the caretaker.
        """
        if self._stopped():
            self._close_listeners()
            return
        self.bind()
        self._forking.begin()
        try:
            self._begin()
        except NoThread as error:
            with contextlib.suppress(Exception):  # a part that was not started may fail to stop
                self._shut_down()
            self._close_listeners()
            self._forking.end()
            raise StartError(
                f"The server's threads cannot be started: {error}. Raise the limit on threads (ulimit -u; pids.max of a"
                f" container), or lower threadpool_workers (now {self.settings.pool.workers})."
            ) from error
        self._exiting.watch()
        try:
            raised = self._take_care() or self._signals.raised
            self._shut_down()
        finally:
            self._exiting.forget()
        if raised is not None:
            raise raised

    def _take_care(self) -> BaseException | None:
        """
        Be the caretaker until the drain is over. In a child of a fork this does not return.

        Returns: what was raised on this thread meanwhile, if the process does not end because of it. A signal handler
        that the application installs while the server runs can raise something anywhere in our code.
        """
        # A stop that comes just now must not be lost: (1) this thread sets ``_started``, then reads ``_stop_asked``;
        # (2) ``_begin_stop`` sets ``_stop_asked``, then reads ``_started``. So the later of the two sees the write of
        # the other.
        self._started = True
        if self._stopped():
            self._begin_stop(0)
        self._service.ready()
        if self._membership is not None:
            self._membership.serving(self._retire, self._figures, self.parts.server_view, hub.hear)
        self.ready.set()
        raised: BaseException | None = None
        for _ in range(2):
            try:
                self.parts.caretaker.take_care(self.parts.poller)
                break
            except BaseException as error:
                self._forking.end_if_orphaned(error)
                if self._forking.orphaned:
                    raise
                if self._status:
                    _tell_failure(error)  # the process is ending already: go on with the end, and keep its exit status
                elif isinstance(error, SystemExit):
                    self._exiting.raised(error)
                else:
                    raised = raised or error
                    self.stop()
        self._forking.end_if_orphaned(None)
        return raised

    def _begin(self) -> None:
        """Start all parts, with their threads. Raises: NoThread: the system has no thread left."""
        parts, workers = self.parts, self.settings.pool.workers
        scribe.begin()
        hub.begin(None if self._membership is None else self._membership.broadcast)
        with contextlib.suppress(OSError):
            tempfile.gettempdir()  # resolves a relative TMPDIR now: the application may change the working directory
        if self._membership is None or not self._membership.preloaded:
            claim_files_of(parts.shared.application, self.settings.config_file)
        for note in self.settings.notes if self._membership is None else ():
            _log.warning("%s", note)
        public, shared = self.settings.public, self._membership is not None
        listeners = [(each.socket, _prototype(each, parts.paste_pool, public, shared)) for each in self.listeners]
        _fit(parts.connections, self.settings, self._open_files)
        proxied = {each.fileno(): str(each.endpoint) for each in self.listeners if each.endpoint.proxy}
        encrypted = frozenset(each.fileno() for each in self.listeners if each.endpoint.tls)
        acceptor = Acceptor(listeners, parts.clock, self._forking.shared or shared, proxied, encrypted)
        parts.poller.start(acceptor, self._siblings)
        if parts.certificates.in_use:
            parts.certificates.tell()
            spawn_thread(parts.certificates.run, "pastepool certificates")
        self._signals.install()
        if self._signals.handled:
            spawn_thread(self._errands.run, "pastepool signals")
        has_host = threading.current_thread() is not threading.main_thread()
        spawn_thread(lambda: self._forced_exit.run(has_host), "pastepool forced exit")
        if self._service.listens:
            status = partial(status_line, parts.pool, self.settings.pool, parts.clock)
            spawn_thread(partial(self._service.run, status), "pastepool systemd")
        parts.mailer.start()
        for _ in range(workers):
            parts.pool.spawn()
        parts.journal.note("spawned", f"spawn {counted(workers, 'worker')}: the server starts")
        spawn_thread(parts.supervisor.run, "pastepool supervisor")
        if parts.admin is not None:
            admin = [(listener, _prototype(listener, parts.paste_pool)) for listener in self.admin_listeners]
            parts.admin.start(admin, self._forking.shared)
        if self.settings.admin.listen:
            parts.sampler.watched(for_ever=True)
        connections, files = parts.connections.limit, self._open_files.limit
        fewer = connections if connections != self.settings.overload.connection_limit else 0
        if self._membership is None:
            announce(self.settings, self.listeners, self.admin_listeners, fewer, files)

    def stop(self) -> None:
        """
        Begin the drain; ``serve`` returns after it, within ``shutdown_timeout``. Idempotent; safe in a signal handler.

        Runs on: any thread.
        """
        self._begin_stop(0)

    def _retire(self, patience: Seconds) -> None:
        """Begin the end of one of several servers, or bring it forward. Runs on: the thread that hears the parent."""
        self._patience = patience
        self._begin_stop(0)

    def _figures(self) -> tuple[int, int]:
        """Return how many requests there were, and how many run. Runs on: any thread."""
        pool = self.parts.pool
        workers = list(pool.workers.values())
        served = pool.tally.gone_requests + sum(sum(worker.tally.calls) for worker in workers)
        return served, sum(worker.task is not None for worker in workers)

    def _stopped(self) -> bool:
        return self._stop_asked

    @property
    def _ends_process(self) -> bool:
        """Whether the process ends with the server: a program may have other work to do."""
        return self._signals.fired or self._status != 0 or self._membership is not None

    def _begin_stop(self, status: int) -> None:
        self._stop_asked = True
        if not self._started or self._forking.orphaned:
            return
        self._forced_exit.arm(self.parts.clock.now() + self._patience, status)
        self.parts.waker.ask(self._drain)
        self.parts.baton.ring()

    def _shut_down(self) -> None:
        """
        Stop all parts in order: the supervisor, the watching parts, the workers, the sockets, the mail, the log.

        Each step is taken even if an earlier step failed. If the server ends because of zombies, this method ends the
        process with that exit status and does not return.

        Raises: the first failure of a step, after the last step.
        """
        parts, admin = self.parts, self.parts.admin
        leave_for = _LEAVE_FOR if self._gave_up or self._status else _EXIT_MARGIN
        steps: tuple[Callable[[], object], ...] = (
            self._service.close,
            lambda: None if self._membership is None else self._membership.ending(self._figures()),
            lambda: remove_files(self.listeners),
            parts.supervisor.close,
            lambda: None if admin is None else admin.close(_EXIT_MARGIN),
            lambda: parts.sampler.close(_EXIT_MARGIN),
            parts.pool.close,
            parts.waker.wake,
            lambda: parts.pool.join(leave_for),
            parts.shared.sender.end,
            parts.poller.close,
            parts.certificates.close,
            hub.end,
            lambda: parts.mailer.close(_EXIT_MARGIN),
            self._open_files.restore,
            lambda: scribe.end(_TELL_FOR),
        )
        failures = [failure for step in steps if (failure := _attempt(step)) is not None]
        if self._status:
            self._forced_exit.finish(self._status)
            # The reaper ends the process. A SystemExit raised here would be swallowed by paster (contract P11).
            threading.Event().wait()
        if self._ends_process:
            self._forced_exit.extend(parts.clock.now() + _EXIT_MARGIN)
            atexit.register(self._forced_exit.exit_begins)
            _attempt(lambda: tell_what_is_waited_for(self._forced_exit.time_left()))
        else:
            self._forced_exit.dismiss()
            self._errands.end()
        self._signals.restore()
        self._forking.end()
        self._ended = True
        if failures:
            raise failures[0]

    def _drain(self) -> None:
        """
        Take no new clients, and close unused connections after ``idle_grace``. Each other closes after its response.

        Runs on: baton.
        """
        parts = self.parts
        shutdown = self._patience
        if parts.shared.draining:
            if self._membership is not None:
                parts.poller.drain(self._readers_end_at())  # the whole fleet ends now, and that may be earlier
            return
        parts.shared.drain()
        self._service.stopping(shutdown + _EXIT_MARGIN)
        _attempt(lambda: remove_files(self.listeners))
        try:
            alone = self._siblings is None or not self._siblings.go_on()
            parts.poller.drain(self._readers_end_at(), everything=alone)
            again = self._signals.ends_at_once
            timeouts = replace(self.settings.timeouts, shutdown=shutdown)
            _attempt(lambda: tell_stopping(parts.pool, parts.baton, parts.connections, timeouts, again))
        finally:
            parts.connections.when_empty(parts.caretaker.finish)

    def _readers_end_at(self) -> Seconds:
        return self.parts.clock.now() + self._patience - min(_CLIENTS_END_EARLY, self._patience / 4)

    def _first_signal(self, number: int) -> None:
        self._begin_stop(0)

    def _second_signal(self, number: int) -> None:
        self._forced_exit.arm(self.parts.clock.now(), 128 + number, at_once=True)

    def _handler_exits(self, error: SystemExit) -> None:
        self._errands.ask(partial(self._exiting.raised, error))

    def _end_for_zombies(self, reason: str) -> None:
        """End the server because it has too many zombies; one of several is replaced first. Runs on: supervisor."""
        if self._membership is None:
            self._end_with(_DIED_OF_ZOMBIES)
        else:
            self._membership.condemned(reason)

    def _end_with(self, status: int) -> None:
        """End the server, and the process with ``status`` if no other end came first. Runs on: any thread."""
        self._status = self._status or status
        self._begin_stop(self._status)

    def _give_up(self) -> bool:
        """
        Give up waiting: the deadline of a stop has come. Log what did not stop.

        Returns whether the server may end the process: after a signal or because of zombies. Otherwise a program called
        ``stop``, and ``serve`` returns to it. Runs on: reaper.
        """
        self._gave_up = True
        ours = self._ends_process
        if not run_apart(lambda: self._tell_what_did_not_stop(ours), _TELL_FOR):
            _attempt(lambda: self._tell_what_did_not_stop(ours))
        if ours:
            _attempt(lambda: self.parts.mailer.close(_EXIT_MARGIN))
        else:
            self.parts.caretaker.finish()
        return ours

    def _tell_what_did_not_stop(self, ours: bool) -> None:
        tell_what_did_not_stop(list(self.parts.pool.workers.values()))
        if ours:
            tell_what_keeps_the_process(main_thread_too=self._ended)


def claim_files_of(application: Application, config_file: str) -> None:
    """Note which installed files are the application's, for stacks. Once in a process, or in the one that it is forked from."""
    claim(files_of_application(application, *named_in(config_file)))


def _prototype(
    listener: Listener, paste_pool: PastePool, public: PublicAddress | None = None, multiprocess: bool = False
) -> dict[str, Any]:
    """
    Make the environ that all requests of one listener share.

    ``public``: what the application is told instead of the listener's own scheme and name. ``multiprocess``: other
    processes call the same application.
    """
    endpoint = listener.endpoint
    return listener_prototype(
        scheme=(public and public.url_scheme) or endpoint.scheme,
        server_name=(public and public.server_name) or endpoint.server_name,
        server_port=endpoint.server_port,
        software=f"pastepool/{__version__}",
        errors=errors_stream(),
        multiprocess=multiprocess,
        extra={
            "paste.httpserver.thread_pool": paste_pool,
            "pastepool.broadcast": hub.broadcast,
            **({"HTTPS": "on"} if endpoint.tls else {}),
        },
    )


def _fit(connections: OpenConnections, settings: Settings, files: OpenFiles) -> None:
    """Raise the limit on open files, and lower that of connections if there are not enough of them."""
    files.raise_limit()
    wanted, workers = settings.overload.connection_limit, settings.pool.max_workers
    connections.lower_limit(connections_that_fit(wanted, files.limit, count_open(), workers))


def _attempt(step: Callable[[], object]) -> Exception | None:
    """Take one step of the end. A failure is logged and returned, so that the caller goes on with the next step."""
    try:
        step()
    except Exception as error:
        _tell_failure(error)
        return error
    return None


def _tell_failure(error: BaseException) -> None:
    with contextlib.suppress(Exception):  # the log itself may be the part that failed
        _log.critical("Internal error while stopping; please report this", exc_info=error)
