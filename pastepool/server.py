"""
The composition root: settings to objects, and the one place that starts and stops them, in order.

Nothing is opened and no thread exists before ``serve``; the exception are the listening sockets when a port has to be known
earlier (``bind``), and those stay usable after a fork (contract F2).
"""

from __future__ import annotations

import logging
import os
import sys
import threading
from typing import Any

from pastepool import __version__
from pastepool.runtime.acceptor import Acceptor
from pastepool.runtime.access_log import write_access_line
from pastepool.runtime.baton import Baton
from pastepool.runtime.caretaker import Caretaker
from pastepool.runtime.clock import MonotonicClock
from pastepool.runtime.inspection import Inspector
from pastepool.runtime.listener import Listener, open_listeners, url
from pastepool.runtime.mailer import Mailer
from pastepool.runtime.paste_pool import PastePool
from pastepool.runtime.poller import Poller
from pastepool.runtime.pool import Leading, Pool
from pastepool.runtime.reaper import Reaper
from pastepool.runtime.signals import Signals
from pastepool.runtime.site import Site
from pastepool.runtime.stacks import current_frames, stack_lines, stack_of
from pastepool.runtime.stamp import Stamp
from pastepool.runtime.supervisor import Supervisor
from pastepool.runtime.threads import spawn_thread
from pastepool.settings.values import Settings
from pastepool.types import Seconds
from pastepool.wsgi.call import Application
from pastepool.wsgi.environ import listener_prototype

_log = logging.getLogger("pastepool")

_DIED_OF_ZOMBIES = 3
"""Exit status when the process ends itself, so that a supervisor restarts it (contract P10)."""

_EXIT_MARGIN: Seconds = 2.0
"""What the interpreter gets for its own exit after a drain that used up its time. Nothing derives it."""


