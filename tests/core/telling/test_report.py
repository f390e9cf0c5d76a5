"""What an inspection found out becomes one sentence."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pastepool.core.ownership import claim, own_file
from pastepool.core.states import Status
from pastepool.core.telling.report import (
    CodePlace,
    Diagnosis,
    activity,
    counts_line,
    place_text,
    sentence,
    telling_place,
    wait_kind,
)

ROOT = "/srv/shop"
LIB = "/usr/lib/python3.11"
SITE = "/srv/shop/venv/lib/python3.11/site-packages"
OWN = CodePlace("/srv/shop/app/db.py", 88, "fetch")
DRIVER = CodePlace(f"{SITE}/driver/net.py", 7, "read")
SOCKET = CodePlace(f"{LIB}/socket.py", 706, "readinto")
WORKER = CodePlace(own_file("runtime/pool/worker.py"), 5, "run")
CALL = CodePlace(own_file("wsgi/call.py"), 5, "call")
STACK = (SOCKET, DRIVER, OWN, CALL, WORKER)


def test_a_thread_blocked_on_a_database() -> None:
    """The sentence the whole exercise is for."""
    diagnosis = Diagnosis(STACK, cpu_share=0.0, measured_for=1.0, syscall="recvfrom", waits_for="10.0.0.5:5432")
    assert sentence(Status.HUNG, 42.0, diagnosis, ROOT) == (
        "hung for 42 s: blocked in recv from 10.0.0.5:5432 (app/db.py:88 fetch)"
    )


def test_a_thread_that_spins() -> None:
    """CPU time tells a busy loop from a wait."""
    diagnosis = Diagnosis((CodePlace("/srv/shop/app/x.py", 3, "f"),), cpu_share=0.98, measured_for=1.0)
    assert sentence(Status.BUSY, 3.0, diagnosis, ROOT) == (
        "busy for 3.0 s: spinning: used 0.98 s of CPU in the last 1.0 s (app/x.py:3 f)"
    )


def test_nothing_known_is_said_in_few_words() -> None:
    """Without /proc and without a stack only the time is left."""
    assert sentence(Status.DYING, 7.0, Diagnosis()) == "dying for 7.0 s"
    assert sentence(Status.HUNG, 42.0, Diagnosis((OWN,))) == "hung for 42 s (/srv/shop/app/db.py:88 fetch)"


@pytest.mark.parametrize(
    ("diagnosis", "said"),
    [
        (Diagnosis(syscall="recvfrom", waits_for="10.0.0.5:5432"), "blocked in recv from 10.0.0.5:5432"),
        (Diagnosis(syscall="recvfrom"), "blocked in recv"),
        (Diagnosis(syscall="sendto", waits_for="10.0.0.5:80"), "blocked in send to 10.0.0.5:80"),
        (Diagnosis(syscall="connect", waits_for="10.0.0.5:80"), "blocked in connect to 10.0.0.5:80"),
        (Diagnosis(syscall="read", waits_for="/mnt/nfs/big"), "blocked in read from /mnt/nfs/big"),
        (Diagnosis(syscall="wait4", waits_for="child process 4711"), "waiting for child process 4711"),
        (Diagnosis(syscall="wait4"), "waiting for a child process"),
        (Diagnosis(syscall="futex"), "waiting for a lock"),
        (Diagnosis(syscall="futex", waits_for_gil=True), "waiting for its turn to run Python"),
        (Diagnosis(syscall="clock_nanosleep"), "sleeping"),
        (Diagnosis(syscall="poll", waits_for="10.0.0.5:80"), "waiting for 10.0.0.5:80"),
        (Diagnosis(syscall="poll"), "waiting for input or output"),
        (Diagnosis(syscall="flock", waits_for="/var/lock/x"), "waiting for a file lock on /var/lock/x"),
        (Diagnosis(syscall="io_uring_enter"), "blocked in io_uring_enter"),
        (Diagnosis(syscall="fsync", waits_for="/data/x"), "blocked in fsync on /data/x"),
        (Diagnosis(waits_for="child process 4711"), "waiting for child process 4711"),
        (Diagnosis(), ""),
    ],
)
def test_each_kind_of_wait_has_its_words(diagnosis: Diagnosis, said: str) -> None:
    """A call without words of its own is named as Linux names it."""
    assert activity(diagnosis) == said


@pytest.mark.parametrize(
    ("share", "said"),
    [
        (1.0, "spinning: used 2.00 s of CPU in the last 2.0 s"),
        (0.5, "spinning: used 1.00 s of CPU in the last 2.0 s"),
        (0.49, "running: used 0.98 s of CPU in the last 2.0 s"),
        (0.02, "running: used 0.04 s of CPU in the last 2.0 s"),
        (0.019, "waiting for a lock"),
        (0.0, "waiting for a lock"),
        (None, "waiting for a lock"),
    ],
)
def test_cpu_time_is_believed_before_the_system_call(share: float | None, said: str) -> None:
    """A thread that shares the GIL with others that spin is found in futex, and yet it runs."""
    assert activity(Diagnosis(cpu_share=share, measured_for=2.0, syscall="futex")) == said


@pytest.mark.parametrize(
    ("frames", "syscall", "said"),
    [
        (
            (CodePlace(f"{LIB}/threading.py", 1, "wait"), CodePlace(f"{LIB}/queue.py", 2, "Queue.get")),
            "futex",
            "an item in a queue",
        ),
        ((CodePlace(f"{LIB}/threading.py", 1, "join"), OWN), None, "waiting for a thread to end"),
        (
            (CodePlace(f"{LIB}/selectors.py", 1, "select"), CodePlace(f"{LIB}/subprocess.py", 2, "communicate")),
            "poll",
            "child process",
        ),
        ((CodePlace(f"{LIB}/ssl.py", 1, "read"), OWN), None, "blocked in recv"),
        ((CodePlace("C:\\Python311\\Lib\\queue.py", 1, "get"),), None, "an item in a queue"),
    ],
)
def test_well_known_calls_tell_what_the_system_does_not(
    frames: tuple[CodePlace, ...], syscall: str | None, said: str
) -> None:
    """The outermost of the standard library's own calls says most."""
    assert said in activity(Diagnosis(frames, syscall=syscall))


