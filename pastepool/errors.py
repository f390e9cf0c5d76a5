"""
Define every error of ours, sorted by whose fault it is.

Knows no other module. The docstring of each class ends with what the code that catches the error should do.
"""

from __future__ import annotations

from collections.abc import Sequence


class PastepoolError(Exception):
    """The base class of all errors that pastepool raises on purpose. Never raised itself."""


class SettingsError(PastepoolError, ValueError):
    """
    The operator's configuration cannot be served as it stands.

    ``str()`` is one whole sentence for each mistake, each on a line of its own: the place, the key, the value, what is
    wrong and the remedy. ``line``: the number of the line in ``file``, 0 if it is not known. ``contradicts``: the other
    key of a contradiction. ``errors``: the single mistakes, where this error is about several; then the other parts are
    those of the first.
    Catcher: print the sentences and exit; a traceback tells an operator nothing more.
    """

    def __init__(
        self,
        message: str,
        *,
        section: str = "",
        key: str = "",
        value: str = "",
        nearest: str = "",
        contradicts: str = "",
        line: int = 0,
        file: str = "",
        errors: tuple[SettingsError, ...] = (),
    ) -> None:
        super().__init__(message)
        self.section = section
        self.key = key
        self.value = value
        self.nearest = nearest
        self.contradicts = contradicts
        self.line = line
        self.file = file
        self.errors = errors or (self,)

    @classmethod
    def all_of(cls, errors: Sequence[SettingsError]) -> SettingsError:
        """Return one error about several mistakes, at least one: a sentence for each, in their order."""
        first = errors[0]
        if len(errors) == 1:
            return first
        return cls(
            "\n".join(map(str, errors)),
            section=first.section,
            key=first.key,
            value=first.value,
            nearest=first.nearest,
            line=first.line,
            file=first.file,
            errors=tuple(errors),
        )


class StartError(PastepoolError):
    """
    The machine does not let the server start (the port is taken, the host unknown, a file missing).

    ``str()`` is one whole sentence with the remedy. Catcher: print it and exit with status 3.
    """


class NoThread(PastepoolError, RuntimeError):
    """
    The system has no thread left for us.

    ``str()`` is the system's reason, not a whole sentence. Catcher: say which thread could not be started; then go on
    without it, or do not start the server.
    """


class PoolClosed(PastepoolError, RuntimeError):
    """A task came after the pool was told to stop. Catcher: submit no more tasks."""


class BroadcastError(PastepoolError, RuntimeError):
    """
    A message cannot be sent to the other processes, or one more subscription or kept message is too many.

    ``str()`` says which and why. Nobody was told. Catcher: try again later, or tell the operator.
    """


class PeerError(PastepoolError):
    """
    The client broke HTTP or one of our limits.

    Catcher: answer ``status`` with ``reason`` as the body, then close the connection, because it is not known where the
    next message begins.
    """

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(f"{status}: {reason}")
        self.status = status
        self.reason = reason


class AppError(PastepoolError):
    """
    The application broke PEP 3333 or its own framing.

    Catcher: log it with the traceback. Answer 500 if no byte was sent yet, otherwise cut the connection.
    """


class ClientGone(PastepoolError, ConnectionError):
    """The client has gone and takes no more bytes. Catcher: stop producing them; nobody made a mistake."""


class TlsFailed(PastepoolError, ConnectionError):
    """
    The handshake with a client failed, or its bytes cannot be decrypted. ``str()`` is OpenSSL's reason, no sentence.

    Catcher: close the connection after the client has had time to read why. Only a line at level info tells of it,
    because each port scanner causes it.
    """


class InjectionUnavailable(PastepoolError):
    """
    This interpreter cannot raise in another thread, or cannot do so safely.

    Catcher: log that once at start, and never plan a kill.
    """


class InternalError(PastepoolError):
    """
    A bug of ours, for example an event that a table of states does not list.

    Catcher: log it with the traceback, ask for a report, and go on serving.
    """


class WorkerKilled(BaseException):
    """
    The pool raises this inside an application, at the kill limit or because an operator asked for it.

    ``finally`` runs, and ``except Exception`` does not catch it (contract P8). It is no ``SystemExit``, because the
    interpreter ends the whole process where a C extension prints one as an error that it cannot hand on.
    Catcher: clean up and raise it again. If an application swallows it, the pool raises it in the application again.
    """


class WorkerKilledExit(WorkerKilled, SystemExit):
    """
    The kill of a server with ``threadpool_kill_exception = SystemExit``, for applications that clean up after that.

    ``code``: the exit status where something ends the interpreter with it (EX_SOFTWARE of ``sysexits.h``). It is an
    attribute of the class because the interpreter makes the exception without arguments.
    Catcher: as for WorkerKilled.
    """

    code = 70


KILL_EXCEPTIONS: dict[str, type[WorkerKilled]] = {"WorkerKilled": WorkerKilled, "SystemExit": WorkerKilledExit}
"""What is raised to kill a call, by the value of ``threadpool_kill_exception``."""
