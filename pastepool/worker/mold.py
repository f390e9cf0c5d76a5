"""
Be the mold of a generation: load the application once, and fork each worker that the parent asks for.

Each worker is forked twice. So it is no child of the mold, but of the parent, to which orphans are given. The mold tells
its pid to the parent first, and then lets it go on. A worker whose mold ends before that ends too: the parent would not
know of it. Functions of the application may run at a fork (``os.register_at_fork``) and never return: so nothing here is
waited for without a limit, and a mold ends with its parent.
"""

from __future__ import annotations

import contextlib
import gc
import json
import os
import select
import signal
import socket
import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from pastepool.runtime.family.lane import Lane
from pastepool.runtime.family.naming import middle_of, name_process
from pastepool.runtime.family.orphans import end_with_parent
from pastepool.runtime.family.wire import Wire
from pastepool.types import Seconds
from pastepool.worker.seat import Seat

_LONGEST = 4096
_DESCRIPTORS = 3
_BETWEEN_ENDS_WITHIN: Seconds = 5.0
"""
How long the process between the mold and a worker may take. Less than the parent gives the mold
(``core.generations.health.FORKS_WITHIN``): so the mold lives on.
"""

_TASKS = Path("/proc/self/task")


def preloaded(seat: Seat, prepare: Callable[[], object]) -> Seat:
    """
    Become the mold, if that is possible, and fork the workers.

    ``seat``: of this process, which has loaded the application. ``prepare``: called once, before the first fork.

    Returns: in each worker its seat; in this process, if it cannot be the mold, its own. In the mold this does not return:
    the process ends with the parent's interest in it. Runs on: the only thread.
    """
    orders = seat.birth.mold
    if orders is None:
        return seat
    threads = other_threads()
    if threads:
        orders.send(json.dumps({"threads": threads}).encode())
        orders.close()
        return seat
    prepare()
    collects = gc.isenabled()
    gc.collect()
    gc.disable()
    gc.freeze()  # a collection in a worker would otherwise write into each object, and so copy all memory
    heir = _mold(seat, orders)
    if collects:
        gc.enable()
    return heir


def other_threads() -> list[str]:
    """Return the names of the threads of this process beside the calling one, those of C code too."""
    named = {thread.native_id: thread.name for thread in threading.enumerate()}
    found = []
    for task in sorted(int(task.name) for task in _TASKS.iterdir()):
        if task != threading.get_native_id():
            found.append(named.get(task) or f"{_comm(task)} (not of Python)")
    return found


def _comm(task: int) -> str:
    try:
        return (_TASKS / str(task) / "comm").read_text().strip()
    except OSError:
        return "?"


def _mold(seat: Seat, orders: socket.socket) -> Seat:
    """Fork the worker of the own seat, and then what is asked for. Returns in each worker its seat."""
    parent = os.getppid()
    if _fork(orders, seat.birth.serial):
        seat.birth = replace(seat.birth, mold=None, preloaded=True)
        return seat
    seat.leave()
    end_with_parent(parent)
    settings, generation = seat.settings, seat.birth.generation
    name_process(middle_of(settings), f"mold gen {generation}", f"mold g{generation}")
    while True:
        data, descriptors = _received(orders)
        if not data:
            _end()
        order = json.loads(data)
        wire, dump, lane = descriptors
        if _fork(orders, order["serial"]):
            birth = replace(
                seat.birth,
                serial=order["serial"],
                slot=order["slot"],
                row=seat.birth.row.other(order["row"]),
                wire=Wire(socket.socket(fileno=wire)),
                lane=Lane(socket.socket(fileno=lane)),
                dump=dump,
                mold=None,
                preloaded=True,
            )
            return Seat(birth)
        for descriptor in descriptors:
            os.close(descriptor)


def _received(orders: socket.socket) -> tuple[bytes, list[int]]:
    try:
        data, descriptors, _, _ = socket.recv_fds(orders, _LONGEST, _DESCRIPTORS)
    except OSError:
        return b"", []
    for descriptor in descriptors:
        os.set_inheritable(descriptor, False)
    return data, descriptors


def _end() -> None:
    """End the mold: the parent has ended, or does not need it. Exit functions run in the workers alone."""
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            stream.flush()
    os._exit(0)


def _fork(orders: socket.socket, serial: int) -> bool:
    """
    Fork a worker, and tell the parent its pid, or why there is none. Returns whether this is the worker.

    In the worker the way of the orders is closed, and the parent knows it.
    """
    told, tell = os.pipe()
    waits, goes = os.pipe()
    try:
        between = os.fork()
    except OSError as error:
        for descriptor in (told, tell, waits, goes):
            os.close(descriptor)
        orders.send(json.dumps({"failed": serial, "why": error.strerror}).encode())
        return False
    if between:
        os.close(tell)
        os.close(waits)
        hung = not _ended_within(between, _BETWEEN_ENDS_WITHIN)
        os.set_blocking(told, False)
        pid = _read_if_there(told)
        os.close(told)
        why = "a function that runs at forks (os.register_at_fork) hangs" if hung else "the machine has no process left"
        said = {"forked": serial, "pid": int(pid)} if pid else {"failed": serial, "why": f"it was not forked: {why}"}
        orders.send(json.dumps(said).encode())
        with contextlib.suppress(BrokenPipeError):  # there is no worker, or it was killed before it could go on
            os.write(goes, b"!")
        os.close(goes)
        return False
    os.close(told)
    os.close(goes)
    _leave_to_worker(tell)
    os.close(tell)
    orders.close()
    if not os.read(waits, 1):
        os._exit(0)  # the mold has ended, and the parent does not know this process
    os.close(waits)
    return True


def _ended_within(pid: int, patience: Seconds) -> bool:
    """Wait for the end of a child, and kill it if that does not come. Returns whether it has come."""
    ended = True
    with contextlib.suppress(AttributeError, OSError):  # an old Linux, or a container that does not allow it
        descriptor = os.pidfd_open(pid)
        ends = select.poll()
        ends.register(descriptor, select.POLLIN)
        ended = bool(ends.poll(1000 * patience))
        os.close(descriptor)
    if not ended:
        os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    return ended


def _read_if_there(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, 32)
    except BlockingIOError:
        return b""


def _leave_to_worker(tell: int) -> None:
    """In the child of the mold: fork the worker, write its pid and end. Returns in the worker."""
    try:
        pid = os.fork()
    except OSError:
        os._exit(1)
    if pid:
        os.write(tell, str(pid).encode())
        os._exit(0)
