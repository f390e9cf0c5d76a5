"""
Every error of ours, sorted by whose fault it is.

Knows no other module. Each class ends with what the one who catches it should do.
"""

from __future__ import annotations


class PastepoolError(Exception):
    """Anything pastepool raises on purpose. Never raised itself."""


class SettingsError(PastepoolError, ValueError):
    """
    The operator's configuration cannot be served as it stands.

    ``str()`` is one whole sentence: the section, the key, the value, what is wrong and the remedy.
    Catcher: print that sentence and exit; a traceback tells an operator nothing more.
    """

    def __init__(
        self,
        message: str,
        *,
        section: str = "",
        key: str = "",
        value: str = "",
        nearest: str = "",
    ) -> None:
        super().__init__(message)
        self.section = section
        self.key = key
        self.value = value
        self.nearest = nearest


class StartError(PastepoolError):
    """
    The machine does not let the server start (the port is taken, the host unknown, a file missing).

    ``str()`` is one whole sentence with the remedy. Catcher: print it and exit with status 3.
    """


class NoThread(PastepoolError, RuntimeError):
    """
    The system has no thread left for us. ``str()`` is the system's reason, no sentence. Catcher: say which thread, and
    do without it or do not start.
    """


class PoolClosed(PastepoolError, RuntimeError):
    """A task came after the pool was told to stop. Catcher: whoever submits must stop submitting."""


class PeerError(PastepoolError):
    """
    The client broke HTTP or one of our limits.

    Catcher: answer ``status`` with ``reason`` as the body, then close: where the next message would begin is unknown.
    """

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(f"{status}: {reason}")
        self.status = status
        self.reason = reason


class AppError(PastepoolError):
    """
    The application broke PEP 3333 or its own framing.

    Catcher: log it with the traceback; answer 500 if nothing was sent yet, cut the connection otherwise.
    """


class ClientGone(PastepoolError, ConnectionError):
    """Nobody is listening any more. Catcher: stop producing; this is nobody's fault."""


class InjectionUnavailable(PastepoolError):
    """This interpreter cannot raise in another thread. Catcher: say so once at start and never plan a kill."""


class InternalError(PastepoolError):
    """Our bug: a table has no such cell. Catcher: log it with the traceback, ask for a report, go on serving."""


class WorkerKilled(SystemExit):
    """
    Raised inside an application by the pool, at the kill limit or by an operator.

    A ``SystemExit`` because the Paste manual promises one (contract P8): ``finally`` runs, ``except Exception``
    does not see it. A class of our own so that an application's ``sys.exit()`` is never mistaken for it.
    Catcher: clean up and re-raise; an application that swallows it is told again and again.
    """
