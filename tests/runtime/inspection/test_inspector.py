"""What an inspection finds out about threads that really hang, each in its own way."""

from __future__ import annotations

import ctypes
import os
import queue
import select
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from pastepool.core.states import Status
from pastepool.core.telling.report import Diagnosis, activity, sentence
from pastepool.runtime.inspection import descriptors, procfs, syscalls, waits
from pastepool.runtime.inspection import inspector as inspector_module
from pastepool.runtime.inspection.inspector import MEASURED_FOR_AT_LEAST, Inspector
from pastepool.runtime.supervision import unblocking
from tests.waiting import WATCHDOG, until


def _kernel_tells() -> bool:
    """Whether this system shows a thread's system call: Linux, a known machine, and a user who may read it."""
    call = procfs.read_system_call(threading.get_native_id())
    return call is not None and bool(syscalls.numbering_here())


needs_kernel = pytest.mark.skipif(not _kernel_tells(), reason="the kernel does not show system calls here")
needs_clock = pytest.mark.skipif(sys.platform != "linux", reason="threads have no CPU clock here")


@contextmanager
def running(body: Callable[[], object], release: Callable[[], object] = lambda: None) -> Iterator[threading.Thread]:
    """Run ``body`` on a thread; ``release`` lets it end."""

    def run() -> None:
        with suppress(OSError):
            body()

    thread = threading.Thread(target=run, name="inspected")
    thread.start()
    try:
        yield thread
    finally:
        release()
        thread.join(WATCHDOG)
        assert not thread.is_alive(), "the inspected thread did not end"


def in_call(thread: threading.Thread, *names: str) -> Callable[[], bool]:
    """Say whether a thread is in one of some system calls, and stays there for longer than a moment."""

    def check() -> bool:
        wait = waits.wait_of(native(thread))
        return wait is not None and wait.name in names and not wait.for_gil

    return check


def native(thread: threading.Thread) -> int:
    """Return the kernel's number of a started thread."""
    assert thread.native_id is not None
    return thread.native_id


def look(thread: threading.Thread) -> Diagnosis:
    """Diagnose a thread for the first time."""
    assert thread.ident is not None
    return Inspector().look(thread.ident, native(thread), 0.0)


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    """Two TCP sockets connected to each other."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        near = socket.create_connection(listener.getsockname())
        far, _ = listener.accept()
        with near, far:
            yield near, far


def address(connection: socket.socket) -> str:
    """Write a socket's own address as its peer is told about it."""
    host, port = connection.getsockname()[:2]
    return f"{host}:{port}"


# ---------------------------------------------------------------------------------------------------- one by one


@needs_kernel
def test_a_thread_in_recv_is_blocked_on_its_peer(pair: tuple[socket.socket, socket.socket]) -> None:
    """A thread in ``recv`` is reported with the address it waits for, and with the place where it stands."""
    near, far = pair
    with running(lambda: near.recv(1), lambda: far.send(b"x")) as thread:
        until(in_call(thread, "recvfrom"), "recv")
        diagnosis = look(thread)
    assert (diagnosis.syscall, diagnosis.waits_for, diagnosis.waits_for_gil) == ("recvfrom", address(far), False)
    assert activity(diagnosis) == f"blocked in recv from {address(far)}"
    assert diagnosis.frames[0].function.endswith("<lambda>")
    assert diagnosis.frames[0].file == __file__


@needs_kernel
def test_a_thread_in_recv_with_a_timeout_is_blocked_on_its_peer(pair: tuple[socket.socket, socket.socket]) -> None:
    """With a timeout CPython polls first; the socket is found in the table passed to the kernel."""
    near, far = pair
    near.settimeout(600)
    with running(lambda: near.recv(1), lambda: far.send(b"x")) as thread:
        until(in_call(thread, "poll", "ppoll"), "poll")
        diagnosis = look(thread)
    assert diagnosis.waits_for == address(far)
    assert activity(diagnosis) == f"waiting for {address(far)}"


