"""
What a worker process has of its parent: its number, the sockets it listens on, and the wire to the parent.

``server`` knows it as ``Membership``. The thread that listens to the parent starts when the server serves. Before that
nobody listens, because the application is being loaded.
"""

from __future__ import annotations

import contextlib
import faulthandler
import importlib
import itertools
import os
import select
import signal
import socket
import sys
import threading
import traceback
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import TracebackType

from pastepool.runtime.family.birth import CONDEMNED, DESK, FAILED, READY, RETIRE, TASKS_OF_ONE, Birth
from pastepool.runtime.family.link import Link
from pastepool.runtime.family.naming import middle_of, name_process
from pastepool.runtime.family.wire import LONGEST
from pastepool.runtime.sockets.siblings import Siblings
from pastepool.runtime.system.threads import spawn_thread
from pastepool.runtime.watching.server_view import ServerView
from pastepool.types import Seconds
from pastepool.watch.finding import share
from pastepool.watch.own_server import OwnServer
from pastepool.watch.questions import answer
from pastepool.worker.among import Among

_BEAT_EVERY: Seconds = 0.4
"""
A worker whose last beat is older than a second is taken for one that stands still, so a beat may be half a second late. It
is the most frequent reason for which an idle worker wakes up.
"""

_ARMED_FOR: Seconds = 5.0
"""How often the thread in C is put off, at most: each time costs a thread."""

_PARENTLESS = 3
"""A worker that stands still ends after so many times ``deadlock_timeout``, if no parent has killed it before."""

_OOM, _OOM_MORE = Path("/proc/self/oom_score_adj"), 100
"""If memory runs out, the kernel is to end a worker and not the parent."""


class Seat:
    """
    One worker's place. ``birth``: what the parent has given it.

    It is made in the process of the worker, just forked, on its only thread.
    """

    def __init__(self, birth: Birth) -> None:
        self.settings = birth.settings
        self.first_task = birth.serial * TASKS_OF_ONE + 1
        self.listeners = birth.listeners
        self.birth = birth
        self._row = birth.row
        self._wire = birth.wire
        self._dump = birth.dump
        self._lane = birth.lane
        self._drain_for: Seconds = birth.settings.processes.drain
        self._deadlock: Seconds = birth.settings.processes.deadlock
        self._is_ready = False
        self._own: OwnServer | None = None
        self._link: Link | None = None
        self._previous = sys.excepthook
        self._settle()

    @property
    def preloaded(self) -> bool:
        """Whether this process was forked from a mold."""
        return self.birth.preloaded

    @property
    def siblings(self) -> Siblings:
        """The others, as the board shows them."""
        return self._row

    def _settle(self) -> None:
        """Arrange the process for the server, before the application is loaded."""
        faulthandler.register(signal.SIGUSR2, file=self._dump, all_threads=True)
        self._name("boots")
        if not self.preloaded:
            for listener in self.birth.admin_listeners:
                listener.close()  # they are the desk's
            with contextlib.suppress(OSError, ValueError):  # not Linux, or a container that does not allow it
                score = int(_OOM.read_text()) + _OOM_MORE
                _OOM.write_text(str(min(score, 1000)))
            importlib.invalidate_caches()  # modules may have come since the parent has looked

        def hook(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
            if self._is_ready:
                self._previous(kind, error, trace)
            else:
                self.failed("".join(traceback.format_exception(kind, error, trace)))

        sys.excepthook = hook

    def leave(self) -> None:
        """Give the place up in this process: another one has taken it, which was forked from this one."""
        faulthandler.unregister(signal.SIGUSR2)
        self._is_ready = True  # the hook passes on from now on; the application may have put one of its own before it
        self._wire.close()
        self._lane.close()
        os.close(self._dump)

    def _name(self, state: str) -> None:
        what = f"worker {self.birth.slot} gen {self.birth.generation} {state}"
        name_process(middle_of(self.settings), what, f"{self.birth.slot} g{self.birth.generation}")

    def failed(self, text: str) -> None:
        """Say why the worker cannot serve. What an operator needs stands at the end of a traceback."""
        self._wire.send(FAILED, text.rstrip()[-LONGEST:])

    def serving(
        self,
        retire: Callable[[Seconds], None],
        figures: Callable[[], tuple[int, int]],
        view: ServerView,
        hear: Callable[[bytes, int], None],
    ) -> None:
        """
        Say that this worker serves, show that it lives, and obey the parent from now on.

        ``retire``: called with the time there is; on a thread of its own, and when the parent has gone. ``figures``:
        returns how many requests there were, and how many run. ``view``: what the page may see of the server.
        ``hear``: takes what was broadcast, and how many messages were lost before it.
        """
        self._is_ready = True
        self._name("ready")
        self._row.beat(*figures())
        spawn_thread(lambda: self._beat(figures), "pastepool beat")
        self._own = OwnServer(view)
        share(view, Among(self._own, self.birth.slot, self.birth.serial, lambda: self._link))
        spawn_thread(lambda: self._listen(retire, hear), "pastepool parent")
        self._wire.send(READY)

    def condemned(self, why: str) -> None:
        """Ask to be replaced. Safe in a signal handler."""
        self._wire.send(CONDEMNED, why)

    def ending(self, figures: tuple[int, int]) -> None:
        """Show the last figures: no request comes any more."""
        self._row.beat(*figures)

    def _beat(self, figures: Callable[[], tuple[int, int]]) -> None:
        """
        Show that Python code runs in this process.

        If the interpreter stands still, and the parent has gone, which would have killed it, a thread in C ends the
        process in the end.
        """
        never = threading.Event()
        again = max(1, int(min(_ARMED_FOR, self._deadlock) / _BEAT_EVERY))
        for count in itertools.count():
            self._row.beat(*figures())
            if self._deadlock and count % again == 0:
                faulthandler.dump_traceback_later(_PARENTLESS * self._deadlock, file=self._dump, exit=True)
            never.wait(_BEAT_EVERY)

    def broadcast(self, data: bytes) -> None:
        """Send a message to all processes, this one included. Raises: BroadcastError: the parent does not take it."""
        self._lane.send(data)

    def _listen(self, retire: Callable[[Seconds], None], hear: Callable[[bytes, int], None]) -> None:
        """Hear what the parent says and what is broadcast, until the parent has gone."""
        ready = select.poll()
        for descriptor in (self._wire.fileno(), self._lane.fileno()):
            ready.register(descriptor, select.POLLIN)
        while True:
            for descriptor, _ in ready.poll():
                if descriptor == self._lane.fileno():
                    if not self._lane.take(hear):
                        ready.unregister(descriptor)  # the wire tells the rest
                elif not self._obey(retire):
                    retire(self._drain_for)
                    return

    def _obey(self, retire: Callable[[Seconds], None]) -> bool:
        """Do what the parent has said. Returns whether it is there."""
        messages = self._wire.receive(wait=False)
        for word, text in messages or ():
            if word == RETIRE:
                self._name("leaves")
                retire(float(text))
            elif word == DESK:
                self._meet_desk()
        return messages is not None

    def _meet_desk(self) -> None:
        """Take the newest link to a desk. What it asks is answered from what the page may see."""
        own, descriptors = self._own, self._wire.descriptors
        if own is None or not descriptors:
            return
        sock = socket.socket(fileno=descriptors.popleft())
        before, self._link = self._link, Link(sock, partial(answer, own), spawn_thread)
        if before is not None:
            before.close()
        self._link.start()