class Server:
    """
    A server for one application.

    ``serve`` blocks until the server was stopped and has drained. ``stop`` may be called from any thread, and in a signal
    handler, as often as one likes. ``ready`` is set when requests are taken.
    """

    def __init__(self, settings: Settings, application: Application) -> None:
        self.settings = settings
        self.clock = MonotonicClock()
        self.listeners: tuple[Listener, ...] = ()
        self.ready = threading.Event()
        self.mailer = Mailer(settings.mail, self.clock, config_file=settings.config_file)
        self.poller = Poller(settings, self.clock)
        self.baton = Baton(settings.overload, self.poller.wake)
        self.caretaker = Caretaker(self.baton, self.poller, settings.overload, self.clock, self._nudge)
        self.pool = Pool(self.baton, settings.pool, self.clock, spawn_thread, self._leading(), settings.logger)
        self.supervisor = self._make_supervisor()
        self.pool.changed = self.supervisor.nudge
        self.paste_pool = PastePool(
            self.pool, self.baton, settings.pool, self.clock, self.poller.serials, self.supervisor.ask_kill
        )
        self.site = self._make_site(application)
        self._reaper = Reaper(self.clock, self._give_up)
        self._signals = Signals(self._first_signal, self._second_signal)
        self._gave_up = False
        self._status = 0

    def _leading(self) -> Leading:
        poller = self.poller
        return Leading(poller.next_task, poller.ready_tasks, self.caretaker.refuse, poller.wake_for_returned)

    def _make_supervisor(self) -> Supervisor:
        return Supervisor(
            self.pool,
            self.baton,
            self.settings.pool,
            self.clock,
            Inspector(),
            logger=self.settings.logger,
            mail=self.mailer.submit,
            mail_hung=False,
            end_process=self._end_for_zombies,
        )

    def _make_site(self, application: Application) -> Site:
        settings = self.settings
        return Site(
            application=application,
            stamp=Stamp(settings.server_header),
            clock=self.clock,
            keep_alive_for=settings.timeouts.keep_alive or float("inf"),
            watermark=settings.output_high_watermark,
            access=write_access_line if settings.access_log else None,
            nudge=self.supervisor.nudge,
            poller=self.poller,
            old_protocol=settings.protocol_version == "HTTP/1.0",
        )

    def _nudge(self) -> None:
        self.supervisor.nudge()

    # Life.

    def bind(self) -> tuple[Listener, ...]:
        """Open the listening sockets now rather than in ``serve``. Raises: StartError."""
        if not self.listeners:
            settings = self.settings
            self.listeners = open_listeners(settings.host, settings.port, settings.listen_backlog)
        return self.listeners

    def serve(self) -> None:
        """Serve until stopped. Runs on: the calling thread, which becomes the caretaker."""
        self.bind()
        for note in self.settings.notes:
            _log.warning("%s", note)
        listeners = [(listener.socket, self._prototype(listener)) for listener in self.listeners]
        self.poller.start(self.site, Acceptor(listeners, self.clock), self.caretaker.hung_up)
        self._signals.install()
        spawn_thread(self._reaper.run, "pastepool reaper")
        self.mailer.start()
        for _ in range(self.settings.pool.workers):
            self.pool.spawn()
        spawn_thread(self.supervisor.run, "pastepool supervisor")
        self._announce()
        self.ready.set()
        self.caretaker.take_care()
        self._shut_down()

    def stop(self) -> None:
        """
        Drain and end ``serve``, within ``shutdown_timeout``. Idempotent; safe in a signal handler.

        Runs on: any thread.
        """
        self._begin_stop(0)

    def _begin_stop(self, status: int) -> None:
        self._reaper.arm(self.clock.now() + self.settings.timeouts.shutdown, status)
        self.poller.ask(self._drain)
        self.baton.ring()

    def _shut_down(self) -> None:
        """The order of the end: no more looks, no more workers, no more sockets, the mail out."""
        self.supervisor.close()
        self.pool.close()
        self.pool.join(0.0 if self._gave_up else _EXIT_MARGIN)
        self.poller.close()
        self.mailer.close(_EXIT_MARGIN)
        if self._status:
            self._reaper.arm(self.clock.now(), self._status, at_once=True)
            threading.Event().wait()  # the reaper ends the process; SystemExit would be swallowed by paster (contract P11)
        if self._signals.fired:
            self._reaper.arm(self.clock.now() + _EXIT_MARGIN + self.settings.timeouts.shutdown, int(self._gave_up))
        else:
            self._reaper.dismiss()
        self._signals.restore()

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
        lines.append(f"settings from {source}; pid {os.getpid()}, Ctrl+C or SIGTERM stops")
        try:
            sys.stdout.write("\n".join(lines) + "\n")
            sys.stdout.flush()
        except (OSError, ValueError, AttributeError):
            pass  # there is no standard output to tell it to

    # The end.

    def _drain(self) -> None:
        """Take no new clients, close the unused connections; the rest close as their responses end. Runs on: baton."""
        if self.site.draining:
            return
        self.site.draining = True
        _log.info("stopping: requests that run or wait are finished first")
        self.poller.stop_accepting()
        self.poller.close_unused()
        self.poller.when_empty(self.caretaker.finish)

    def _first_signal(self, number: int) -> None:
        self._begin_stop(0)

    def _second_signal(self, number: int) -> None:
        self._reaper.arm(self.clock.now(), 128 + number, at_once=True)

    def _end_for_zombies(self, reason: str) -> None:
        """Runs on: supervisor."""
        self._status = _DIED_OF_ZOMBIES
        self._begin_stop(_DIED_OF_ZOMBIES)

    def _give_up(self) -> bool:
        """The deadline of a stop has come. Answers whether the process is ours to end. Runs on: reaper."""
        frames = current_frames()
        for worker in list(self.pool.workers.values()):
            task = worker.fact[2]
            if task is not None:
                stack = "\n".join(stack_lines(stack_of(frames.get(worker.ident))))
                _log.error("%s did not stop: %s\n%s", worker.name, task.title(), stack)
        self._gave_up = True
        if not self._signals.fired and not self._status:
            self.caretaker.finish()
            return False
        self.mailer.close(_EXIT_MARGIN)
        return True