def test_an_applications_own_queue_module_is_not_the_standard_librarys() -> None:
    """A hint is taken from the standard library only, and only below the application's own call."""
    assert activity(Diagnosis((CodePlace("/srv/shop/app/queue.py", 1, "get"),))) == ""
    assert activity(Diagnosis((OWN, CodePlace(f"{LIB}/queue.py", 1, "get")))) == ""


def test_a_known_target_says_more_than_a_hint() -> None:
    """The peer's address wins over "blocked in recv"."""
    diagnosis = Diagnosis((SOCKET, OWN), syscall="recvfrom", waits_for="10.0.0.5:5432")
    assert activity(diagnosis) == "blocked in recv from 10.0.0.5:5432"


def test_the_place_is_the_applications_innermost_call() -> None:
    """Neither the socket module, nor the driver, nor our own runtime tells the operator where to look."""
    assert telling_place(STACK, ROOT) == OWN
    assert telling_place(STACK) == OWN
    assert telling_place((SOCKET, WORKER), ROOT) == SOCKET
    assert telling_place((), ROOT) is None


def test_without_the_applications_call_an_unknown_package_is_named() -> None:
    """An installed package that is no known framework may be the application; a framework never says why it waits."""
    router = CodePlace(f"{SITE}/pyramid/router.py", 9, "Router.invoke")
    assert telling_place((SOCKET, DRIVER, router, WORKER), ROOT) == DRIVER
    assert telling_place((SOCKET, router, WORKER), ROOT) == SOCKET


def test_claimed_call_is_named_before_a_script_in_the_applications_folder() -> None:
    """The file that starts the application often lies beside its configuration, and its call is the outermost."""
    installed = CodePlace(f"{SITE}/claimed_shop/db.py", 9, "fetch")
    script = CodePlace(f"{ROOT}/wsgi.py", 3, "application")
    assert telling_place((SOCKET, installed, DRIVER, script, WORKER), ROOT) == script
    claim([installed.file])
    assert telling_place((SOCKET, DRIVER, installed, DRIVER, script, WORKER), ROOT) == installed
    assert place_text(installed, ROOT) == "claimed_shop/db.py:9 fetch"
    assert telling_place((), ROOT) is None