@needs_kernel
def test_a_thread_in_send_is_blocked_on_its_peer(pair: tuple[socket.socket, socket.socket]) -> None:
    """A thread whose peer does not read is reported with the address it cannot send to."""
    near, far = pair
    where = address(far)
    near.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    with running(lambda: near.sendall(bytes(32 * 1024 * 1024)), far.close) as thread:
        until(in_call(thread, "sendto"), "send")
        diagnosis = look(thread)
    assert activity(diagnosis) == f"blocked in send to {where}"


@needs_kernel
def test_a_thread_that_waits_for_a_connection_is_blocked_on_the_address_it_asked_for() -> None:
    """While a connection is being made ``getpeername`` knows nothing; the kernel's table does."""
    with connecting(timeout=None) as (thread, where):
        until(in_call(thread, "connect"), "connect")
        diagnosis = look(thread)
    assert activity(diagnosis) == f"blocked in connect to {where}"


@needs_kernel
def test_whom_a_thread_waits_for_is_found_out_once(
    pair: tuple[socket.socket, socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As long as a thread waits on the same socket its peer is remembered; finding it out can be dear."""
    near, far = pair
    asked: list[int] = []

    def describe(descriptor: int, link: str) -> str:
        asked.append(descriptor)
        return descriptors.describe(descriptor, link)

    monkeypatch.setattr(inspector_module, "describe", describe)
    inspector = Inspector()
    with running(lambda: near.recv(1), lambda: far.send(b"x")) as thread:
        until(in_call(thread, "recvfrom"), "recv")
        assert thread.ident is not None
        targets = [inspector.look(thread.ident, native(thread), 0.0).waits_for for _ in range(3)]
    assert targets == [address(far)] * 3
    assert asked == [near.fileno()]


@needs_kernel
def test_a_thread_on_a_unix_socket_is_blocked_on_its_path(tmp_path: Path) -> None:
    """A database reached through a unix socket is named by its path."""
    path = str(tmp_path / "db.sock")
    with socket.socket(socket.AF_UNIX) as listener, socket.socket(socket.AF_UNIX) as near:
        listener.bind(path)
        listener.listen()
        near.connect(path)
        far, _ = listener.accept()
        with far, running(lambda: near.recv(1), lambda: far.send(b"x")) as thread:
            until(in_call(thread, "recvfrom"), "recv")
            assert activity(look(thread)) == f"blocked in recv from {path}"


@needs_kernel
def test_a_socket_without_a_name_is_still_called_a_socket() -> None:
    """The ends of a socket pair have no addresses; the sentence says what is known."""
    near, far = socket.socketpair()
    with near, far, running(lambda: near.recv(1), lambda: far.send(b"x")) as thread:
        until(in_call(thread, "recvfrom"), "recv")
        assert activity(look(thread)) == "blocked in recv from a socket"


@needs_kernel
def test_a_thread_that_reads_a_pipe_is_blocked_on_a_pipe() -> None:
    """A pipe has no name; the sentence says that it is one."""
    reading, writing = os.pipe()
    try:
        with running(lambda: os.read(reading, 1), lambda: os.write(writing, b"x")) as thread:
            until(in_call(thread, "read"), "read")
            assert activity(look(thread)) == "blocked in read from a pipe"
    finally:
        os.close(reading)
        os.close(writing)


@needs_kernel
def test_a_thread_that_opens_a_fifo_is_blocked_on_its_path(tmp_path: Path) -> None:
    """A file that cannot be opened now is named."""
    path = str(tmp_path / "fifo")
    os.mkfifo(path)

    def read() -> None:
        with open(path, "rb") as file:
            file.read()

    def release() -> None:
        with open(path, "wb"):
            pass

    with running(read, release) as thread:
        until(in_call(thread, "openat"), "open")
        assert activity(look(thread)) == f"blocked in open of {path}"


@needs_kernel
def test_a_thread_in_a_lock_waits_for_a_lock() -> None:
    """``Lock.acquire`` is told from the wait for the GIL, which happens in the same system call."""
    lock = threading.Lock()
    lock.acquire()
    with running(lock.acquire, lock.release) as thread:
        until(in_call(thread, "futex"), "the lock")
        diagnosis = look(thread)
    assert (diagnosis.syscall, diagnosis.waits_for_gil) == ("futex", False)
    assert activity(diagnosis) == "waiting for a lock"


@needs_kernel
def test_a_thread_in_a_lock_with_a_timeout_waits_for_a_lock() -> None:
    """A timeout, which the wait for the GIL has too, does not confuse the two."""
    lock = threading.Lock()
    lock.acquire()
    with running(lambda: lock.acquire(timeout=600), lock.release) as thread:
        until(in_call(thread, "futex"), "the lock")
        assert not look(thread).waits_for_gil


@needs_kernel
def test_a_thread_in_queue_get_waits_for_an_item() -> None:
    """``queue.get`` is a lock to the kernel; the stack says which kind."""
    items: queue.Queue[int] = queue.Queue()
    with running(items.get, lambda: items.put(1)) as thread:
        until(in_call(thread, "futex"), "the queue")
        assert activity(look(thread)) == "waiting for an item in a queue"


@needs_kernel
def test_a_thread_in_select_waits_for_the_descriptor(pair: tuple[socket.socket, socket.socket]) -> None:
    """The descriptor is found in the sets of bits passed to ``select``."""
    near, far = pair
    with running(lambda: select.select([near], [], []), lambda: far.send(b"x")) as thread:
        until(in_call(thread, "select", "pselect6"), "select")
        assert activity(look(thread)) == f"waiting for {address(far)}"


@needs_kernel
def test_a_thread_in_select_on_several_descriptors_says_how_many(pair: tuple[socket.socket, socket.socket]) -> None:
    """Of several descriptors the lowest is named and the others are counted, in whichever set they are."""
    near, far = pair
    reading, writing = os.pipe()
    try:
        with running(lambda: select.select([near, reading], [], [near]), lambda: far.send(b"x")) as thread:
            until(in_call(thread, "select", "pselect6"), "select")
            first = address(far) if near.fileno() < reading else "a pipe"
            assert look(thread).waits_for == f"{first} and 1 more"
    finally:
        os.close(reading)
        os.close(writing)


@needs_kernel
def test_a_thread_in_epoll_waits_for_what_the_epoll_watches(pair: tuple[socket.socket, socket.socket]) -> None:
    """An event loop inside a request is reported with what it waits for."""
    near, far = pair
    with select.epoll() as poller:
        poller.register(near, select.EPOLLIN)
        with running(poller.poll, lambda: far.send(b"x")) as thread:
            until(in_call(thread, "epoll_wait", "epoll_pwait"), "epoll")
            assert activity(look(thread)) == f"waiting for {address(far)}"


@needs_kernel
def test_a_thread_that_waits_for_a_child_names_it() -> None:
    """A subprocess that does not end is named by its process id."""
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    with child, running(child.wait, child.kill) as thread:
        until(in_call(thread, "wait4", "waitid"), "wait")
        assert activity(look(thread)) == f"waiting for child process {child.pid}"


@needs_kernel
def test_a_thread_in_waitid_names_its_child() -> None:
    """The other way to wait for a child is understood too."""
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    wait = lambda: os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)  # noqa: E731
    with child, running(wait, child.kill) as thread:
        until(in_call(thread, "waitid"), "waitid")
        assert look(thread).waits_for == f"child process {child.pid}"


@needs_kernel
def test_a_thread_that_sleeps_is_sleeping() -> None:
    """``time.sleep`` is recognised on every CPython, also where it is made of ``select`` on nothing."""
    program = (
        "import threading, time\n"
        "from pastepool.core.telling.report import activity\n"
        "from pastepool.runtime.inspection.inspector import Inspector\n"
        "from pastepool.runtime.inspection.waits import wait_of\n"
        "thread = threading.Thread(target=time.sleep, args=(600,), daemon=True)\n"
        "thread.start()\n"
        "deadline = time.monotonic() + 5\n"
        "while not ((wait := wait_of(thread.native_id)) and 'nanosleep' in wait.name):\n"
        "    assert time.monotonic() < deadline, wait\n"
        "print(activity(Inspector().look(thread.ident, thread.native_id, 0.0)))\n"
    )
    # In a process of its own, because a sleep cannot be ended.
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=30, check=False)
    assert (done.stdout, done.stderr) == ("sleeping\n", "")


# -------------------------------------------------------------------------------------------------------- CPU time


@contextmanager
def spinning() -> Iterator[threading.Thread]:
    """Run a thread that does nothing but compute."""
    stop = threading.Event()

    def spin() -> None:
        while not stop.is_set():
            pass

    with running(spin, stop.set) as thread:
        yield thread


def cpu(thread: threading.Thread) -> float:
    """Return the CPU time of a live thread."""
    seconds = procfs.cpu_seconds(native(thread))
    assert seconds is not None
    return seconds


@needs_clock
def test_a_thread_in_a_python_loop_is_spinning() -> None:
    """A loop uses CPU time from one look to the next, and is called spinning whatever system call it is seen in."""
    inspector = Inspector()
    with spinning() as thread:
        assert thread.ident is not None
        first = inspector.look(thread.ident, native(thread), 0.0)
        began = cpu(thread)
        until(lambda: cpu(thread) >= began + 0.3, "0.3 s of CPU time")
        second = inspector.look(thread.ident, native(thread), 0.3)
    assert first.cpu_share is None
    assert second.cpu_share is not None
    assert second.cpu_share > 0.9
    assert activity(second).startswith("spinning: used 0.30 s of CPU in the last 0.3 s")


@needs_clock
def test_a_blocked_thread_uses_no_cpu_time() -> None:
    """A thread in a lock has a share near nothing, and is not called running."""
    lock = threading.Lock()
    lock.acquire()
    inspector = Inspector()
    with running(lock.acquire, lock.release) as thread:
        assert thread.ident is not None
        until(lambda: not _kernel_tells() or in_call(thread, "futex")(), "the lock")
        inspector.look(thread.ident, native(thread), 0.0)
        diagnosis = inspector.look(thread.ident, native(thread), 10.0)
    assert diagnosis.cpu_share is not None
    assert diagnosis.cpu_share < 0.02
    assert diagnosis.measured_for == 10.0


@needs_clock
def test_looks_in_quick_succession_do_not_cut_the_measurement_short() -> None:
    """A page that looks right after the supervisor is told what he was, not the share of one millisecond."""
    lock = threading.Lock()
    lock.acquire()
    inspector = Inspector()
    with running(lock.acquire, lock.release) as thread:
        assert thread.ident is not None
        looks = [inspector.look(thread.ident, native(thread), at) for at in (0.0, 10.0, 10.0, 10.001)]
        too_early = inspector.look(thread.ident, native(thread), 10.0 + MEASURED_FOR_AT_LEAST / 2)
        due = inspector.look(thread.ident, native(thread), 10.0 + MEASURED_FOR_AT_LEAST)
    assert [found.measured_for for found in looks] == [0.0, 10.0, 10.0, 10.0]
    assert (too_early.measured_for, due.measured_for) == (10.0, MEASURED_FOR_AT_LEAST)


@needs_clock
def test_a_thread_that_has_ended_is_no_crash() -> None:
    """Everything may be asked about a thread that is no more; the answer is that nothing is known."""
    with running(lambda: None) as thread:
        pass
    ended = native(thread)
    until(lambda: not os.path.exists(f"/proc/self/task/{ended}"), "the end of the thread in the kernel")
    assert look(thread) == Diagnosis()
    assert procfs.cpu_seconds(ended) is None
    assert unblocking.socket_blocked_on(ended) is None


def read_holding_the_gil(path: str, limit: int, *, at_once: bool = False) -> bytes:
    """Read a file as ``procfs`` does, but without giving the GIL away meanwhile, as every read of Python's does."""
    library = ctypes.PyDLL(None)
    buffer = ctypes.create_string_buffer(limit)
    descriptor = library.open(path.encode(), os.O_RDONLY)
    size = library.read(descriptor, buffer, limit)
    library.close(descriptor)
    return buffer.raw[: max(0, size)]


@needs_kernel
def test_a_thread_that_waits_for_its_turn_is_told_from_one_that_waits_for_a_lock(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A thread that needs the GIL is in the system call of one that needs a lock; the address tells whose it is."""
    lock = threading.Lock()
    lock.acquire()
    usual = sys.getswitchinterval()
    with running(lock.acquire, lambda: sys.setswitchinterval(usual)) as thread:
        until(in_call(thread, "futex"), "the lock")
        assert not look(thread).waits_for_gil
        # From here on this thread keeps the GIL: nobody may ask for it, and nothing below gives it away.
        sys.setswitchinterval(60.0)
        monkeypatch.setattr(procfs, "_read", read_holding_the_gil)
        lock.release()
        deadline = time.monotonic() + WATCHDOG
        while not (diagnosis := look(thread)).waits_for_gil and time.monotonic() < deadline:
            pass
    assert diagnosis.waits_for_gil
    assert activity(diagnosis) == "waiting for its turn to run Python"


def test_a_number_used_again_begins_a_new_measurement(monkeypatch: pytest.MonkeyPatch) -> None:
    """A thread that used less than before under the same number is a new one: nothing is known about it yet."""
    figures = iter([50.0, 51.0, 0.1, 0.2])
    monkeypatch.setattr(inspector_module, "cpu_seconds", lambda native_id: next(figures))
    inspector = Inspector()
    shares = [inspector.look(1, 1, float(at)).cpu_share for at in range(4)]
    assert shares == [None, 1.0, None, pytest.approx(0.1)]


def test_what_is_remembered_of_threads_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """The thread looked at longest ago is forgotten when there are too many."""
    monkeypatch.setattr(inspector_module, "_MEMORY_LIMIT", 2)
    monkeypatch.setattr(inspector_module, "cpu_seconds", lambda native_id: 0.0)
    inspector = Inspector()
    for ident, at in ((1, 0.0), (2, 0.0), (1, 1.0), (3, 1.0)):
        inspector.look(ident, ident, at)
    measured = inspector.look_at_all([(1, 1), (2, 2)], 2.0)
    assert {ident: found.measured_for for ident, found in measured.items()} == {1: 1.0, 2: 0.0}


def test_thread_that_has_ended_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is known of the others stays."""
    monkeypatch.setattr(inspector_module, "cpu_seconds", lambda native_id: 0.0)
    inspector = Inspector()
    for ident in (1, 2):
        inspector.look(ident, ident, 0.0)
    inspector.remember_only([(2, 2), (3, 3)])
    measured = inspector.look_at_all([(1, 1), (2, 2)], 1.0)
    assert {ident: found.measured_for for ident, found in measured.items()} == {1: 0.0, 2: 1.0}


# ---------------------------------------------------------------------------------------- where the kernel is silent


def test_without_proc_the_stack_still_says_what_it_can(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Where there is no /proc the diagnosis holds less: frames, from which a hint is taken, and no system call."""
    monkeypatch.setattr(procfs, "_TASKS", str(tmp_path))
    items: queue.Queue[int] = queue.Queue()
    with running(items.get, lambda: items.put(1)) as thread:
        until(lambda: any(place.function.endswith("get") for place in look(thread).frames), "queue.get")
        until(lambda: activity(look(thread)) == "waiting for an item in a queue", "the hint")
        diagnosis = look(thread)
        assert unblocking.socket_blocked_on(native(thread)) is None
    assert (diagnosis.syscall, diagnosis.waits_for) == (None, None)


def test_an_unknown_system_call_is_shown_by_its_number(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a machine whose numbers we do not know a call is better than nothing."""
    call = procfs.SystemCall(4711, (1, 2, 3, 4, 5, 6), (7, 8))
    monkeypatch.setattr(waits, "read_system_call", lambda native_id: call)
    assert waits.wait_of(1) == waits.Wait(call, "system call 4711")


def test_a_thread_that_moves_on_during_the_look_is_not_blamed_on_the_wrong_socket(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Arguments followed after their call has ended may be rubbish: only the name of the call is kept."""
    number = next(number for number, (name, _) in syscalls.numbering("x86_64", 64).items() if name == "recvfrom")
    monkeypatch.setattr(waits, "numbering_here", lambda: syscalls.numbering("x86_64", 64))
    calls = iter([procfs.SystemCall(number, (9, 0, 0, 0, 0, 0), (1, 1)), procfs.SystemCall(-1)])
    monkeypatch.setattr(waits, "read_system_call", lambda native_id: next(calls))
    found = waits.wait_of(1)
    assert found is not None
    assert (found.name, found.descriptors) == ("recvfrom", ())


def test_memory_that_is_not_there_is_an_answer() -> None:
    """Reading an address nobody owns gives nothing, and neither does one beyond what the kernel can name."""
    assert procfs.read_memory(0, 8) == b""
    assert procfs.read_memory(2**64 - 8, 8) == b""


@pytest.mark.parametrize(("machine", "bits"), [("x86_64", 32), ("sparc64", 64)])
def test_numbers_of_unknown_machines_are_not_guessed(machine: str, bits: int) -> None:
    """A 32-bit interpreter counts differently, and a machine we do not know is not taken for one we do."""
    assert syscalls.numbering(machine, bits) == {}


@pytest.mark.parametrize(
    ("header", "machine"),
    [
        ("/usr/include/x86_64-linux-gnu/asm/unistd_64.h", "x86_64"),
        ("/usr/include/asm-generic/unistd.h", "aarch64"),
    ],
)
def test_the_numbers_are_the_kernels_own(header: str, machine: str) -> None:
    """Every number in the table is the one in the kernel's headers, where they know the call."""
    if not os.path.exists(header):
        pytest.skip("no kernel headers here")
    words = [line.split() for line in Path(header).read_text(encoding="utf-8").splitlines()]
    defined = {
        line[1].removeprefix("__NR_").removeprefix("__NR3264_"): int(line[2])
        for line in words
        if len(line) > 2 and line[0] == "#define" and line[1].startswith("__NR") and line[2].isdigit()
    }
    ours = {name: number for number, (name, _) in syscalls.numbering(machine, 64).items()}
    known = {name: defined[name] for name in ours if name in defined}
    assert len(known) > 30
    assert {name: ours[name] for name in known} == known


# -------------------------------------------------------------------------------------------------------- descriptors


@needs_kernel
def test_both_ways_to_ask_for_a_peer_agree(pair: tuple[socket.socket, socket.socket]) -> None:
    """The kernel's table of connections and ``getpeername`` name the same peer."""
    near, far = pair
    link = procfs.descriptor_link(near.fileno())
    inode = link.removeprefix(descriptors.SOCKET).rstrip("]")
    assert descriptors._peer_by_table(inode) == descriptors._peer_by_call(near.fileno()) == address(far)


@needs_kernel
def test_both_ways_agree_on_ipv6() -> None:
    """An IPv6 peer is written in brackets, from either source."""
    try:
        listener = socket.create_server(("::1", 0), family=socket.AF_INET6)
    except OSError:
        pytest.skip("no IPv6 here")
    with listener, socket.create_connection(listener.getsockname()[:2]) as near:
        inode = procfs.descriptor_link(near.fileno()).removeprefix(descriptors.SOCKET).rstrip("]")
        expected = f"[::1]:{listener.getsockname()[1]}"
        assert descriptors._peer_by_table(inode) == descriptors._peer_by_call(near.fileno()) == expected


@needs_kernel
def test_asking_about_a_socket_changes_nothing_about_it(pair: tuple[socket.socket, socket.socket]) -> None:
    """Also under a default timeout, which a new socket object would pass on, the socket stays blocking."""
    near, far = pair
    socket.setdefaulttimeout(600)
    try:
        assert descriptors.describe(near.fileno()) == address(far)
    finally:
        socket.setdefaulttimeout(None)
    assert os.get_blocking(near.fileno())


def test_a_listening_socket_is_named_by_its_own_address() -> None:
    """The other end of a listening socket says nothing; its own address does. Rows cut short are passed over."""
    rows = [
        "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode",
        "   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 77 1 0 100",
        "   1: 0100",
        "   2: 0100007F:1F91 0500000A:1538 01 00000000:00000000 00:00000000 00000000     0        0 78 1 0 100",
    ]
    if sys.byteorder == "big":
        rows = [row.replace("0100007F", "7F000001").replace("0500000A", "0A000005") for row in rows]
    assert descriptors.peer_in_table(rows, "77") == "127.0.0.1:8080"
    assert descriptors.peer_in_table(rows, "78") == "10.0.0.5:5432"
    assert descriptors.peer_in_table(rows, "79") == ""


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (b"", ""),
        (b"\xff\xff123456", ""),
        (int(socket.AF_UNIX).to_bytes(2, sys.byteorder) + b"/run/x\0\0", "/run/x"),
        (int(socket.AF_UNIX).to_bytes(2, sys.byteorder) + b"\0abstract", "@abstract"),
        (int(socket.AF_UNIX).to_bytes(2, sys.byteorder) + b"\0\0", ""),
        (
            int(socket.AF_INET6).to_bytes(2, sys.byteorder)
            + b"\x15\x38\0\0\0\0"
            + socket.inet_pton(socket.AF_INET6, "::ffff:10.0.0.5")
            + bytes(4),
            "10.0.0.5:5432",
        ),
    ],
)
def test_an_address_is_put_into_words(raw: bytes, words: str) -> None:
    """Each kind of address is written as a person writes it; one without a name, or of an unknown kind, is nothing."""
    assert descriptors.address_in_words(raw) == words


def test_a_file_is_named_by_its_path(tmp_path: Path) -> None:
    """A descriptor of a file is described by the path; one that is not open by nothing."""
    if not os.path.exists("/proc/self/fd"):
        pytest.skip("no /proc here")
    with open(tmp_path / "log", "wb") as file:
        number = file.fileno()
        assert descriptors.describe(number) == str(tmp_path / "log")
    assert descriptors.describe(number) == ""


# -------------------------------------------------------------------------------------------------------- unblocking


@contextmanager
def connecting(timeout: float | None) -> Iterator[tuple[threading.Thread, str]]:
    """Run a thread that waits for a connection nobody accepts: the listener's queue is full."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listener:
        host, port = listener.getsockname()
        waiting: list[socket.socket] = []
        for _ in range(8):
            filler = socket.socket()
            waiting.append(filler)
            filler.setblocking(False)
            filler.connect_ex((host, port))
        caller = socket.socket()
        waiting.append(caller)
        caller.settimeout(timeout)

        def release() -> None:
            with suppress(OSError):
                caller.shutdown(socket.SHUT_RDWR)

        try:
            with running(lambda: caller.connect((host, port)), release) as thread:
                yield thread, f"{host}:{port}"
        finally:
            for one in waiting:
                one.close()


@needs_kernel
@pytest.mark.parametrize("timeout", [None, 600.0])
def test_a_thread_blocked_on_a_socket_is_woken_by_its_shutdown(
    pair: tuple[socket.socket, socket.socket], timeout: float | None
) -> None:
    """The thread wakes as if the other side had hung up, and the application keeps its socket."""
    near, far = pair
    near.settimeout(timeout)
    received: list[bytes] = []
    with running(lambda: received.append(near.recv(1)), lambda: far.close()) as thread:
        until(in_call(thread, "recvfrom", "poll", "ppoll"), "recv")
        blocked = unblocking.socket_blocked_on(native(thread))
        assert blocked is not None
        assert blocked.descriptor == near.fileno()
        assert unblocking.shut_down(blocked)
        thread.join(WATCHDOG)
        assert received == [b""]
    assert near.fileno() == blocked.descriptor


@needs_kernel
@pytest.mark.parametrize("timeout", [None, 600.0])
def test_a_thread_that_waits_for_a_connection_is_woken(timeout: float | None) -> None:
    """A connection that is still being made can be given up from outside, too."""
    with connecting(timeout) as (thread, _):
        until(in_call(thread, "connect", "poll", "ppoll"), "connect")
        blocked = unblocking.socket_blocked_on(native(thread))
        assert blocked is not None
        assert unblocking.shut_down(blocked)
        thread.join(WATCHDOG)
        assert not thread.is_alive()


@needs_kernel
def test_a_thread_that_waits_on_anything_else_is_left_alone(pair: tuple[socket.socket, socket.socket]) -> None:
    """No socket is found behind a pipe, behind a listening socket, or among several descriptors."""
    near, far = pair
    reading, writing = os.pipe()
    try:
        with running(lambda: os.read(reading, 1), lambda: os.write(writing, b"x")) as thread:
            until(in_call(thread, "read"), "read")
            assert unblocking.socket_blocked_on(native(thread)) is None
    finally:
        os.close(reading)
        os.close(writing)
    with running(lambda: select.select([near, far], [], []), lambda: far.send(b"x")) as thread:
        until(in_call(thread, "select", "pselect6"), "select")
        assert unblocking.socket_blocked_on(native(thread)) is None
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def accept() -> None:
            listener.accept()[0].close()

        def release() -> None:
            socket.create_connection(listener.getsockname()).close()

        with running(accept, release) as thread:
            until(in_call(thread, "accept", "accept4"), "accept")
            assert unblocking.socket_blocked_on(native(thread)) is None


@needs_kernel
def test_a_number_that_leads_elsewhere_by_now_is_not_shut_down(pair: tuple[socket.socket, socket.socket]) -> None:
    """Between the look and the deed the number may have gone to another socket: that one is not touched."""
    near, far = pair
    other, end = socket.socketpair()
    with other, end, running(lambda: near.recv(1), lambda: far.send(b"x")) as thread:
        until(in_call(thread, "recvfrom"), "recv")
        blocked = unblocking.socket_blocked_on(native(thread))
        assert blocked is not None
        for wrong in (other.fileno(), 10**6):
            misled = unblocking.BlockedSocket(blocked.native_id, wrong, blocked.link, blocked.call)
            assert not unblocking.shut_down(misled)
        end.send(b"still connected")
        assert other.recv(15) == b"still connected"


@needs_kernel
def test_a_thread_that_has_moved_on_is_not_punished(pair: tuple[socket.socket, socket.socket]) -> None:
    """Once the thread has left the call its connection may be somebody else's: it stays as it is."""
    near, far = pair
    with running(lambda: near.recv(1), lambda: None) as thread:
        until(in_call(thread, "recvfrom"), "recv")
        blocked = unblocking.socket_blocked_on(native(thread))
        far.send(b"x")
        thread.join(WATCHDOG)
    assert blocked is not None
    assert not unblocking.shut_down(blocked)
    far.send(b"y")
    assert near.recv(1) == b"y"


def test_the_status_goes_into_one_sentence_with_the_place() -> None:
    """What was gathered is what ``core.telling.report`` puts into words."""
    diagnosis = look(threading.current_thread())
    assert sentence(Status.HUNG, 42.0, diagnosis).startswith("hung for 42 s")
    assert "test_inspector.py" in sentence(Status.HUNG, 42.0, diagnosis)


@pytest.mark.skipif(sys.byteorder != "little", reason="the examples are those of a little-endian machine")
@pytest.mark.parametrize(
    ("written", "address"),
    [
        ("0100007F:1538", ("127.0.0.1", 5432)),
        ("0000000000000000FFFF00000100007F:0050", ("::ffff:127.0.0.1", 80)),
        ("00000000000000000000000001000000:FFFF", ("::1", 65535)),
    ],
)
def test_addresses_as_the_kernel_writes_them(written: str, address: tuple[str, int]) -> None:
    """The host is 32-bit words in the byte order of the machine; the examples are from real tables."""
    assert descriptors.table_address(written) == address
