"""
The factories that Paste Deploy calls, and the way their errors reach an operator.

This module knows Paste Deploy's calling convention and how the commands that use it treat errors. It builds no part of
a server itself.

Why errors need care. Every command reports a failed start in its own way. ``paster serve`` and ``pserve`` print a
traceback; once the application is loaded, they swallow SystemExit and exit with 0. ``gearbox serve`` logs a traceback
of any Exception and exits with 4. But an operator needs one sentence, and a process monitor needs an exit status that
it can act on. And every command must leave through the interpreter's normal exit, which removes the command's pid file.

What works under all commands. An exception that is neither an Exception nor a SystemExit passes every handler. A
SystemExit raised inside ``sys.excepthook`` becomes the status of an otherwise normal exit, which runs the atexit
functions. So this module raises ``CommandExit`` if a known command is on the stack of the main thread. Its hook writes
the sentence for that exception, and passes all other exceptions on. A program that calls the factory itself gets the
SettingsError or StartError.
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
from dataclasses import replace
from types import TracebackType
from typing import TYPE_CHECKING

from pastepool.core.ending import end_at
from pastepool.embedding.applications import admin_application, check_application, function_named, warnings_ignored
from pastepool.errors import SettingsError, StartError
from pastepool.runtime.system.loggers import own_logger, write_line
from pastepool.settings import Settings, lines_of, read, section_of
from pastepool.settings.again import factory_of, read_again, variables_of
from pastepool.settings.dialect import PASTE, WAITRESS, Dialect
from pastepool.settings.place import Lines, SettingsPlace
from pastepool.types import Seconds

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

    from pastepool.runtime.family.birth import Birth
    from pastepool.worker.seat import Seat

COMMANDS = frozenset(
    {"paste.script.serve", "pyramid.scripts.pserve", "gearbox.commands.serve", "Zope2.Startup.serve"},
)
"""The modules of the commands that run this server. Only under them may an error end the process."""

TRACEBACK_VARIABLE = "PASTEPOOL_TRACEBACK"
"""The environment variable that, set to 1, shows the traceback of an error instead of its sentence alone."""

RELOADER_VARIABLE = "PYTHON_RELOADER_SHOULD_RUN"
"""
``paster serve --reload`` sets this in its child process. It takes the child's exit status 3 for "start me again now".
"""

MONITOR_VARIABLE = "PASTE_MONITOR_SHOULD_RUN"
"""
``paster serve --monitor-restart`` sets this in its child process. It starts the child again at once after every exit.
"""

APPLICATION_SECTION = "app:... use = egg:pastepool#watch_threads"
"""How errors name the section of an application: Paste Deploy does not tell an application factory the name."""

_EXIT_FUNCTIONS_FOR: Seconds = 3.0
"""How long the exit functions of a program may take in a worker."""

SETTINGS_STATUS = 1
START_STATUS = 3


class CommandExit(BaseException):
    """
    Carries an exit status to the top of a command, past handlers that would hide it.

    It is not an Exception, so ``gearbox`` does not catch it. It is not a SystemExit, so ``paster`` and ``pserve`` do
    not catch it. Only ``sys.excepthook`` handles it. ``error``: what is told; None if the end was wanted.
    """

    def __init__(self, error: SettingsError | StartError | None, status: int) -> None:
        super().__init__("" if error is None else str(error))
        self.error = error
        self.status = status


def http(global_conf: Mapping[str, object] | None = None, /, **local_conf: object) -> Callable[[WSGIApplication], None]:
    """
    Make the server of a ``[server:...]`` section: ``use = egg:pastepool#http`` (``paste.server_factory``).

    Every option is read and checked here, before Paste Deploy loads the application.

    Args:
        global_conf: [DEFAULT] and command-line variables, with ``__file__``.
        local_conf: the section's options (see the table in ``settings.options``).

    Under a command, with ``processes``, this call forks: it returns in each worker, and never in the parent.

    Returns:
        a callable that serves one application and returns when the server has drained.
    Raises:
        SettingsError: the section has a mistake; the operator must edit it.
        CommandExit: the same, when a serve command is running; or the end of the parent.
    Runs on:
        the thread that loads the configuration; the callable serves on the thread that calls it.
    """
    return _server(global_conf or {}, local_conf, PASTE)


def main(global_conf: Mapping[str, object] | None = None, /, **local_conf: object) -> Callable[[WSGIApplication], None]:
    """
    Make the server of a section that was written for waitress: ``use = egg:pastepool#main``.

    Like ``http``, but waitress's names mean what they mean there (see ``settings.dialect``), beside those of the table.
    """
    return _server(global_conf or {}, local_conf, WAITRESS)


def fcgi(global_conf: Mapping[str, object] | None = None, /, **local_conf: object) -> Callable[[WSGIApplication], None]:
    """Make flup's FastCGI server on our pool: ``use = egg:pastepool#fcgi``, with the options of ``egg:flup#fcgi``."""
    return _flup("fcgi", global_conf or {}, local_conf)


