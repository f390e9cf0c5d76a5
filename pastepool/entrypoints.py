"""
What Paste Deploy finds: the server factory, and how its errors reach an operator.

Knows Paste Deploy's calling convention and the manners of the commands that use it; builds nothing itself.

Why errors need care. Every command reports a failed start in its own way: ``paster serve`` and ``pserve`` print a
traceback and, once the application is loaded, swallow SystemExit and exit with 0; ``gearbox serve`` logs a traceback
of any Exception and exits with 4. An operator needs one sentence and a status a process monitor can act on, and all of
them must leave through the interpreter's normal exit, because the command's pid file is removed there.

What works in all of them: an exception that is neither an Exception nor a SystemExit passes every handler, and a
SystemExit raised inside ``sys.excepthook`` becomes the status of an otherwise normal exit (atexit functions run). So
``CommandExit`` is raised where a known command is on the stack of the main thread, and the hook speaks for that one
exception and passes all others on. A program that calls the factory itself gets the SettingsError or StartError.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from types import TracebackType
from typing import TYPE_CHECKING

from pastepool.core.ending import end_at
from pastepool.errors import SettingsError, StartError
from pastepool.settings import Settings, read, section_of
from pastepool.settings.place import SettingsPlace
from pastepool.types import Seconds

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

COMMANDS = frozenset(
    {"paste.script.serve", "pyramid.scripts.pserve", "gearbox.commands.serve", "Zope2.Startup.serve"},
)
"""Modules whose ``serve`` command runs us; only there may an error end the process."""

TRACEBACK_VARIABLE = "PASTEPOOL_TRACEBACK"
"""Set to 1, the environment variable that shows the traceback instead of the sentence alone."""

RELOADER_VARIABLE = "PYTHON_RELOADER_SHOULD_RUN"
"""Set by ``paster serve --reload`` in its child, whose exit status 3 it takes for "start me again, at once"."""

MONITOR_VARIABLE = "PASTE_MONITOR_SHOULD_RUN"
"""Set by ``paster serve --monitor-restart`` in its child, which it starts again at once whatever that ended for."""

APPLICATION_SECTION = "app:... use = egg:pastepool#watch_threads"
"""What a section is called whose name nobody tells an application factory."""

SETTINGS_STATUS = 1
START_STATUS = 3


class CommandExit(BaseException):
    """
    An error on its way to the top of a command, past handlers that would hide it.

    No Exception, so that ``gearbox`` does not catch it; no SystemExit, so that ``paster`` and ``pserve`` do not.
    Catcher: nobody but ``sys.excepthook``.
    """

    def __init__(self, error: SettingsError | StartError) -> None:
        super().__init__(str(error))
        self.error = error
        self.status = _status(error)


def http(global_conf: Mapping[str, object] | None = None, /, **local_conf: object) -> Callable[[WSGIApplication], None]:
    """
    Make the server of a ``[server:...]`` section: ``use = egg:pastepool#http`` (``paste.server_factory``).

    Every option is read and checked here, before Paste Deploy loads the application.

    Args:
        global_conf: [DEFAULT] and command-line variables, with ``__file__``.
        local_conf: the section's options (see the table in ``settings.options``).

    Returns:
        a callable that serves one application and returns when it has been drained.
    Raises:
        SettingsError: the section cannot be served as it stands; the operator must edit it.
        CommandExit: the same, when a serve command is running.
    Runs on:
        the thread that loads the configuration; the callable serves on the thread that calls it.
    """
    given = global_conf or {}
    _be_slow_to_die_early()
    with _told_to_operator():
        settings = read(local_conf, given, section_of(local_conf, given))

    def serve(app: WSGIApplication) -> None:
        from pastepool.server import Server  # what a check of the settings does not need is not loaded for it

        with _told_to_operator():
            Server(settings, app, _admin_application(settings)).serve()

    return serve


def watch_threads(global_conf: Mapping[str, object] | None = None, /, **local_conf: object) -> WSGIApplication:
    """
    Make the page that shows the pool: ``use = egg:pastepool#watch_threads`` (``paste.app_factory``).

    Args:
        global_conf: [DEFAULT], of which only ``__file__`` is read, for the errors.
        local_conf: the options in the table of ``watch.options``.

    Raises:
        SettingsError: the section cannot be served as it stands; the operator must edit it.
        CommandExit: the same, when a serve command is running.
    """
    from pastepool.watch.app import WatchApp  # WebOb is not loaded for those who do not watch
    from pastepool.watch.options import read_options

    given = global_conf or {}
    with _told_to_operator():
        options = read_options(local_conf, SettingsPlace(APPLICATION_SECTION, str(given.get("__file__") or "")))
    return WatchApp(options)


def _admin_application(settings: Settings) -> WSGIApplication | None:
    """The same page for ``admin_listen``, if that is set."""
    admin = settings.admin
    if not admin.listen:
        return None
    from pastepool.watch.app import WatchApp
    from pastepool.watch.options import WatchOptions

    return WatchApp(WatchOptions(admin.allow_kill, admin.token, admin.allow_from))


@contextlib.contextmanager
def _told_to_operator() -> Iterator[None]:
    """Let our errors out as they are to a program, and as ``CommandExit`` to a command."""
    try:
        yield
    except (SettingsError, StartError) as error:
        if not _runs_in_command():
            raise
        _speak_at_exit()
        raise CommandExit(error) from error


def _runs_in_command() -> bool:
    """Say whether an exception from here would travel through one of the commands and then end the process."""
    if threading.current_thread() is not threading.main_thread():
        return False
    frame = sys._getframe()
    while frame.f_back is not None:
        frame = frame.f_back
        if frame.f_globals.get("__name__") in COMMANDS:
            return True
    return False


def _be_slow_to_die_early() -> None:
    """
    Under paster's monitor, which knows no pause, have a process that fails in its first second wait the rest of it out.

    In an exit function, because most of what fails there tells us nothing: the application, for instance, is loaded
    after us. It runs before the one that removes the command's pid file, so that the pid file stays true.
    """
    if os.environ.get(MONITOR_VARIABLE) and _runs_in_command():
        atexit.register(_wait_out_first_second, time.monotonic())


def _wait_out_first_second(since: Seconds) -> None:
    """Return when a process that began at ``since`` may end. Ctrl-C means now."""
    now = time.monotonic()
    with contextlib.suppress(KeyboardInterrupt):
        time.sleep(end_at(now, since) - now)


def _status(error: SettingsError | StartError) -> int:
    """
    Choose the exit status.

    Under paster's reloader 3 would start the server again and again, with no pause. (Whatever it gets instead, the
    reloader itself exits with 0: it drops the status of its child.)
    """
    if isinstance(error, SettingsError) or os.environ.get(RELOADER_VARIABLE):
        return SETTINGS_STATUS
    return START_STATUS


def _speak_at_exit() -> None:
    """Put a hook before the present one. It is process-wide, but speaks for ``CommandExit`` alone."""
    previous = sys.excepthook

    def hook(kind: type[BaseException], value: BaseException, trace: TracebackType | None) -> None:
        if not isinstance(value, CommandExit):
            previous(kind, value, trace)
            return
        if os.environ.get(TRACEBACK_VARIABLE, "0") not in ("", "0"):
            traceback.print_exception(value.error, file=sys.stderr)
        else:
            sys.stderr.write(f"{value}\n")
        raise SystemExit(value.status)

    sys.excepthook = hook
