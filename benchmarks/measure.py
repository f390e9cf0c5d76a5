"""
What a process and everything it started have used: CPU time and memory, from /proc (Linux).

A server is started as leader of its own session, so "its process tree" is every process of that session, also one
whose parent has gone.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path

TICK = 1 / os.sysconf("SC_CLK_TCK")
PAGE_KIB = os.sysconf("SC_PAGE_SIZE") / 1024


@dataclass(frozen=True)
class Stat:
    """The fields of one /proc/PID/stat that are read here. Times in seconds, memory in KiB."""

    pid: int
    session: int
    user: float
    kernel: float
    reaped_cpu: float
    rss_kib: float


def parse_stat(text: str) -> Stat:
    """
    Read one /proc/PID/stat.

    The command's name stands in parentheses and may hold spaces and parentheses itself: fields count from the last one.
    Source: proc(5), fields 6 (session), 14-17 (utime, stime, cutime, cstime) and 24 (rss).
    """
    pid, _, _ = text.partition(" ")
    fields = text[text.rindex(")") + 2 :].split()
    utime, stime, cutime, cstime = (int(field) for field in fields[11:15])
    return Stat(
        pid=int(pid),
        session=int(fields[3]),
        user=utime * TICK,
        kernel=stime * TICK,
        reaped_cpu=(cutime + cstime) * TICK,
        rss_kib=int(fields[21]) * PAGE_KIB,
    )


def tree(session: int) -> list[Stat]:
    """List the living processes of a session; one that ends while we look is left out."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                stat = parse_stat((entry / "stat").read_text(encoding="utf-8", errors="replace"))
            except (FileNotFoundError, ProcessLookupError):
                continue
            if stat.session == session:
                found.append(stat)
    return found


def exact_cpu(stat: Stat) -> float:
    """
    Say how much CPU time one process has used, in nanosecond steps.

    utime and stime come in steps of 10 ms, too coarse for 200 requests of 20 us each. The kernel's own sum is the
    process's CPU clock, and its id is made of the pid (clock_getcpuclockid(3)); where that is refused the ticks stand.
    """
    cpu_clock_of_process = (~stat.pid << 3) | 2
    try:
        return time.clock_gettime(cpu_clock_of_process)
    except OSError:
        return stat.user + stat.kernel


def cpu_seconds(session: int) -> float:
    """Sum the CPU time, user and system, of a session's processes and of those that have ended and been waited for."""
    return sum(exact_cpu(stat) + stat.reaped_cpu for stat in tree(session))


def cpu_split(session: int) -> tuple[float, float]:
    """Sum the CPU time of a session's living processes, user and kernel apart; in ticks, so over seconds only."""
    stats = tree(session)
    return sum(stat.user for stat in stats), sum(stat.kernel for stat in stats)


def rss_kib(session: int) -> float:
    """Sum the resident memory of a session's processes; pages that two of them share count twice."""
    return sum(stat.rss_kib for stat in tree(session))
