"""
The tasks of a ``WorkerPool``: work that its host has submitted, and a request inside of such work.

Both implement ``runtime.pool.task.Task``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, MutableMapping, Sequence
from types import MappingProxyType
from typing import Protocol

from pastepool.core.ownership import calls_application
from pastepool.core.telling.beginnings import beginning
from pastepool.core.telling.masking import masked_path, request_facts
from pastepool.core.wording import printable
from pastepool.pooling.backlog_waits import BacklogWaits
from pastepool.pooling.work import Work
from pastepool.runtime.pool.task import ShedReason, TaskOutcome
from pastepool.runtime.system.loggers import own_logger
from pastepool.types import CallWindow, Seconds

_log = own_logger("pastepool.app")

_WAITS_AFTER: Seconds = 0.1
"""
After this time outside of a request a worker is shown as waiting for its host, and is replaced. To read the head of a
request takes less, also where a worker waits for the GIL behind some others. With 0.02 a loaded pool of ten grew to forty,
and each request cost more (measured with cheroot).
"""

_TITLE_LIMIT = 300

_NOTHING: Mapping[str, object] = MappingProxyType({})


class _HostWait:
    """The wait of a worker for its host (``task.WaitForClient``). ``began_at``: when the last request ended."""

    lasted: Seconds = 0.0

    def __init__(self, began_at: Seconds, now: Callable[[], Seconds]) -> None:
        self._began_at = began_at
        self._now = now

    @property
    def since(self) -> Seconds | None:
        return self._began_at if self._now() >= self._began_at + _WAITS_AFTER else None

    def stalled_since(self, now: Seconds) -> Seconds:
        """Return infinity: it is for the host to say how long it waits for its client."""
        return math.inf

    def cut(self) -> bool:
        return False


class PoolOfTasks(Protocol):
    """What a task calls on its pool."""

    now: Callable[[], Seconds]
    waits: BacklogWaits

    def end_one(self, task: HostTask) -> None: ...
    def nudge(self) -> None: ...


class HostTask:
    """
    Work that the host has submitted.

    ``open``: the window is open in ``run``, because the whole of it can be killed. ``request_ended_at``: when the last
    request inside of it ended; 0.0 if none has. ``over``: it has ended.
    """

    kind = "task of the host"
    arrived_at: Seconds = 0.0
    started_at: Seconds = 0.0
    worker_name = ""
    kill_after: Seconds | None = None
    peer: str | None = None
    request_ended_at: Seconds = 0.0
    over = False

    def __init__(self, work: Work, serial: int, pool: PoolOfTasks) -> None:
        self.work = work
        self.serial = serial
        self.open = not work.holds_requests
        self._pool = pool

    @property
    def environ(self) -> Mapping[str, object] | None:
        return self.work.environ

    @property
    def cancellations(self) -> Sequence[Callable[[], object]] | None:
        """Return the work's ``cancel``, if it has one of its own: to run it takes a thread."""
        return None if type(self.work).cancel is Work.cancel else [self.work.cancel]

    @property
    def client_wait(self) -> _HostWait | None:
        return None if self.open else _HostWait(max(self.started_at, self.request_ended_at), self._pool.now)

    @calls_application
    def run(self, window: CallWindow) -> None:
        if self._pool.waits.wanted:
            self._pool.waits.tell()
        if self.open:
            window.open(self.serial)
            self.work.run()
            window.shut()
        else:
            self.work.run()

    def title(self) -> str:
        try:
            return printable(self.work.title(), _TITLE_LIMIT)
        except Exception as error:  # it is the host's code
            return f"work without a title ({type(error).__name__})"

    def nudge(self) -> None:
        """Have the supervisor look at a limit that has changed."""
        self._pool.nudge()

    def described(self) -> Mapping[str, str]:
        environ = self.environ
        return dict(request_facts(environ)) if environ else {}

    def outcome(self) -> TaskOutcome:
        return TaskOutcome()

    def failed(self, error: BaseException) -> None:
        self.work.failed(error)

    def conclude(self, now: Seconds) -> None:
        try:
            self.work.finished()
        except BaseException:  # whatever the host raises must not cost the pool a worker
            _log.exception("%s: the host failed to end it", self.title())
        finally:
            self._pool.end_one(self)

    def killed(self, now: Seconds) -> None:
        """Do nothing: the host answers its client when ``run`` has raised."""

    def cut_if_waiting(self) -> bool:
        return False

    def refused(self, reason: ShedReason) -> None:
        try:
            self.work.refused(reason.value)
        finally:
            self._pool.end_one(self)

    def dropped(self) -> None:
        self.refused(ShedReason.STOPPING)


