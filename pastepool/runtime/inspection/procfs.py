"""
Ask Linux what one thread of this process is doing: its CPU time, its system call, the memory its arguments point to.

This module knows the files of /proc/self and one clock. It does not know what the figures mean: ``syscalls`` and
``waits`` do. Every function returns None or an empty value where there is no /proc, where the thread has ended, and
where the kernel refuses: a process that changed its user after it started may not read its own ``syscall`` and ``mem``
files. No function stops, signals or traces the thread.

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
"""Bytes to read of a ``syscall`` file. The longest line the kernel writes is nine numbers of at most 18 characters."""

_MAPS_LIMIT = 4 * 1024 * 1024
_FDINFO_LIMIT = 64 * 1024


@dataclass(frozen=True)
class SystemCall:
    """
    The system call a thread was in when the kernel was asked.

    ``number``: the number of the call, or -1 when the thread is in none: it runs, or waits for a processor, or for a
    page of memory. ``args``: the six argument words the thread passed; empty when the thread runs. ``place``: stack
    pointer and program counter. They distinguish a call from a later call with the same number and arguments.
    """

    number: int
    args: tuple[int, ...] = ()
    place: tuple[int, ...] = ()


def read_system_call(native_id: int) -> SystemCall | None:
    """
    Return the system call a thread is in.

    Returns:
        None when the kernel does not tell. A call with the number -1 when the thread is in no system call.

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
    Return how much CPU time a thread has used since it began, in the kernel and outside.

    This function computes the number of the thread's clock from the thread's id, as the C library does.
    ``time.pthread_getcpuclockid`` would read the id from the memory of the thread. If the thread has ended, that
    crashes the process (tried). With the computed number, the kernel returns the error "no such thread". This needs no
    /proc and costs one system call.

    Returns:
        seconds, or None for a thread that has ended and for a system that is not Linux.

    Source:
        the layout of these numbers is part of the interface of Linux: ``~id << 3``, plus 4 for a thread (and not a
        process), plus 2 for exact time.
    """
    if not _ON_LINUX:
        return None
    try:
        return time.clock_gettime((~native_id << 3) | 4 | 2)
    except OSError:
        return None


def read_memory(address: int, size: int) -> bytes:
    """
    Copy bytes from the memory of this process. The kernel copies them, so an invalid address causes no crash.

    Returns:
        the bytes that could be read: ``size`` or fewer, none when the address is invalid.
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
    """
    Return what a descriptor leads to, as the kernel writes it: ``socket:[4711]``, ``pipe:[4712]`` or a path. Returns an
    empty text where the kernel does not tell.
    """
    try:
        return os.readlink(f"/proc/self/fd/{descriptor}")
    except OSError:
        return ""


def watched_by_epoll(descriptor: int) -> tuple[int, ...]:
    """
    Return the file descriptors that an epoll descriptor watches, in ascending order.

    Source: proc(5), ``/proc/pid/fdinfo``: lines that begin with ``tfd:``.
    """
    lines = _read(f"/proc/self/fdinfo/{descriptor}", _FDINFO_LIMIT).splitlines()
    words = [line.split() for line in lines if line.startswith(b"tfd:")]
    return tuple(sorted(int(line[1]) for line in words if len(line) > 1))


def interpreter_memory() -> range:
    """
    Return the addresses at which CPython keeps its static state. The lock word of the GIL is part of it.

    A thread that waits for the GIL is in the system call ``futex``, and so is a thread that waits for a lock of the
    application. The address of the lock word distinguishes them: the GIL is in the static state of the interpreter,
    every other lock is on the heap.

    Returns:
        the writable memory from the beginning of that state on. Empty where it cannot be found out.
    """
    try:
        start = ctypes.addressof(ctypes.c_char.in_dll(ctypes.pythonapi, "_PyRuntime"))
    except (ValueError, AttributeError):
        return range(0)
    return range(start, _end_of_writable(_read("/proc/self/maps", _MAPS_LIMIT), start))


def _end_of_writable(maps: bytes, address: int) -> int:
    """Return where the writable memory around an address ends. Adjacent ranges count as one; the heap ends them."""
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
    Read a file of /proc, up to ``limit`` bytes. Returns no bytes where it cannot be read.

    Args:
        at_once: read only once, for a file that the kernel always hands out in one piece.
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