def scgi(global_conf: Mapping[str, object] | None = None, /, **local_conf: object) -> Callable[[WSGIApplication], None]:
    """Make flup's SCGI server on our pool: ``use = egg:pastepool#scgi``, with the options of ``egg:flup#scgi``."""
    return _flup("scgi", global_conf or {}, local_conf)


def ajp(global_conf: Mapping[str, object] | None = None, /, **local_conf: object) -> Callable[[WSGIApplication], None]:
    """Make flup's AJP server on our pool: ``use = egg:pastepool#ajp``, with the options of ``egg:flup#ajp``."""
    return _flup("ajp", global_conf or {}, local_conf)


def _flup(
    protocol: str, given: Mapping[str, object], local_conf: Mapping[str, object]
) -> Callable[[WSGIApplication], None]:
    """
    Read and check the options of a section for a server of flup, and return what serves an application with it.

    Raises: SettingsError: the section has a mistake. StartError: flup is not installed. CommandExit: either, when a serve
    command is running.
    """
    with _told_to_operator():
        try:
            from pastepool.adapters.flup_factory import factory
        except ImportError as error:
            raise StartError(str(error)) from error
        serve_with_flup = factory(protocol, given, local_conf)

    def serve(app: WSGIApplication) -> None:
        with _told_to_operator():
            serve_with_flup(app)

    return serve


def _server(
    given: Mapping[str, object], local_conf: Mapping[str, object], dialect: Dialect
) -> Callable[[WSGIApplication], None]:
    """Read and check the options of a section, and return what serves an application with them."""
    _be_slow_to_die_early()
    with _told_to_operator():
        lines = lines_of(str(given.get("__file__") or ""))
        settings = read(local_conf, given, section_of(local_conf, given), dialect, lines)
        _check_certificates(settings, lines)

    reloaded = _is_reloaded()
    if reloaded:
        settings = _for_reloader(settings)
    forks = settings.processes.processes > 0 and not reloaded
    again = _reader_of(settings, given, dialect)
    seat = _worker_seat(settings, again, given) if forks and _runs_in_command() else None

    def serve(app: WSGIApplication) -> None:
        if forks and seat is None:
            _serve_in_program(app, settings, again)
        else:
            _serve(app, settings if seat is None else seat.settings, seat)

    return serve


def _check_certificates(settings: Settings, lines: Lines) -> None:
    """
    Refuse certificates that cannot be used before the application is loaded, which may take a while.

    Raises: SettingsError: a file is missing, garbled or does not fit.
    """
    if any(endpoint.tls for endpoint in settings.listen):
        from pastepool.runtime.sockets.tls_context import make_context  # most servers need no TLS

        make_context(settings.tls, SettingsPlace(settings.section, settings.config_file, lines, settings.spelt))


