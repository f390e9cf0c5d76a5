"""
The numbers of the Linux system calls in which a thread can be blocked, and what their arguments mean.

There are two numberings: the one of x86-64, and the one that aarch64, riscv64 and loongarch64 share. This module knows
nothing of /proc or threads. It lists only calls that can wait: no thread is ever blocked in ``getpid``.
Source: ``syscall_64.tbl`` and ``asm-generic/unistd.h`` of the kernel, which promises never to change a number.
"""

from __future__ import annotations

import enum
import functools
import platform
import sys
from collections.abc import Mapping
from types import MappingProxyType


class Reads(enum.Enum):
    """Which argument of a system call says what it waits for."""

    ONE = "the first argument is a file descriptor"
    POLL = "the first argument points to a table of struct pollfd, the second is its length"
    SELECT = "the first argument is one more than the highest descriptor, the next three point to bit sets"
    EPOLL = "the first argument is an epoll descriptor"
    LOCK = "the first argument is the address of the word waited for"
    CHILD = "the first argument is a process id, or not positive for any"
    CHILD_BY_KIND = "the first argument says what the second one is"
    PATH = "the second argument points to a path"
    NOTHING = "no argument tells"


_CALLS: tuple[tuple[str, int | None, int | None, Reads], ...] = (
    # name, number on x86-64, number on the other machines (None: not there), which argument says what it waits for
    ("read", 0, 63, Reads.ONE),
    ("write", 1, 64, Reads.ONE),
    ("close", 3, 57, Reads.ONE),
    ("poll", 7, None, Reads.POLL),
    ("pread64", 17, 67, Reads.ONE),
    ("pwrite64", 18, 68, Reads.ONE),
    ("readv", 19, 65, Reads.ONE),
    ("writev", 20, 66, Reads.ONE),
    ("select", 23, None, Reads.SELECT),
    ("pause", 34, None, Reads.NOTHING),
    ("nanosleep", 35, 101, Reads.NOTHING),
    ("sendfile", 40, 71, Reads.ONE),
    ("connect", 42, 203, Reads.ONE),
    ("accept", 43, 202, Reads.ONE),
    ("sendto", 44, 206, Reads.ONE),
    ("recvfrom", 45, 207, Reads.ONE),
    ("sendmsg", 46, 211, Reads.ONE),
    ("recvmsg", 47, 212, Reads.ONE),
    ("wait4", 61, 260, Reads.CHILD),
    ("semop", 65, 193, Reads.NOTHING),
    ("msgsnd", 69, 189, Reads.NOTHING),
    ("msgrcv", 70, 188, Reads.NOTHING),
    ("fcntl", 72, 25, Reads.ONE),
    ("flock", 73, 32, Reads.ONE),
    ("fsync", 74, 82, Reads.ONE),
    ("fdatasync", 75, 83, Reads.ONE),
    ("rt_sigtimedwait", 128, 137, Reads.NOTHING),
    ("rt_sigsuspend", 130, 133, Reads.NOTHING),
    ("futex", 202, 98, Reads.LOCK),
    ("semtimedop", 220, 192, Reads.NOTHING),
    ("clock_nanosleep", 230, 115, Reads.NOTHING),
    ("epoll_wait", 232, None, Reads.EPOLL),
    ("mq_timedsend", 242, 182, Reads.ONE),
    ("mq_timedreceive", 243, 183, Reads.ONE),
    ("waitid", 247, 95, Reads.CHILD_BY_KIND),
    ("openat", 257, 56, Reads.PATH),
    ("pselect6", 270, 72, Reads.SELECT),
    ("ppoll", 271, 73, Reads.POLL),
    ("splice", 275, 76, Reads.ONE),
    ("epoll_pwait", 281, 22, Reads.EPOLL),
    ("accept4", 288, 242, Reads.ONE),
    ("recvmmsg", 299, 243, Reads.ONE),
    ("sendmmsg", 307, 269, Reads.ONE),
    ("futex_wait", 455, 455, Reads.LOCK),
    ("epoll_pwait2", 441, 441, Reads.EPOLL),
)

_GENERIC_MACHINES = frozenset({"aarch64", "arm64", "riscv64", "loongarch64"})


def numbering(machine: str, pointer_bits: int) -> Mapping[int, tuple[str, Reads]]:
    """
    Return the system calls of one kind of machine: for each number the name and the meaning of the arguments.

    Args:
        machine: the result of ``platform.machine()``.
        pointer_bits: 64, or 32 for a 32-bit interpreter. Its numbering is another one, which is not in this table.

    Returns:
        an empty mapping for a machine that is not in this table. A call is then shown by its number.
    """
    if pointer_bits != 64:
        return MappingProxyType({})
    if machine in ("x86_64", "AMD64"):
        return MappingProxyType({x86: (name, reads) for name, x86, _, reads in _CALLS if x86 is not None})
    if machine in _GENERIC_MACHINES:
        return MappingProxyType({generic: (name, reads) for name, _, generic, reads in _CALLS if generic is not None})
    return MappingProxyType({})


@functools.cache
def numbering_here() -> Mapping[int, tuple[str, Reads]]:
    """Return the system calls of the machine on which this process runs."""
    return numbering(platform.machine(), 64 if sys.maxsize > 2**32 else 32)