def test_files_below_the_applications_root_are_preferred() -> None:
    """A helper library checked out elsewhere is not the application, when we know where that is."""
    other = CodePlace("/home/dev/helper/h.py", 4, "help")
    assert telling_place((SOCKET, other, OWN), ROOT) == OWN
    assert telling_place((SOCKET, other, OWN)) == other
    assert telling_place((SOCKET, other), ROOT) == other


@pytest.mark.parametrize(
    ("file", "root", "shown"),
    [
        ("/srv/shop/app/db.py", "/srv/shop", "app/db.py"),
        ("/srv/shop/app/db.py", "/srv/shop/", "app/db.py"),
        ("/srv/shopping/db.py", "/srv/shop", "/srv/shopping/db.py"),
        ("/srv/shop/app/db.py", "", "/srv/shop/app/db.py"),
        ("D:\\shop\\app\\db.py", "D:\\shop", "app\\db.py"),
        (f"{SITE}/driver/net.py", "", "driver/net.py"),
        (f"{SITE}/driver/net.py", ROOT, "driver/net.py"),
        ("<frozen importlib>", ROOT, "<frozen importlib>"),
    ],
)
def test_files_are_named_as_short_as_is_clear(file: str, root: str, shown: str) -> None:
    """From the application's root, or from the directory of packages for a file in there."""
    assert place_text(CodePlace(file, 3, "f"), root) == f"{shown}:3 f"


@given(st.text(), st.text(), st.none() | st.text(), st.none() | st.text())
def test_a_sentence_is_one_line_whatever_things_are_called(
    file: str, name: str, call: str | None, peer: str | None
) -> None:
    """File names and peers cannot break the log."""
    diagnosis = Diagnosis((CodePlace(file, 1, name),), syscall=call, waits_for=peer)
    for made in (diagnosis, replace(diagnosis, cpu_share=0.7, measured_for=1.0)):
        text = sentence(Status.HUNG, 30.0, made, "/srv")
        assert text.isprintable()
        assert len(text) < 700


@pytest.mark.parametrize(
    ("counts", "waiting", "said"),
    [
        ({Status.IDLE: 3, Status.BUSY: 6, Status.HUNG: 1}, 0, "10 workers: 3 idle, 6 busy, 1 hung; 0 waiting"),
        ({Status.ZOMBIE: 1, Status.GONE: 4}, 12, "1 worker: 1 zombie; 12 waiting"),
        ({}, 0, "0 workers; 0 waiting"),
    ],
)
def test_the_pool_in_one_line(counts: dict[Status, int], waiting: int, said: str) -> None:
    """Only what is there is named, and the gone are not there."""
    assert counts_line(counts, waiting) == said


QUEUE = CodePlace(f"{LIB}/queue.py", 171, "Queue.get")


@pytest.mark.parametrize(
    ("diagnosis", "kind"),
    [
        (Diagnosis(syscall="recvfrom", waits_for="10.0.0.5:5432"), "blocked in recv"),
        (Diagnosis(syscall="recvfrom"), "blocked in recv"),
        (Diagnosis((SOCKET,)), "blocked in recv"),
        (Diagnosis((QUEUE,), syscall="futex"), "waiting for an item in a queue"),
        (Diagnosis((QUEUE,)), "waiting for an item in a queue"),
        (Diagnosis(syscall="futex"), "waiting for a lock"),
        (Diagnosis(cpu_share=0.9), "computing"),
        (Diagnosis(cpu_share=0.03), "computing"),
        (Diagnosis(cpu_share=0.0, waits_for_gil=True, syscall="futex"), "computing"),
        (Diagnosis(waits_for="child process 7"), "waiting"),
        (Diagnosis(), ""),
    ],
)
def test_threads_with_the_same_trouble_have_the_same_kind_of_wait(diagnosis: Diagnosis, kind: str) -> None:
    """Whether the look caught them in the system call or beside it, and whatever the target is."""
    assert wait_kind(diagnosis) == kind
