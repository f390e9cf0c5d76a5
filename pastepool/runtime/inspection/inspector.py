"""
Find out what working threads are doing: where they stand, what they wait for, whether they use the processor.

Knows how to gather facts; ``core.telling.report`` puts them into a sentence. Looking disturbs nobody: no thread is stopped,
traced or signalled, no descriptor of the application is touched. Where Linux does not tell (another system, no /proc,
a process that changed its user after it started) the diagnosis holds less, and nothing fails.

Runs on: any thread, several at once.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Collection
from dataclasses import dataclass

from pastepool.core.telling.report import CodePlace, Diagnosis
from pastepool.runtime.inspection.descriptors import describe
from pastepool.runtime.inspection.procfs import cpu_seconds, descriptor_link
from pastepool.runtime.inspection.stacks import current_frames, frame_of, stack_of
from pastepool.runtime.inspection.waits import Wait, wait_of
from pastepool.types import Seconds

MEASURED_FOR_AT_LEAST: Seconds = 0.25
"""
A share of the processor is measured over no less. Below, a single time slice decides between "spinning" and "blocked";
and the supervisor and a page that look in turn must not cut each other's measurement short.
"""

_MEMORY_LIMIT = 4096
"""Threads remembered at most; those looked at longest ago are forgotten first. Far above any pool's cap."""

Thread = tuple[int, int]
"""One thread: ``threading.get_ident()``, Python's name for it, and ``threading.get_native_id()``, the kernel's."""


@dataclass
class _Memory:
    """
    What is kept of a thread from one look to the next.

    ``cpu``: seconds used at ``at``. ``link``: what identified the descriptor it waited on. ``waits_for``: what that was.
    """

    at: Seconds
    cpu: float | None
    share: float | None = None
    measured_for: Seconds = 0.0
    link: str = ""
    waits_for: str = ""


class Inspector:
    """
    Diagnoses threads, and remembers of each what the next look has to be compared with.

    Fields written under ``_lock`` by any thread: ``_memories`` and what is in it.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._memories: OrderedDict[Thread, _Memory] = OrderedDict()

    def look(self, ident: int, native_id: int, now: Seconds) -> Diagnosis:
        """
        Diagnose one thread.

        Args:
            ident: its ``threading.get_ident()``.
            native_id: its ``threading.get_native_id()``.
            now: monotonic; what CPU time is compared with.

        Returns:
            what could be found out. Nothing is known about CPU time before the second look.
        """
        stack = stack_of(frame_of(ident))
        with self._lock:
            return self._look_locked((ident, native_id), stack, now)

    def look_at_all(self, threads: Collection[Thread], now: Seconds) -> dict[int, Diagnosis]:
        """
        Diagnose several threads, by ``ident``.

        Cheaper than one after the other: the interpreter lists the stacks of all its threads at each question. Not for
        the supervisor, see ``stacks.current_frames``.
        """
        frames = current_frames()
        stacks = {ident: stack_of(frames.get(ident)) for ident, _ in threads}
        del frames
        with self._lock:
            return {thread[0]: self._look_locked(thread, stacks[thread[0]], now) for thread in threads}

    def _look_locked(self, thread: Thread, stack: tuple[CodePlace, ...], now: Seconds) -> Diagnosis:
        memory = self._remember_locked(thread, now)
        wait = wait_of(thread[1])
        return Diagnosis(
            frames=stack,
            cpu_share=memory.share,
            measured_for=memory.measured_for,
            syscall=wait.name if wait else None,
            waits_for=(_waits_for(wait, memory) or None) if wait else None,
            waits_for_gil=bool(wait and wait.for_gil),
        )

    def _remember_locked(self, thread: Thread, now: Seconds) -> _Memory:
        """Find what is remembered of a thread, and bring its CPU figure up to date."""
        cpu = cpu_seconds(thread[1])
        memory = self._memories.get(thread)
        if memory is None or cpu is None or memory.cpu is None or cpu < memory.cpu:
            # Unknown, ended, or a new thread under an old number.
            memory = self._memories[thread] = _Memory(now, cpu)
            if len(self._memories) > _MEMORY_LIMIT:
                self._memories.popitem(last=False)
        elif now >= memory.at + MEASURED_FOR_AT_LEAST:
            memory.measured_for = now - memory.at
            memory.share = min(1.0, (cpu - memory.cpu) / memory.measured_for)
            memory.at, memory.cpu = now, cpu
        self._memories.move_to_end(thread)
        return memory


def _waits_for(wait: Wait, memory: _Memory) -> str:
    """
    Say in words what a thread waits for; nothing when the call alone says it all.

    The answer for a socket is remembered with the link that identifies it, because whom a socket is still connecting to
    costs milliseconds to find out, and pools hang by the dozen on one host that does not answer.
    """
    if wait.child:
        return f"child process {wait.child}"
    if wait.path or not wait.descriptors:
        return wait.path
    link = descriptor_link(wait.descriptors[0])
    if link != memory.link or not link:
        memory.link, memory.waits_for = link, describe(wait.descriptors[0], link)
    others = len(wait.descriptors) - 1
    return f"{memory.waits_for} and {others} more" if memory.waits_for and others else memory.waits_for
