"""
Define the actions that a plan may tell the runtime to do, as plain values. Each can describe itself in words.

Log, mail and page all use ``describe()``, so the three always say the same. ``supervision`` decides which actions a
plan holds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pastepool.core.states import Status
from pastepool.core.wording import counted, printable, spoken
from pastepool.types import Seconds, WorkerId


@dataclass(frozen=True)
class KillAsked:
    """
    Record that an operator wants one task killed. This is a fact that the plan reads, not an action.

    ``serial``: of the task that the operator saw. If the worker runs another task by now, nothing is killed.
    """

    worker: WorkerId
    serial: int


@dataclass(frozen=True)
class Forget:
    """Drop the record of a worker whose thread has ended."""

    worker: WorkerId

    def describe(self) -> str:
        """Return this action in words."""
        return f"forget worker {self.worker}: its thread has ended"


@dataclass(frozen=True)
class Kill:
    """
    End one task: record the stack, claim the response, shut the client's socket, call the cancel callbacks, inject.

    The runtime applies this under the worker's fence, and only while the worker runs the task ``serial``. Otherwise it
    refuses the action. That is no error: the call has just returned. ``attempt``: 1 for the first attempt. ``ran_for``:
    seconds since the worker's present phase began. ``limit``: the limit that the task has passed; ``None`` when an
    operator asked for the kill, and for later attempts.
    """

    worker: WorkerId
    serial: int
    title: str
    ran_for: Seconds
    limit: Seconds | None
    attempt: int = 1

    @property
    def again(self) -> bool:
        """Say whether an earlier attempt was made. That attempt may have found the window shut and done nothing."""
        return self.attempt > 1

    def describe(self) -> str:
        """Return this action in words."""
        task = printable(self.title)
        if self.again:
            return f"kill worker {self.worker} again (attempt {self.attempt}): {task} has not ended"
        why = "an operator asked for it" if self.limit is None else f"limit {spoken(self.limit)}"
        return f"kill worker {self.worker}: {task} has run for {spoken(self.ran_for)} ({why})"


@dataclass(frozen=True)
class NoteHung:
    """
    Log one task's stack and diagnosis, once, when the task becomes hung.

    If the call of a hung task returns after all, the worker nudges the supervisor, because the worker that was spawned
    in its place is then surplus.
    """

    worker: WorkerId
    serial: int
    title: str
    ran_for: Seconds
    limit: Seconds

    def describe(self) -> str:
        """Return this action in words."""
        task = printable(self.title)
        return f"worker {self.worker} is hung: {task} has run for {spoken(self.ran_for)} (limit {spoken(self.limit)})"


@dataclass(frozen=True)
class NoteOverdue:
    """
    Log one task's stack and diagnosis, once, when it passes its kill limit in a process that kills nothing.

    ``limit``: the limit that the task has passed.
    """

    worker: WorkerId
    serial: int
    title: str
    ran_for: Seconds
    limit: Seconds

    def describe(self) -> str:
        """Return this action in words."""
        task = printable(self.title)
        return (
            f"worker {self.worker} is past its kill limit and is not killed: {task} has run for {spoken(self.ran_for)} "
            f"(limit {spoken(self.limit)})"
        )


@dataclass(frozen=True)
class NoteZombie:
    """
    Log one worker, once, when it becomes a zombie: its thread is lost until its call returns by itself.

    ``serial``/``title``: 0 and empty where the call has ended but the thread has not. ``ran_for``: seconds since the
    call began. ``dying_for``: seconds since the kill. ``zombies``: how many zombies there are, this one included.
    ``allowed``: the process ends when there are more zombies than this; 0 means that any number is allowed.
    """

    worker: WorkerId
    serial: int
    title: str
    ran_for: Seconds
    dying_for: Seconds
    zombies: int
    allowed: int

    def describe(self) -> str:
        """Return this action in words."""
        ran = f"{printable(self.title)} has run for {spoken(self.ran_for)} and not ended"
        what = ran if self.title else "its call has ended, and its thread has not"
        allowed = f"{self.allowed}" if self.allowed > 0 else "any number"
        return (
            f"worker {self.worker} is a zombie: {what} {spoken(self.dying_for)} after its kill; its thread cannot be "
            f"ended; {counted(self.zombies, 'zombie')}, {allowed} allowed"
        )


@dataclass(frozen=True)
class Spawn:
    """
    Start ``count`` workers, at least one.

    After the runtime has applied this, each new worker has a record with the phase *starting*. Without that record the
    next plan would spawn the worker again. A thread that cannot be started gets no record: the runtime notes the
    instant (``start_failed_at``) and nudges the supervisor.
    """

    count: int
    why: str

    def describe(self) -> str:
        """Return this action in words."""
        return f"spawn {counted(self.count, 'worker')}: {self.why}"


@dataclass(frozen=True)
class CutReader:
    """
    Close the connection of a client that does not read, so that its worker is free.

    The runtime refuses this if the worker does not wait for that client any more. ``stalled_for``: seconds since the
    client read something. ``waiting``: requests in the backlog. ``cap``: how many workers may live. ``sending_since``:
    since when the worker has waited for the client.
    """

    worker: WorkerId
    serial: int
    title: str
    stalled_for: Seconds
    waiting: int
    cap: int
    sending_since: Seconds

    def describe(self) -> str:
        """Return this action in words, with what the operator can do."""
        return (
            f"cut the client of worker {self.worker}: {printable(self.title)} is sent to it, and it has read nothing for "
            f"{spoken(self.stalled_for)}, while {counted(self.waiting, 'request')} "
            f"{'waits' if self.waiting == 1 else 'wait'} and max_workers = {self.cap}. Raise output_spool or spool_total "
            "if this was an honest client"
        )


@dataclass(frozen=True)
class Capped:
    """
    Log once why hung and dying workers are not replaced: the number of live threads has reached the cap.

    ``counts``: workers by status. ``missing``: how many workers would have been spawned without the cap. ``waiting``:
    requests in the backlog.
    """

    cap: int
    missing: int
    counts: Mapping[Status, int]
    waiting: int

    def describe(self) -> str:
        """Say which workers hold the threads, how many can still serve, and what the operator can do."""
        held = ", ".join(
            f"{self.counts[status]} {status.value}"
            for status in (Status.SENDING, Status.HUNG, Status.DYING, Status.ZOMBIE, Status.RETIRING)
            if self.counts.get(status)
        )
        serving = sum(self.counts.get(status, 0) for status in (Status.STARTING, Status.IDLE, Status.BUSY))
        live = sum(self.counts.values()) - self.counts.get(Status.GONE, 0)
        served = (
            f"{counted(serving, 'worker')} can still serve" if serving else "nobody is served until one of them ends"
        )
        return (
            f"cannot spawn {counted(self.missing, 'worker')}: {counted(live, 'thread')} live and max_workers = "
            f"{self.cap} ({held}); {served}, {counted(self.waiting, 'request')} waiting. "
            "Find out where requests hang, lower kill_thread_limit or raise max_workers"
        )


@dataclass(frozen=True)
class Retire:
    """
    Ask one worker to leave.

    The runtime refuses this unless the worker waits among the followers. That is no error: a later plan asks again.
    ``even_busy``: the runtime does not refuse; a worker that runs a task leaves as soon as the task has ended.
    """

    worker: WorkerId
    why: str
    even_busy: bool = False

    def describe(self) -> str:
        """Return this action in words."""
        return f"retire worker {self.worker}: {self.why}"


@dataclass(frozen=True)
class ExitProcess:
    """End the process in good order (contract P10, P11). This action is planned at most once."""

    reason: str

    def describe(self) -> str:
        """Return this action in words."""
        return f"end the process: {self.reason}"


Action = Forget | Kill | NoteHung | NoteOverdue | NoteZombie | Spawn | CutReader | Capped | Retire | ExitProcess
