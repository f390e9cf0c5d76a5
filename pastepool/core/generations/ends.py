"""
Say why a child has ended, in words for the log and as a reason that is counted.

SIGKILL does not tell who has sent it. If the kernel has killed a process because memory ran out, it has counted that for
the control group of the process, before it sent the signal.
"""

from __future__ import annotations

from dataclasses import dataclass

from pastepool.core.generations.child import Child, ChildPhase
from pastepool.types import Seconds

SAMPLE_EVERY: Seconds = 10.0
"""
How often the kernel's count is read while nothing happens. A process that is killed may need seconds to give its memory
back, so what was counted between ten and twenty seconds before its end may be about it.
"""

OOM, KILLED, CRASHED, EXITED, FAILED_START = "oom", "killed", "crashed", "exited", "failed-start"
"""The reasons that are counted: of ends that nobody has asked for."""

SIGKILL = 9

_BY_WHOM = {
    True: " because memory ran out (oom)",
    False: " from outside",
    None: " from outside, perhaps because memory ran out; the log of the kernel tells",
}


@dataclass(frozen=True)
class OomKills:
    """
    What the kernel has counted. ``older``: at least ten seconds ago, unless the first sample is younger; ``newer``: at the
    last sample.
    """

    older: int
    newer: int

    def sampled(self, count: int) -> OomKills:
        """Note a sample."""
        return OomKills(self.newer, count)

    def explains(self, count: int) -> bool:
        """Say whether one was killed for memory lately whose end was not explained yet, if the count is this now."""
        return count > self.older

    def explained(self) -> OomKills:
        """Note that one of them was explained."""
        return OomKills(self.older + 1, max(self.newer, self.older + 1))


@dataclass(frozen=True)
class End:
    """How a child has ended. ``reason``: which is counted; empty if it was asked to end. ``words``: what it did."""

    reason: str
    words: str


def ended_with(code: int) -> str:
    """Say how a process has ended. ``code``: its exit status; of one that was killed, less than 0: the signal."""
    return f"was killed by signal {-code}" if code < 0 else f"ended with status {code}"


def end_of(child: Child, code: int, out_of_memory: bool | None) -> End:
    """
    Say why a child has ended.

    ``code``: as for ``ended_with``. ``out_of_memory``: what ``OomKills`` says; None if the kernel does not tell.
    """
    words = ended_with(code)
    asked = child.phase in (ChildPhase.RETIRING, ChildPhase.KILLED) or (child.phase is ChildPhase.BOOTING and child.why)
    if code == -SIGKILL and child.phase is not ChildPhase.KILLED:
        reason = OOM if out_of_memory else KILLED
        return End("" if asked else reason, words + _BY_WHOM[out_of_memory])
    if asked:
        return End("", words)
    if child.phase is ChildPhase.BOOTING:
        return End(FAILED_START, words)
    return End(CRASHED if code < 0 else EXITED, words)
