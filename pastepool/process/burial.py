"""Tell that a worker process has ended, and why, and count the reasons."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from pastepool.core.generations.child import Child, ChildPhase
from pastepool.core.generations.ends import SAMPLE_EVERY, SIGKILL, OomKills, end_of
from pastepool.runtime.family.kin import Kin
from pastepool.runtime.family.teller import Teller
from pastepool.runtime.inspection.control_group import oom_kills
from pastepool.types import Seconds


class Burial:
    """
    ``counts``: how many have ended by each reason, since the start. ``events``: the file of the kernel; None without one.

    Runs on: the only thread of the parent.
    """

    def __init__(self, tell: Teller, now: Seconds, events: Path | None) -> None:
        self.counts: Counter[str] = Counter()
        self._tell = tell
        self._events = events
        self._sampled_at = now
        count = oom_kills(events)
        self._kills = OomKills(count, count)

    def sample(self, now: Seconds) -> None:
        """Note what the kernel has counted, if it is time."""
        if self._events is not None and now >= self._sampled_at + SAMPLE_EVERY:
            self._sampled_at = now
            self._kills = self._kills.sampled(oom_kills(self._events))

    def tell(self, child: Child, kin: Kin, code: int, again: bool = False) -> str:
        """
        Tell that one has ended. ``code``: as for ``ended_with``. ``again``: as others before it, in a row.

        Returns: why it did not become ready; empty if it was, or was not to be.
        """
        oom = None if self._events is None else self._kills.explains(oom_kills(self._events))
        if oom and code == -SIGKILL and child.phase is not ChildPhase.KILLED:
            self._kills = self._kills.explained()
        end, name = end_of(child, code, oom), child.named(kin.pid)
        if not end.reason:
            self._tell.info(f"{name} {end.words} ({child.why})")
            return ""
        self.counts[end.reason] += 1
        if child.phase is ChildPhase.BOOTING:
            text = f"{name} {end.words} before it was ready" + (f":\n{kin.failure}" if kin.failure else "")
            self._tell.error(text, again)
            return text
        self._tell.error(f"{name} {end.words}; it is replaced", again)
        return ""