def _serve(app: WSGIApplication, settings: Settings, seat: Seat | None) -> None:
    """Serve in this process, or be the mold of those that do. ``seat``: its place among several."""
    from pastepool.server import Server  # imported here because a check of the settings does not need it

    with _told_to_operator():
        try:
            check_application(app, settings.config_file)
            admin = None if seat is not None else admin_application(settings.admin)  # the desk shows all processes
            first = function_named(settings)
            if seat is not None and seat.birth.mold is not None:
                from pastepool.server import claim_files_of
                from pastepool.worker.mold import preloaded

                seat = preloaded(seat, lambda: claim_files_of(app, settings.config_file))
            if seat is not None and "App.config" in sys.modules:
                from pastepool.worker.pid_file import name_parent  # only Zope's command needs it

                board = seat.birth.row.board
                name_parent(os.getppid(), lambda: board.stops)
            first()
            Server(settings, app, admin, seat).serve()
        except (SettingsError, StartError) as error:
            if seat is not None:
                seat.failed(str(error))
            raise


def _worker_seat(settings: Settings, again: Callable[[], Settings], given: Mapping[str, object]) -> Seat:
    """
    Fork the workers, before the command loads the application in each of them.

    Returns: the seat, in each worker. Raises: CommandExit: in the parent, which never loads the application.
    """
    from pastepool.process.beginning import ParentEnds, become_parent  # imported here: one process does not need it

    with _told_to_operator():
        try:
            birth = become_parent(settings, again)
        except ParentEnds as end:
            _speak_at_exit()
            raise CommandExit(None, end.status) from None
    variables = variables_of(given, settings.config_file)
    return _taken(birth, lambda: _configure_logging_again(birth, settings.config_file, variables))


def _configure_logging_again(birth: Birth, config_file: str, variables: Mapping[str, str]) -> None:
    """After a reload, configure ``logging`` as the file has it now. Raises: CommandExit: it has a mistake there."""
    from pastepool.runtime.family.birth import FAILED
    from pastepool.worker.logging_again import configure_logging_again  # the parent does not need it

    with _told_to_operator():
        try:
            if birth.generation > 1:
                configure_logging_again(config_file, variables)
        except SettingsError as error:
            birth.wire.send(FAILED, str(error))
            raise


def _taken(birth: Birth, prepare: Callable[[], None]) -> Seat:
    """
    Return the seat of a worker. In the desk this does not return: it has no application.

    ``prepare``: what else a child has to do first.
    """
    if birth.is_desk:
        from pastepool.desk.desk import run_desk

        run_desk(birth, prepare, lambda: admin_application(birth.settings.admin))
    from pastepool.worker.seat import Seat  # the parent does not need it

    seat = Seat(birth)
    prepare()
    return seat


def _serve_in_program(app: WSGIApplication, settings: Settings, again: Callable[[], Settings]) -> None:
    """
    Serve with several processes in a program that has loaded its application already.

    Each worker ends here. The program goes on in the parent, when all have ended. Raises: SystemExit: it ended badly.
    """
    from pastepool.process.beginning import ParentEnds, become_parent
    from pastepool.runtime.system.forced_exit import end_process

    try:
        birth = become_parent(settings, again)
    except ParentEnds as end:
        if end.status:
            raise SystemExit(end.status) from None
        return
    seat = _taken(birth, lambda: None)
    try:
        _serve(app, seat.settings, seat)
    except BaseException:
        seat.failed(traceback.format_exc())
        end_process(1, 0.0)
    end_process(0, _EXIT_FUNCTIONS_FOR)


def _reader_of(settings: Settings, given: Mapping[str, object], dialect: Dialect) -> Callable[[], Settings]:
    """Return what reads the section again, with the same variables of the command line. A program has no file."""
    if not settings.config_file or not settings.processes.processes:
        return lambda: settings
    variables = variables_of(given, settings.config_file)
    factory = factory_of(settings.config_file, settings.section, variables)

    def again() -> Settings:
        fresh = read_again(settings.config_file, settings.section, variables, dialect, factory)
        _check_certificates(fresh, lines_of(settings.config_file))
        return fresh

    return again


