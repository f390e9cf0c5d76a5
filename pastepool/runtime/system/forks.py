"""
Notice that the process was forked while a server runs, and end a child that has gone astray in our code.

An application may fork. The child process has one thread, a copy of the thread that forked. It is no server: it has
copies of our descriptors and signal handlers, and it shares the kernel's epoll object with its parent. So each server
that runs is told in the child, before any other code runs there, and gives all of that up (``Forked.in_child``).

The thread that forked may be one of ours, such as a worker inside the application. Its code must not go on in the child
as if it served: it calls ``end_child``.

Three functions are registered with ``os.register_at_fork``, once for the process and not before a server needs them.
They hold only weak references. A server that does not run when the process forks is not told, so it works in the child
(contract F2). ``multiprocessing`` with another method than fork, and ``subprocess``, start a new program: for them
nothing is needed, because all our descriptors are close-on-exec (contract F5).

Source: contract F6.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import signal
import sys
import threading
import weakref
from collections.abc import Collection
from typing import NoReturn, Protocol

from pastepool.runtime.system.forced_exit import run_apart
from pastepool.runtime.system.loggers import own_logger
from pastepool.runtime.system.standard_streams import flush_standard_streams
from pastepool.types import Seconds

_log = own_logger("pastepool")

_INTERRUPTED = 130
"""The exit status of a child that ended with KeyboardInterrupt: the shell's status for SIGINT."""

_TELL_FOR: Seconds = 2.0
"""
How long writing to the log may take in such a child: a lock of a log handler may be held by a thread that exists only in
the parent.
"""


class Forked(Protocol):
    """A server that runs, as this module knows it."""

    @property
    def handled(self) -> Collection[int]:
        """
        Return the signals that it handles.

        They are blocked during a fork: a signal would be lost that reaches the child before ``in_child`` has put the
        earlier handlers back.
        """

    def in_child(self) -> None:
        """
        Give up everything that belongs to the parent process.

        At the fork, other threads may have held any lock, and these threads do not exist in the child. So this method
        must take no lock. It must change nothing that both processes share: it may close a descriptor, but not shut a
        socket down, nor take it out of epoll, nor flush a file.

        Runs on: the only thread of the child, inside the call that forked.
        """


class _Forks:
    """
    What is known of the forks of this process.

    ``begun``: how many forks this process and its ancestors have begun. ``generation``: how many of them led to this
    process. ``_masks``: the signals that a forking thread had blocked before, by the thread's id.
    """

    def __init__(self) -> None:
        self.begun = 0
        self.generation = 0
        self._registered = False
        self._running: list[weakref.ref[Forked]] = []
        self._masks: dict[int, set[int]] = {}

    def register(self) -> None:
        """Have the functions below called at each fork. May be called often, but not on two threads at once."""
        if not self._registered:
            self._registered = True
            os.register_at_fork(
                before=self._before, after_in_parent=self._after_in_parent, after_in_child=self._after_in_child
            )

    def watch(self, server: Forked) -> None:
        self.register()
        self._running = [*self._running, weakref.ref(server)]

    def forget(self, server: Forked) -> None:
        self._running = [each for each in self._running if each() not in (None, server)]

    def _servers(self) -> list[Forked]:
        return [server for reference in self._running if (server := reference()) is not None]

    def _before(self) -> None:
        self.begun += 1
        handled = {number for server in self._servers() for number in server.handled}
        if handled:
            self._masks[threading.get_ident()] = signal.pthread_sigmask(signal.SIG_BLOCK, handled)

    def _after_in_parent(self) -> None:
        self._unblock()

    def _after_in_child(self) -> None:
        self.generation += 1
        servers, self._running = self._servers(), []
        for server in servers:
            try:
                server.in_child()
            except Exception:
                _log.critical("Internal error in a child of a fork; please report this", exc_info=True)
        self._unblock()

    def _unblock(self) -> None:
        mask = self._masks.pop(threading.get_ident(), None)
        if mask is not None:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)


_forks = _Forks()
"""The process has one list of functions that are called at a fork, so one object is enough for all servers."""

watch = _forks.watch
"""Tell a server from now on if the process is forked. Runs on: the thread that starts it."""

forget = _forks.forget
"""Do not tell a server any more: it has ended."""


def begun() -> int:
    """Say how many forks have begun so far. If the number is the same later, no child was made in between."""
    _forks.register()
    return _forks.begun


def generation() -> int:
    """Say how many forks led to this process. If the number is another one later, this process is a child."""
    _forks.register()
    return _forks.generation


def end_if_child(born: int, title: str, error: BaseException | None) -> None:
    """
    End this process if it is a child.

    ``born``: the ``generation`` in which the calling thread began. ``title``, ``error``: as for ``end_child``.
    """
    if born != _forks.generation:
        end_child(title, error)


def end_child(title: str, error: BaseException | None) -> NoReturn:
    """
    End a child process whose only thread came back from the application into our code.

    The exit status is the one that the interpreter would give: that of a SystemExit, 1 after another exception, 0
    without one. As at the interpreter's own exit, threads that the child started are waited for unless they are
    daemons, and exit functions run. Unlike there, no object is finalized: what the child has copied belongs to its
    parent.

    Args:
        title: what the thread was doing when it forked, for the log.
        error: what ended it; None if it just went on.
    """
    with contextlib.ExitStack() as steps:  # the last one first, and each one even if another one raises
        steps.callback(os._exit, _status(error))
        steps.callback(flush_standard_streams)
        steps.callback(atexit._run_exitfuncs)
        steps.callback(threading._shutdown)  # type: ignore[attr-defined]
        steps.callback(run_apart, lambda: _tell(title, error), _TELL_FOR)
    raise AssertionError("the process has ended")


def _status(error: BaseException | None) -> int:
    if isinstance(error, SystemExit):
        code = error.code
        return 0 if code is None else code & 0xFF if isinstance(code, int) else 1
    if isinstance(error, KeyboardInterrupt):
        return _INTERRUPTED
    return 0 if error is None else 1


def _tell(title: str, error: BaseException | None) -> None:
    if isinstance(error, SystemExit):
        if error.code is not None and not isinstance(error.code, int):
            sys.stderr.write(f"{error.code}\n")
    elif error is None:
        _log.warning(
            "%s forked, and the child process %d went on as if it were the server. The child ends here and sends "
            "nothing to the client. End such a child with sys.exit() or os._exit().",
            title,
            os.getpid(),
        )
    else:
        _log.error("%s forked, and the child process %d failed and ends", title, os.getpid(), exc_info=error)
