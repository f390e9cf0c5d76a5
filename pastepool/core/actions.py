"""
What a plan may tell the runtime to do: plain values, each able to say itself in words.

Log, mail and page all use ``describe()``, so the three never disagree. Deciding is ``supervision``'s.
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
    An operator wants one task killed: a fact for the plan like any other, and no action.

    ``serial``: of the task he saw. If the worker runs another one by now, nobody is killed.
    """

    worker: WorkerId
    serial: int


@dataclass(frozen=True)
class Forget:
    """Drop the record of a worker whose thread has ended."""

    worker: WorkerId

    def describe(self) -> str:
        """Say it in words."""
        return f"forget worker {self.worker}: its thread has ended"


@dataclass(frozen=True)
class Kill:
    """
    End one task: record the stack, claim the response, shut the client's socket, call the cancel callbacks, inject.

    Applied under the worker's fence and only while it runs the task ``serial``; otherwise it is refused, which is no
    error: the call has just returned. ``attempt``: 1 for the first. ``ran_for``: seconds in its present phase.
    ``limit``: the limit passed; ``None`` when an operator asked, and for later attempts.
    """

    worker: WorkerId
    serial: int
    title: str
    ran_for: Seconds
    limit: Seconds | None
    attempt: int = 1

    @property
    def again(self) -> bool:
        """Whether an earlier attempt was made: then only the injection is left to do."""
        return self.attempt > 1

    def describe(self) -> str:
        """Say it in words."""
        task = printable(self.title)
        if self.again:
            return f"kill worker {self.worker} again (attempt {self.attempt}): {task} has not ended"
        why = "an operator asked for it" if self.limit is None else f"limit {spoken(self.limit)}"
        return f"kill worker {self.worker}: {task} has run for {spoken(self.ran_for)} ({why})"


@dataclass(frozen=True)
class NoteHung:
    """
    Log one task's stack and diagnosis, once, when it becomes hung.

    The runtime also remembers to nudge the supervisor when the task ends after all: then its replacement is surplus.
    """

    worker: WorkerId
    serial: int
    title: str
    ran_for: Seconds
    limit: Seconds

    def describe(self) -> str:
        """Say it in words."""
        task = printable(self.title)
        return f"worker {self.worker} is hung: {task} has run for {spoken(self.ran_for)} (limit {spoken(self.limit)})"


@dataclass(frozen=True)
class NoteZombie:
    """
    Log one worker, once, when it becomes a zombie: its thread is lost until its call returns by itself.

    ``serial``/``title``: 0 and empty where the call has ended, and the thread has not. ``ran_for``: seconds since the
    call began. ``dying_for``: seconds since its kill. ``zombies``: how many there are, this one included. ``allowed``:
    more than so many end the process; 0 means any number.
    """

    worker: WorkerId
    serial: int
    title: str
    ran_for: Seconds
    dying_for: Seconds
    zombies: int
    allowed: int

    def describe(self) -> str:
        """Say it in words."""
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

    Their records exist, as *starting*, when this has been applied; otherwise the next plan spawns them again. A thread
    that cannot be started gets no record: the runtime notes when (``start_failed_at``) and nudges the supervisor.
    """

    count: int
    why: str

    def describe(self) -> str:
        """Say it in words."""
        return f"spawn {counted(self.count, 'worker')}: {self.why}"


@dataclass(frozen=True)
class Capped:
    """
    Say once why hung and dying workers are not replaced: as many threads live as may.

    ``counts``: workers by status. ``missing``: how many would have been spawned. ``waiting``: requests in the backlog.
    """

    cap: int
    missing: int
    counts: Mapping[Status, int]
    waiting: int

    def describe(self) -> str:
        """Say it in words: who holds the threads, who is served, and what the operator can do."""
        held = ", ".join(
            f"{self.counts[status]} {status.value}"
            for status in (Status.HUNG, Status.DYING, Status.ZOMBIE, Status.RETIRING)
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

    Refused, which is no error, unless the worker is waiting among the followers: a later plan asks again.
    ``even_busy``: not refused then either; the worker leaves as soon as it runs nothing.
    """

    worker: WorkerId
    why: str
    even_busy: bool = False

    def describe(self) -> str:
        """Say it in words."""
        return f"retire worker {self.worker}: {self.why}"


@dataclass(frozen=True)
class ExitProcess:
    """End the process in good order (contract P10, P11); planned once."""

    reason: str

    def describe(self) -> str:
        """Say it in words."""
        return f"end the process: {self.reason}"


Action = Forget | Kill | NoteHung | NoteZombie | Spawn | Capped | Retire | ExitProcess
