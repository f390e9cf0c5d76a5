"""
Turn what an inspection found out about a working thread into one sentence for a person.

Knows places in source files and names of Linux system calls. Does not know how any of it was found out: an inspection
fills in the values defined here, and leaves out what its system does not tell.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from pastepool.core.ownership import Owner, below, owner_of
from pastepool.core.states import Status
from pastepool.core.wording import LINE_LIMIT, counted, printable, spoken
from pastepool.types import Seconds

SPINNING_SHARE = 0.5
"""From this share of a processor on a thread spins. Nothing derives it: busy loops and blocked calls are far apart."""

RUNNING_SHARE = 0.02
"""From this share on a thread is running: a blocked one uses none, and fifty that spin under one GIL get this each."""


@dataclass(frozen=True)
class CodePlace:
    """Where one call of a stack stands. ``file``: as the code object names it. ``line``: from 1."""

    file: str
    line: int
    function: str


@dataclass(frozen=True)
class Diagnosis:
    """
    What an inspection knows about one thread; everything may be missing.

    ``frames``: innermost call first. ``cpu_share``: of one processor, 0 to 1, over the last ``measured_for`` seconds;
    ``None`` where it was not measured. ``syscall``: the Linux name of the call the thread is in, ``None`` outside of
    one. ``waits_for``: what that call waits for: an address (``10.0.0.5:5432``), a path, ``child process 4711``.
    ``waits_for_gil``: the lock it waits for is the interpreter's own.
    """

    frames: tuple[CodePlace, ...] = ()
    cpu_share: float | None = None
    measured_for: Seconds = 0.0
    syscall: str | None = None
    waits_for: str | None = None
    waits_for_gil: bool = False


_LOCKS = frozenset({"futex", "futex_wait", "semop", "semtimedop"})

_PHRASES: Mapping[str, tuple[str, str]] = {
    # system call: (without a target, what comes before one)
    "accept": ("blocked in accept", "blocked in accept on"),
    "accept4": ("blocked in accept", "blocked in accept on"),
    "clock_nanosleep": ("sleeping", "sleeping until"),
    "connect": ("blocked in connect", "blocked in connect to"),
    "epoll_pwait": ("waiting for input or output", "waiting for"),
    "epoll_pwait2": ("waiting for input or output", "waiting for"),
    "epoll_wait": ("waiting for input or output", "waiting for"),
    "fcntl": ("waiting for a file lock", "waiting for a file lock on"),
    "flock": ("waiting for a file lock", "waiting for a file lock on"),
    "futex": ("waiting for a lock", "waiting for"),
    "futex_wait": ("waiting for a lock", "waiting for"),
    "nanosleep": ("sleeping", "sleeping until"),
    "openat": ("blocked in open", "blocked in open of"),
    "poll": ("waiting for input or output", "waiting for"),
    "ppoll": ("waiting for input or output", "waiting for"),
    "pread64": ("blocked in read", "blocked in read from"),
    "pselect6": ("sleeping or waiting for input or output", "waiting for"),
    "pwrite64": ("blocked in write", "blocked in write to"),
    "read": ("blocked in read", "blocked in read from"),
    "readv": ("blocked in read", "blocked in read from"),
    "recvfrom": ("blocked in recv", "blocked in recv from"),
    "recvmmsg": ("blocked in recv", "blocked in recv from"),
    "recvmsg": ("blocked in recv", "blocked in recv from"),
    "select": ("sleeping or waiting for input or output", "waiting for"),
    "semop": ("waiting for a lock", "waiting for"),
    "semtimedop": ("waiting for a lock", "waiting for"),
    "sendmmsg": ("blocked in send", "blocked in send to"),
    "sendmsg": ("blocked in send", "blocked in send to"),
    "sendto": ("blocked in send", "blocked in send to"),
    "wait4": ("waiting for a child process", "waiting for"),
    "waitid": ("waiting for a child process", "waiting for"),
    "write": ("blocked in write", "blocked in write to"),
    "writev": ("blocked in write", "blocked in write to"),
}

_HINTS: Mapping[tuple[str, str], str] = {
    # (file, function) of the standard library: what a thread found there waits for
    ("queue.py", "get"): "waiting for an item in a queue",
    ("queue.py", "join"): "waiting for a queue to be worked off",
    ("queue.py", "put"): "waiting for room in a queue",
    ("selectors.py", "select"): "waiting for input or output",
    ("socket.py", "accept"): "blocked in accept",
    ("socket.py", "create_connection"): "blocked in connect",
    ("socket.py", "getaddrinfo"): "blocked in a name look-up",
    ("socket.py", "readinto"): "blocked in recv",
    ("ssl.py", "do_handshake"): "blocked in a TLS handshake",
    ("ssl.py", "read"): "blocked in recv",
    ("ssl.py", "write"): "blocked in send",
    ("subprocess.py", "_try_wait"): "waiting for a child process",
    ("subprocess.py", "_wait"): "waiting for a child process",
    ("subprocess.py", "communicate"): "waiting for a child process",
    ("subprocess.py", "wait"): "waiting for a child process",
    ("threading.py", "acquire"): "waiting for a lock",
    ("threading.py", "join"): "waiting for a thread to end",
    ("threading.py", "wait"): "waiting for another thread's signal",
}

_HINT_DEPTH = 6
"""Innermost calls searched for a hint: ``queue.get`` to its lock is two, ``communicate`` to its poll four."""

_PACKAGES = re.compile(r"^.*[/\\](?:site-packages|dist-packages)[/\\]")


def sentence(status: Status, for_seconds: Seconds, diagnosis: Diagnosis, app_root: str = "") -> str:
    """
    Say in one sentence for how long a worker has been what it is, what it does, and where.

    Args:
        status: what a person is told about the worker.
        for_seconds: how long it has been so.
        diagnosis: what is known; the less, the shorter the sentence.
        app_root: the directory the application lies in, when known: its files are named from there, and preferred.

    Returns:
        ``hung for 42 s: blocked in recv from 10.0.0.5:5432 (app/db.py:88 fetch)``; no full stop, so that it fits into
        another sentence; one line whatever a file or a peer is called.
    """
    said = f"{status.value} for {spoken(for_seconds)}"
    doing = activity(diagnosis)
    if doing:
        said += f": {doing}"
    place = telling_place(diagnosis.frames, app_root)
    if place is not None:
        said += f" ({place_text(place, app_root)})"
    return said


def activity(diagnosis: Diagnosis) -> str:
    """
    Say what a thread does or waits for; nothing when nobody knows.

    CPU time is believed before the system call: the call is one instant's, and a thread that computes makes some too.
    """
    share = diagnosis.cpu_share
    if share is not None and share >= RUNNING_SHARE:
        verb = "spinning" if share >= SPINNING_SHARE else "running"
        over = diagnosis.measured_for
        return f"{verb}: used {share * over:.2f} s of CPU in the last {over:.1f} s"
    if diagnosis.waits_for_gil:
        return "waiting for its turn to run Python"
    return _blocked(diagnosis)


def _blocked(diagnosis: Diagnosis) -> str:
    call, target = diagnosis.syscall, diagnosis.waits_for
    hint = _hint(diagnosis.frames)
    if call is None:
        return f"waiting for {printable(target)}" if target else hint
    without, before = _PHRASES.get(call, (f"blocked in {printable(call)}", f"blocked in {printable(call)} on"))
    if call in _LOCKS:
        return hint or without
    if target:
        return f"{before} {printable(target)}"
    return hint or without


def _hint(frames: tuple[CodePlace, ...]) -> str:
    """Guess from well-known calls of the standard library; the outermost says most (``queue.get``, not its lock)."""
    found = ""
    for place in frames[:_HINT_DEPTH]:
        if owner_of(place.file) is Owner.OWN:
            break
        found = _HINTS.get((_base_name(place.file), place.function.rpartition(".")[2]), found)
    return found


def _base_name(file: str) -> str:
    return re.split(r"[/\\]", file)[-1]


def telling_place(frames: tuple[CodePlace, ...], app_root: str = "") -> CodePlace | None:
    """
    Choose the call of a stack that tells its reader most: the innermost one of the application itself.

    Returns: the innermost call of all where none is the application's; ``None`` for an empty stack.
    """
    own = [place for place in frames if owner_of(place.file, app_root) is Owner.OWN]
    at_home = [place for place in own if app_root and below(place.file, app_root) != place.file]
    return next(iter(at_home or own or frames), None)


def place_text(place: CodePlace, app_root: str = "") -> str:
    """Write a place as ``app/db.py:88 fetch``: the file from ``app_root`` or from the directory packages lie in."""
    file = _PACKAGES.sub("", below(place.file, app_root))
    return printable(f"{file}:{place.line} {place.function}", LINE_LIMIT)


def counts_line(counts: Mapping[Status, int], waiting: int) -> str:
    """
    Say how the pool stands in one line: ``10 workers: 3 idle, 6 busy, 1 hung; 0 waiting``.

    Args:
        counts: workers by status; the gone do not count.
        waiting: requests in the backlog.
    """
    present = [(status, counts.get(status, 0)) for status in Status if status is not Status.GONE]
    total = sum(number for _, number in present)
    parts = ", ".join(f"{number} {status.value}" for status, number in present if number)
    return f"{counted(total, 'worker')}{': ' if parts else ''}{parts}; {waiting} waiting"