def _is_reloaded() -> bool:
    """Say whether a reloader watches the modules of this process. Then all has to happen in it."""
    hupper = sys.modules.get("hupper")
    return bool(os.environ.get(RELOADER_VARIABLE)) or (hupper is not None and hupper.is_active())


def _for_reloader(settings: Settings) -> Settings:
    """
    Change the settings for a process that is started again at each change of a file.

    It does not wait for the connections that a browser keeps: ``pserve`` kills it after one second.
    """
    if settings.processes.processes:
        own_logger("pastepool").warning("processes has no effect under --reload, which watches this one process")
    return replace(settings, timeouts=replace(settings.timeouts, idle_grace=0.0))


def watch_threads(global_conf: Mapping[str, object] | None = None, /, **local_conf: object) -> WSGIApplication:
    """
    Make the page that shows the pool: ``use = egg:pastepool#watch_threads`` (``paste.app_factory``).

    If the section has no token, one is drawn and written into the log.

    Args:
        global_conf: [DEFAULT]. Only ``__file__`` is read, to name the file in errors.
        local_conf: the options in the table of ``watch.options``.

    Raises:
        SettingsError: the section has a mistake; the operator must edit it.
        CommandExit: the same, when a serve command is running.
    """
    with warnings_ignored():
        from pastepool.watch.app import WatchApp  # imported here, so that WebOb is loaded only if the page is used
        from pastepool.watch.options import read_options

    given = global_conf or {}
    with _told_to_operator():
        options = read_options(local_conf, SettingsPlace(APPLICATION_SECTION, str(given.get("__file__") or "")))
    app = WatchApp(options)
    app.ready()
    return app


@contextlib.contextmanager
def _told_to_operator() -> Iterator[None]:
    """Let a SettingsError or StartError through to a program. Under a command, raise ``CommandExit`` instead."""
    try:
        yield
    except (SettingsError, StartError) as error:
        if not _runs_in_command():
            raise
        _speak_at_exit()
        raise CommandExit(error, _status(error)) from error


def _runs_in_command() -> bool:
    """
    Say whether a known command called us on the main thread. Then an exception passes through it and ends the process.
    """
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
    Under paster's monitor, make a process that ends in its first second wait until that second is over.

    The monitor starts a failed process again without a pause. The wait happens in an exit function, because most
    failures do not come to our notice: for instance, the application is loaded after us. This function runs before the
    one that removes the command's pid file, so that the pid file exists as long as the process.
    """
    if os.environ.get(MONITOR_VARIABLE) and _runs_in_command():
        atexit.register(_wait_out_first_second, time.monotonic())


def _wait_out_first_second(since: Seconds) -> None:
    """Block until a process that began at ``since`` may end. Ctrl-C ends the wait."""
    now = time.monotonic()
    with contextlib.suppress(KeyboardInterrupt):
        time.sleep(end_at(now, since) - now)


def _status(error: SettingsError | StartError) -> int:
    """
    Choose the exit status.

    Under paster's reloader the status 3 would start the server again and again, without a pause. The reloader itself
    exits with 0 in any case: it drops the status of its child.
    """
    if isinstance(error, SettingsError) or os.environ.get(RELOADER_VARIABLE):
        return SETTINGS_STATUS
    return START_STATUS


def _speak_at_exit() -> None:
    """
    Install a ``sys.excepthook`` that reports a ``CommandExit``. It passes all other exceptions to the hook before it.
    """
    previous = sys.excepthook

    def hook(kind: type[BaseException], value: BaseException, trace: TracebackType | None) -> None:
        if not isinstance(value, CommandExit):
            previous(kind, value, trace)
            return
        if value.error is None:
            raise SystemExit(value.status)
        wants_traceback = os.environ.get(TRACEBACK_VARIABLE, "0") not in ("", "0")
        said = "".join(traceback.format_exception(value.error)).rstrip() if wants_traceback else str(value)
        if sys.stderr is None:
            own_logger("pastepool").critical("%s", said)  # the process was started with standard error closed
        write_line(sys.stderr, said)
        raise SystemExit(value.status)

    sys.excepthook = hook