class HostedRequest:
    """
    One request inside of a task of the host.

    Large because it is everything that the pool asks of a task, and what an application may ask of it.

    ``began``: a part of the response was sent. ``writing``: the worker is just sending one. ``respond``: answers the
    client of a request that is killed, if nothing was sent. ``hang_up``: cuts the client of a request that is killed.
    """

    kind = "request"
    arrived_at: Seconds = 0.0
    started_at: Seconds = 0.0
    worker_name = ""
    kill_after: Seconds | None = None
    client_wait: None = None
    began = False
    writing = False
    fate = ""
    _on_cancel: list[Callable[[], object]] | None = None

    def __init__(
        self,
        environ: MutableMapping[str, object],
        serial: int,
        outer: HostTask,
        respond: Callable[[], object] | None,
        hang_up: Callable[[], object] | None,
    ) -> None:
        self.environ: Mapping[str, object] = environ
        environ["pastepool.kill_after"] = self.set_kill_after
        environ["pastepool.on_cancel"] = self.on_cancel
        self.serial = serial
        self.outer = outer
        # The application may change the environ, and drops it when it likes.
        get = environ.get
        self._names = (get("REQUEST_URI"), get("SCRIPT_NAME", ""), get("PATH_INFO", ""), get("REQUEST_METHOD", ""))
        self._address = get("REMOTE_ADDR")
        self._respond = respond
        self._hang_up = hang_up

    @property
    def peer(self) -> str:
        return self._address if isinstance(self._address, str) else ""

    def set_kill_after(self, seconds: float) -> None:
        """
        Set the kill limit of this request, in seconds from its start; 0 means never. For the application.

        Raises: ValueError: the application gave a negative number or NaN.
        """
        seconds = float(seconds)
        if not seconds >= 0.0:
            raise ValueError(f"environ['pastepool.kill_after']({seconds}): seconds must be 0 (never) or more")
        self.kill_after = seconds
        self.outer.nudge()

    def on_cancel(self, callback: Callable[[], object]) -> None:
        """Have ``callback()`` called if this request is killed. For the application. Raises: TypeError."""
        if not callable(callback):
            raise TypeError(f"environ['pastepool.on_cancel']({callback!r}): it takes a callable without arguments")
        if self._on_cancel is None:
            self._on_cancel = []
        self._on_cancel.append(callback)

    @property
    def cancellations(self) -> Sequence[Callable[[], object]] | None:
        own, outer = self._on_cancel, self.outer.cancellations
        return own if outer is None else [*outer, *(own or ())]

    @property
    def over(self) -> bool:
        """Return whether the outer task has ended."""
        return self.outer.over

    def title(self) -> str:
        target, script_name, path_info, method = self._names
        path = str(target or "").partition("?")[0] or f"{script_name}{path_info}"
        return printable(f"{method} {masked_path(beginning(path, _TITLE_LIMIT))}", _TITLE_LIMIT)

    def described(self) -> Mapping[str, str]:
        return dict(request_facts(self.environ))

    def outcome(self) -> TaskOutcome:
        return TaskOutcome(fate=self.fate)

    def run(self, window: CallWindow) -> None:
        """Do nothing: its outer task runs."""

    def failed(self, error: BaseException) -> None:
        self.outer.failed(error)

    def conclude(self, now: Seconds) -> None:
        self.outer.conclude(now)

    def killed(self, now: Seconds) -> None:
        self.fate = "killed"
        if self._respond is not None and not self.began:
            self._respond()
        if self._hang_up is not None:
            self._hang_up()

    def cut_if_waiting(self) -> bool:
        hang_up = self._hang_up
        if not self.writing or hang_up is None:
            return False
        self.fate = "killed"
        hang_up()
        return True

    def let_go(self) -> None:
        """Break the reference cycles through the environ and the host's functions. Its end. Runs on: its worker."""
        self.environ = _NOTHING
        self._respond = self._hang_up = None

    def refused(self, reason: ShedReason) -> None:
        """Do nothing: it runs already."""

    def dropped(self) -> None:
        """Do nothing: it runs already."""
