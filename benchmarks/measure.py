"""
Measure the CPU time and memory of a process and of all processes it started, with /proc (Linux).

Each server is started as the leader of a new session. Its process tree is every process of that session. So a process
whose parent has ended is counted too.
"""

from __future__ import annotations

import os
import platform
import time
from dataclasses import dataclass
from pathlib import Path

TICK = 1 / os.sysconf("SC_CLK_TCK")
PAGE_KIB = os.sysconf("SC_PAGE_SIZE") / 1024


@dataclass(frozen=True)
class Stat:
    """The fields of one /proc/PID/stat that are used here. Times are in seconds, memory is in KiB."""

    pid: int
    session: int
    user: float
    kernel: float
    reaped_cpu: float
    rss_kib: float


def parse_stat(text: str) -> Stat:
    """
    Read one /proc/PID/stat.

    The name of the command is in parentheses, and may itself have blanks and parentheses. So the fields are counted
    from the last closing parenthesis.
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
    """Return the living processes of a session. A process that ends meanwhile is left out."""
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
    Return how much CPU time one process has used, in steps of a nanosecond.

    utime and stime have steps of 10 ms, too coarse for 200 requests of 20 us each. The kernel also has an exact CPU
    clock for each process. The number of that clock is computed from the pid (clock_getcpuclockid(3)). If the kernel
    refuses the clock, utime and stime are used.
    """
    cpu_clock_of_process = (~stat.pid << 3) | 2
    try:
        return time.clock_gettime(cpu_clock_of_process)
    except OSError:
        return stat.user + stat.kernel


def cpu_seconds(session: int) -> float:
    """Return the CPU time of a session's processes, with that of the children that they have waited for."""
    return sum(exact_cpu(stat) + stat.reaped_cpu for stat in tree(session))


def cpu_split(session: int) -> tuple[float, float]:
    """
    Return the CPU time of a session's living processes: in user mode and in the kernel.

    The steps are ticks of 10 ms, so use it only for measurements of several seconds.
    """
    stats = tree(session)
    return sum(stat.user for stat in stats), sum(stat.kernel for stat in stats)


def rss_kib(session: int) -> float:
    """Return the resident memory of a session's processes. Pages that two processes share count twice."""
    return sum(stat.rss_kib for stat in tree(session))


def interpreter() -> str:
    """Name this interpreter and its version, for the description of a run."""
    return f"{platform.python_implementation()} {platform.python_version()}"


def machine() -> str:
    """Name this machine's processors and its system, for the description of a run."""
    return f"{os.cpu_count()} CPUs ({_cpu_model()}), {platform.system()} {platform.release()}"


def _cpu_model() -> str:
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()
