"""
``twistd pastepool --config production.ini``: serve an INI file under twistd (``IServiceMaker``).

What twistd does stays its own: the daemon, the pid file, the log, the user. Names in this module are Twisted's.
"""

from __future__ import annotations

import signal
from types import FrameType
from typing import Any, ClassVar

from twisted.internet.defer import Deferred
from twisted.python import log, usage

from pastepool.adapters.twistd.logs import configure
from pastepool.adapters.twistd.service import Service
from pastepool.errors import SettingsError, StartError

_RELOAD = (
    "SIGHUP: new code and settings cannot be loaded into this process, so it goes on as it is. Start it again, or serve"
    " the file with paster serve and processes, which reloads."
)


class Options(usage.Options):
    """The words of the command line after ``pastepool``."""

    synopsis = "--config FILE [NAME=VALUE ...]"
    longdesc = (
        "Serve the application of an INI file with the server of pastepool. Other words set variables of the file."
    )
    optParameters: ClassVar[list[list[Any]]] = [
        ["config", "c", None, "The INI file."],
        ["server-name", None, "main", "NAME of its section [server:NAME]."],
        ["app-name", None, "main", "NAME of its section [app:NAME]."],
    ]

    def parseArgs(self, *words: str) -> None:
        """Take ``NAME=VALUE``."""
        wrong = [word for word in words if "=" not in word]
        if wrong:
            raise usage.UsageError(f"{wrong[0]!r} is no variable; write NAME=VALUE.")
        self["variables"] = dict(word.split("=", 1) for word in words)

    def postOptions(self) -> None:
        """Check that there is a file."""
        if not self["config"]:
            raise usage.UsageError("--config is missing; it names the INI file.")


def makeService(options: Options) -> Service:
    """Read and check the file. Raises: SystemExit: it has a mistake. So twistd ends and shows the sentence alone."""
    names = {"server": options["server-name"], "app": options["app-name"], "variables": options["variables"]}
    try:
        return TwistdService(options["config"], **names)
    except SettingsError as error:
        raise SystemExit(str(error)) from error


class TwistdStartError(StartError, SystemExit):
    """
    The server cannot start, and the process ends with the sentence alone.

    It is an Exception because twistd then removes its pid file, and tells the command that has made a daemon. It is a
    SystemExit because Python then shows no traceback.
    """

    __module__ = "pastepool"  # the name counts for the 100 bytes that a daemon may tell

    def __init__(self, sentence: str) -> None:
        super().__init__(sentence)
        self.code = sentence


class TwistdService(Service):
    """The only service of a process: it ends the process if it dies, and it answers SIGHUP."""

    _before: Any = None

    def startService(self) -> None:
        configure(self.server.settings.config_file)
        if signal.getsignal(signal.SIGHUP) is signal.SIG_DFL:
            self._before = signal.signal(signal.SIGHUP, self._refuse_reload)
        if signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
            # Requests run from here on, and the reactor handles signals only when it runs, a moment later: a SIGTERM
            # between the two would end the process in the middle of them.
            signal.signal(signal.SIGTERM, self._reactor.sigTerm)
        try:
            super().startService()
        except (StartError, SettingsError) as error:
            raise TwistdStartError(str(error)) from error

    def stopService(self) -> Deferred[None]:
        if self._before is not None:
            signal.signal(signal.SIGHUP, self._before)
            self._before = None
        return super().stopService()

    def _refuse_reload(self, number: int, frame: FrameType | None) -> None:
        self._reactor.callFromThread(log.msg, _RELOAD)

    def died(self, error: BaseException | None) -> None:
        super().died(error)
        self._reactor.stop()
