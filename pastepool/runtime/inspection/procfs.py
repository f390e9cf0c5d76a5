"""
Ask Linux what one thread of this process is doing: its CPU time, its system call, the memory its arguments point to.

Knows the files of /proc/self and one clock. Does not know what the answers mean (``syscalls``, ``inspection``).
Every function answers "I do not know" (None, empty) where there is no /proc, where the thread is gone, or where the
kernel refuses: a process that changed its user after it started may not read its own ``syscall`` and ``mem`` files.
None of them stops, signals or traces the thread asked about.

Runs on: any thread.
"""

from __future__ import annotations

import ctypes
import os
import sys
import time
from dataclasses import dataclass

_TASKS = "/proc/self/task"
_ON_LINUX = sys.platform == "linux"
_SYSCALL_LINE = 256
"""Bytes; the longest line the kernel writes is nine numbers of at most 18 characters."""

_MAPS_LIMIT = 4 * 1024 * 1024
_FDINFO_LIMIT = 64 * 1024


@dataclass(frozen=True)
class SystemCall:
    """
    What a thread was doing for the kernel when it was asked.

    ``number``: the call, or -1 for none: it runs, waits for a processor, or waits for a page of memory.
    ``args``: six words as the thread passed them, empty when it runs. ``place``: stack pointer and program counter,
    which tell one call from the next one of the same kind.
    """

    number: int
    args: tuple[int, ...] = ()
    place: tuple[int, ...] = ()


def read_system_call(native_id: int) -> SystemCall | None:
    """
    Say which system call a thread is in.

    Returns:
        None when the kernel does not tell; a call numbered -1 when the thread is in none.

    Source:
        proc(5), ``/proc/pid/syscall``: ``running``, or ``-1 sp pc``, or ``number arg1 .. arg6 sp pc``.
    """
    words = _read(f"{_TASKS}/{native_id}/syscall", _SYSCALL_LINE, at_once=True).split()
    if not words:
        return None
    if words[0] == b"running":
        return SystemCall(-1)
    numbers = tuple(int(word, 0) for word in words)
    return SystemCall(numbers[0], numbers[1:-2], numbers[-2:])


def cpu_seconds(native_id: int) -> float | None:
    """
    Say how much CPU time a thread has used since it began, in the kernel and outside.

    The clock's number is worked out from the thread's id, as the C library does it. ``time.pthread_getcpuclockid``
    looks the same thing up in the thread's own memory: once the thread has ended, the process crashes (tried). Asked
    this way the kernel answers "no such thread". It needs no /proc and costs one system call.

    Returns:
        seconds, or None for a thread that has ended and for a system that is not Linux.

    Source:
        the layout of these numbers is part of Linux's interface: ``~id << 3``, 4 for a thread, 2 for exact time.
    """
    if not _ON_LINUX:
        return None
    try:
        return time.clock_gettime((~native_id << 3) | 4 | 2)
    except OSError:
        return None


def read_memory(address: int, size: int) -> bytes:
    """
    Copy bytes of this process, through the kernel, so that an address no longer valid is an answer and no crash.

    Returns:
        what could be read, which may be shorter than ``size``; empty when nothing could.
    """
    try:
        memory = os.open("/proc/self/mem", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return b""
    try:
        return os.pread(memory, size, address)
    except (OSError, OverflowError):
        return b""
    finally:
        os.close(memory)


def descriptor_link(descriptor: int) -> str:
    """Say what a descriptor leads to in the kernel's words: ``socket:[4711]``, ``pipe:[4712]``, a path; or nothing."""
    try:
        return os.readlink(f"/proc/self/fd/{descriptor}")
    except OSError:
        return ""


def watched_by_epoll(descriptor: int) -> tuple[int, ...]:
    """
    Say which file descriptors an epoll descriptor watches, ascending.

    Source: proc(5), ``/proc/pid/fdinfo``: lines that begin with ``tfd:``.
    """
    lines = _read(f"/proc/self/fdinfo/{descriptor}", _FDINFO_LIMIT).splitlines()
    words = [line.split() for line in lines if line.startswith(b"tfd:")]
    return tuple(sorted(int(line[1]) for line in words if len(line) > 1))


def interpreter_memory() -> range:
    """
    Say where CPython keeps its own static state, and with it the lock word of the GIL.

    A thread that waits for its turn to run Python is in ``futex`` like one that waits for a lock of the application.
    The address tells them apart: the GIL lives in the interpreter's static state, every other lock on the heap.

    Returns:
        the writable memory from that state on; empty where it cannot be told.
    """
    try:
        start = ctypes.addressof(ctypes.c_char.in_dll(ctypes.pythonapi, "_PyRuntime"))
    except (ValueError, AttributeError):
        return range(0)
    return range(start, _end_of_writable(_read("/proc/self/maps", _MAPS_LIMIT), start))


def _end_of_writable(maps: bytes, address: int) -> int:
    """Say where the writable memory around an address ends, taking neighbours together and stopping at the heap."""
    end = address
    for line in maps.splitlines():
        first, after, mode = line.replace(b"-", b" ", 1).split(maxsplit=3)[:3]
        inside = int(first, 16) <= address < int(after, 16)
        adjoins = end > address and int(first, 16) == end and mode.startswith(b"rw") and b"[heap]" not in line
        if inside or adjoins:
            end = int(after, 16)
    return end


def _read(path: str, limit: int, *, at_once: bool = False) -> bytes:
    """
    Read a file of /proc up to ``limit`` bytes, or nothing where it cannot be read.

    Args:
        at_once: the kernel hands it out in one piece, so do not ask whether there is more.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return b""
    try:
        content = piece = os.read(descriptor, limit)
        while piece and not at_once and len(content) < limit:
            piece = os.read(descriptor, limit - len(content))
            content += piece
    except OSError:
        return b""
    finally:
        os.close(descriptor)
    return content
