"""
Find out what workers are doing: which line of code they execute, what they wait for, and how much CPU time they use.

This module gathers facts; ``core.telling.report`` makes sentences of them. A look does not disturb the worker: it does
not stop, trace or signal a thread and does not use a descriptor of the application. On another system than Linux,
without /proc, or in a process that changed its user after it started, the diagnosis has fewer facts, and nothing fails.

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
The shortest time over which the CPU share of a thread is measured. Over a shorter time, one time slice of the scheduler
would decide between "spinning" and "blocked". And the supervisor and a page may look at the same thread in turn: the
look of one must not end the measurement of the other too early.
"""

_MEMORY_LIMIT = 4096
"""
The most threads that are remembered. Beyond it, the thread whose last look is the oldest is forgotten first. A pool is
usually far smaller.
"""

Thread = tuple[int, int]
"""One thread: its number in Python (``threading.get_ident()``) and in the kernel (``threading.get_native_id()``)."""


@dataclass
class _Memory:
    """
    What the inspector remembers of a thread from one look to the next.

    ``cpu``: CPU seconds the thread had used at the instant ``at``. ``share`` and ``measured_for``: the last CPU share,
    and over how many seconds it was measured. ``link``: identifies the descriptor the thread waited on (the result of
    ``descriptor_link``). ``waits_for``: that descriptor in words.
    """

    at: Seconds
    cpu: float | None
    share: float | None = None
    measured_for: Seconds = 0.0
    link: str = ""
    waits_for: str = ""


class Inspector:
    """
    Diagnoses threads. It remembers facts of each thread, because the next look compares with them.

    ``_memories`` and the objects in it are written under ``_lock``, by any thread.
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
            now: the monotonic instant of this look. The CPU share is measured against it.

        Returns:
            the facts that were found. The CPU share is unknown before the second look.
        """
        stack = stack_of(frame_of(ident))
        with self._lock:
            return self._look_locked((ident, native_id), stack, now)

    def remember_only(self, threads: Collection[Thread]) -> None:
        """Forget all other threads: they have ended. Otherwise each killed request would leave one behind."""
        with self._lock:
            for ended in self._memories.keys() - set(threads):
                del self._memories[ended]

    def look_at_all(self, threads: Collection[Thread], now: Seconds) -> dict[int, Diagnosis]:
        """
        Diagnose several threads. Returns the diagnoses by ``ident``.

        This is cheaper than one ``look`` per thread: the interpreter lists the stacks of all threads at every request.
        The supervisor must not call this; ``stacks.current_frames`` says why.
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
        """Return what is remembered of a thread, after measuring its CPU share again if enough time has passed."""
        cpu = cpu_seconds(thread[1])
        memory = self._memories.get(thread)
        if memory is None or cpu is None or memory.cpu is None or cpu < memory.cpu:
            # The first look at this thread, or it has ended, or a new thread has the number of an old one.
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
    Say in words what a thread waits for. Returns an empty text when the name of the system call says everything.

    The words for a descriptor are remembered together with its link. Finding the address of a socket that is still
    connecting costs milliseconds, and often dozens of workers hang on the same host that does not answer.
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
