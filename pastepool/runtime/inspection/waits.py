"""
Find out what one thread waits for in the kernel: which descriptors, which lock, which child process.

This module knows what the arguments of a system call mean, and reads the memory they point to. ``descriptors`` knows
what is at the other end of a descriptor. Where the kernel does not tell, the result is None.

Runs on: any thread. The thread that is asked about goes on running. It may leave the call before the memory is read,
and then the memory has other content. So the call is read again afterwards, and the result counts only if it is the
same.
"""

from __future__ import annotations

import functools
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from pastepool.runtime.inspection.procfs import (
    SystemCall,
    interpreter_memory,
    read_memory,
    read_system_call,
    watched_by_epoll,
)
from pastepool.runtime.inspection.syscalls import Reads, numbering_here

_POLLED_LIMIT = 64
_SELECTED_LIMIT = 1024
"""The most descriptors that ``select`` accepts."""

_PATH_LIMIT = 256
_BY_PROCESS_ID = 1
"""``P_PID``: the first argument of ``waitid`` when the caller waits for one particular child."""


@dataclass(frozen=True)
class Wait:
    """
    The system call a thread is in, and what it waits for there.

    ``name``: the name of the call in Linux, or "system call" and its number. ``descriptors``: the descriptors it waits
    on; in ascending order for ``select`` and epoll, otherwise as the thread passed them. ``child``: a process id, 0 for
    any child. ``path``: the file that the call opens. ``for_gil``: the thread waits for the GIL, so it will run Python
    next.
    """

    call: SystemCall
    name: str
    descriptors: tuple[int, ...] = ()
    child: int = 0
    path: str = ""
    for_gil: bool = False


def wait_of(native_id: int) -> Wait | None:
    """
    Return what a thread waits for.

    Args:
        native_id: ``threading.get_native_id()`` of a thread of this process.

    Returns:
        None when the thread is in no system call or has ended, or when the kernel does not tell. If the thread left the
        call while its arguments were read, the result has only the name of the call.
    """
    call = read_system_call(native_id)
    if call is None or call.number < 0:
        return None
    name, reads = numbering_here().get(call.number, (f"system call {call.number}", Reads.NOTHING))
    wait = _FOLLOW[reads](Wait(call, name))
    return wait if reads in _SAID_BY_THE_CALL or is_still_in(native_id, call) else Wait(call, name)


def is_still_in(native_id: int, call: SystemCall) -> bool:
    """Say whether a thread is still in this call: same number, arguments, stack pointer and program counter."""
    return read_system_call(native_id) == call


def _first_argument(wait: Wait) -> Wait:
    return replace(wait, descriptors=(_signed(wait.call.args[0]),))


def _polled(wait: Wait) -> Wait:
    address, count = wait.call.args[0], min(wait.call.args[1], _POLLED_LIMIT)
    table = read_memory(address, count * 8)
    entries = struct.iter_unpack("=ihh", table[: len(table) // 8 * 8])
    return _or_sleep(replace(wait, descriptors=tuple(entry[0] for entry in entries if entry[0] >= 0)))


def _selected(wait: Wait) -> Wait:
    count = min(wait.call.args[0], _SELECTED_LIMIT)
    size = (count + 63) // 64 * 8
    chosen = 0
    for address in wait.call.args[1:4]:
        if address and size:
            chosen |= _bits(read_memory(address, size))
    return _or_sleep(replace(wait, descriptors=tuple(number for number in range(count) if chosen >> number & 1)))


def _bits(words: bytes) -> int:
    """Read a bit set from 64-bit words in the byte order of the machine, as one integer: bit n stands for n."""
    whole = struct.iter_unpack("=Q", words[: len(words) // 8 * 8])
    return sum(word[0] << 64 * place for place, word in enumerate(whole))


def _or_sleep(wait: Wait) -> Wait:
    """Name the call ``nanosleep`` if it waits on no descriptor: ``time.sleep`` of CPython 3.10 calls ``select``."""
    count = wait.call.args[1] if _reads(wait) is Reads.POLL else wait.call.args[0]
    return replace(wait, name="nanosleep") if count == 0 else wait


def _reads(wait: Wait) -> Reads:
    return numbering_here()[wait.call.number][1]


def _watched(wait: Wait) -> Wait:
    return replace(wait, descriptors=watched_by_epoll(wait.call.args[0]))


def _lock(wait: Wait) -> Wait:
    return replace(wait, for_gil=wait.call.args[0] in _interpreter_memory())


def _child(wait: Wait) -> Wait:
    return replace(wait, child=max(0, _signed(wait.call.args[0])))


def _child_by_kind(wait: Wait) -> Wait:
    return replace(wait, child=_signed(wait.call.args[1])) if wait.call.args[0] == _BY_PROCESS_ID else wait


def _path(wait: Wait) -> Wait:
    path = read_memory(wait.call.args[1], _PATH_LIMIT).partition(b"\0")[0]
    return replace(wait, path=path.decode(errors="replace"))


def _nothing(wait: Wait) -> Wait:
    return wait


def _signed(word: int) -> int:
    """Read a C int out of the lower half of a register."""
    low = word & 0xFFFF_FFFF
    return low - (1 << 32) if low >> 31 else low


_FOLLOW: Mapping[Reads, Callable[[Wait], Wait]] = {
    Reads.ONE: _first_argument,
    Reads.POLL: _polled,
    Reads.SELECT: _selected,
    Reads.EPOLL: _watched,
    Reads.LOCK: _lock,
    Reads.CHILD: _child,
    Reads.CHILD_BY_KIND: _child_by_kind,
    Reads.PATH: _path,
    Reads.NOTHING: _nothing,
}

_SAID_BY_THE_CALL = frozenset({Reads.LOCK, Reads.CHILD, Reads.CHILD_BY_KIND, Reads.NOTHING})
"""For these, the arguments alone say what the call waits for. No memory is read, so the call is not read again."""


@functools.cache
def _interpreter_memory() -> range:
    """Return ``interpreter_memory()``, looked up once: it does not move while the process lives."""
    return interpreter_memory()
