"""
Turn what an inspection has found out about a worker's thread into one sentence for a person.

Knows places in source files and names of Linux system calls. Does not know how they were found out: an inspection fills
in the values defined here, and leaves out what its operating system does not tell.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace

from pastepool.core.ownership import Owner, below, is_at_home, is_unknown_library, owner_of
from pastepool.core.states import Status
from pastepool.core.wording import LINE_LIMIT, counted, printable, spoken
from pastepool.types import Seconds

SPINNING_SHARE = 0.5
"""A thread that uses at least this share of a processor spins. Busy loops use far more, blocked calls far less."""

RUNNING_SHARE = 0.02
"""
A thread that uses at least this share of a processor is running. A blocked thread uses none, and each of fifty threads
that spin under one GIL gets this share.
"""


@dataclass(frozen=True)
class CodePlace:
    """The place in the code of one call of a stack. ``file``: as the code object names it. ``line``: counted from 1."""

    file: str
    line: int
    function: str


@dataclass(frozen=True)
class Diagnosis:
    """
    What an inspection knows about one thread. Any field may be missing.

    ``frames``: innermost call first. ``cpu_share``: how much of one processor the thread used, 0 to 1, over the last
    ``measured_for`` seconds; ``None`` if it was not measured. ``syscall``: the Linux name of the system call that the
    thread is in; ``None`` if it is in none. ``waits_for``: what that call waits for: an address (``10.0.0.5:5432``), a
    path, ``child process 4711``. ``waits_for_gil``: whether the lock that it waits for is the GIL.
    """

    frames: tuple[CodePlace, ...] = ()
    cpu_share: float | None = None
    measured_for: Seconds = 0.0
    syscall: str | None = None
    waits_for: str | None = None
    waits_for_gil: bool = False


_LOCKS = frozenset({"futex", "futex_wait", "semop", "semtimedop"})

_PHRASES: Mapping[str, tuple[str, str]] = {
    # system call: (the phrase if no target is known, the words before the target if one is known)
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
    # (file, function) of the standard library: what a thread inside that function waits for
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
"""
How many of the innermost calls are searched for a hint. From ``queue.get`` to the lock inside it there are two calls,
from ``communicate`` to its poll four.
"""

_PACKAGES = re.compile(r"^.*[/\\](?:site-packages|dist-packages)[/\\]")


def sentence(status: Status, for_seconds: Seconds, diagnosis: Diagnosis, app_root: str = "") -> str:
    """
    Say in one sentence how long a worker has had its status, what it does, and where.

    Args:
        status: what a person is shown for the worker.
        for_seconds: how long the worker has had this status.
        diagnosis: what is known. If less is known, the sentence is shorter.
        app_root: the application's directory, if it is known. Calls in its files are preferred, and these files are
            named relative to it.

    Returns:
        ``hung for 42 s: blocked in recv from 10.0.0.5:5432 (app/db.py:88 fetch)``. It has no full stop, so it fits into
        another sentence. It is always one line, even if the name of a file or a peer holds a line break.
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
    Say what a thread does or waits for; an empty text if that is not known.

    The CPU time decides first, then the system call. A system call is seen at one instant only, and a thread that
    computes makes system calls too.
    """
    share = diagnosis.cpu_share
    if share is not None and share >= RUNNING_SHARE:
        verb = "spinning" if share >= SPINNING_SHARE else "running"
        over = diagnosis.measured_for
        return f"{verb}: used {share * over:.2f} s of CPU in the last {over:.1f} s"
    if diagnosis.waits_for_gil:
        return "waiting for its turn to run Python"
    return _blocked(diagnosis)


def wait_kind(diagnosis: Diagnosis) -> str:
    """
    Say in a few words what kind of thing a thread waits for, without any target; an empty text if that is not known.

    ``activity`` says more. Threads with the same trouble have the same kind: those that spin under one GIL are now
    running, now waiting for their turn, and those that read from a database read from several machines.
    """
    share = diagnosis.cpu_share
    if diagnosis.waits_for_gil or (share is not None and share >= RUNNING_SHARE):
        return "computing"
    return _blocked(replace(diagnosis, waits_for=None)) or ("waiting" if diagnosis.waits_for else "")


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
    """
    Guess what a thread waits for from well-known calls of the standard library; an empty text if there are none.

    Of several such calls the outermost is taken, because it says most (``queue.get``, not the lock inside it).
    """
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
    Choose the call of a stack that tells its reader most: the innermost call of the application.

    Returns: this call. If none is known to be the application's, the innermost call of an installed package that is no
    known framework, and without that the innermost call of all; ``None`` for an empty stack.
    """
    own = [place for place in frames if owner_of(place.file, app_root) is Owner.OWN]
    at_home = [place for place in own if is_at_home(place.file, app_root)]
    found = at_home or own or [place for place in frames if is_unknown_library(place.file)] or frames
    return next(iter(found), None)


def place_text(place: CodePlace, app_root: str = "") -> str:
    """
    Write a place as ``app/db.py:88 fetch``.

    The file is named relative to ``app_root``, or to the directory of installed packages that it lies in.
    """
    file = _PACKAGES.sub("", below(place.file, app_root))
    return printable(f"{file}:{place.line} {place.function}", LINE_LIMIT)


def counts_line(counts: Mapping[Status, int], waiting: int) -> str:
    """
    Say in one line how many workers have each status: ``10 workers: 3 idle, 6 busy, 1 hung; 0 waiting``.

    Args:
        counts: workers by status; those that are gone are left out.
        waiting: requests in the backlog.
    """
    present = [(status, counts.get(status, 0)) for status in Status if status is not Status.GONE]
    total = sum(number for _, number in present)
    parts = ", ".join(f"{number} {status.value}" for status, number in present if number)
    return f"{counted(total, 'worker')}{': ' if parts else ''}{parts}; {waiting} waiting"
