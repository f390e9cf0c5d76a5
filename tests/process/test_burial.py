"""The reason of a worker's end: a real process is killed, and the kernel's count stands in a file."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any, cast

import pytest

from pastepool.core.generations.child import Child, ChildPhase
from pastepool.process.burial import Burial
from pastepool.runtime.family.birth import MAIL, NOTE
from pastepool.runtime.family.teller import Teller
from pastepool.runtime.inspection.control_group import events_file, oom_kills

CHILD = Child(1, 3, 2, 0.0, ChildPhase.READY)


class Kinsman:
    """What the burial asks of a worker."""

    pid = 4711
    failure = "no module named shop"


KIN = cast(Any, Kinsman())


def killed() -> int:
    """The exit code of a process that was killed by signal 9."""
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    process.send_signal(signal.SIGKILL)
    _, status = os.waitpid(process.pid, 0)
    process.returncode = -9
    assert process.stdin is not None
    process.stdin.close()
    return os.waitstatus_to_exitcode(status)


@pytest.fixture
def events(tmp_path: Path) -> Path:
    """What the kernel has counted for the control group."""
    file = tmp_path / "memory.events"
    file.write_text("low 0\nhigh 0\nmax 12\noom 3\noom_kill 2\noom_group_kill 0\n")
    return file


def counted(file: Path, kills: int) -> None:
    """Have the kernel count a kill."""
    file.write_text(file.read_text().replace("oom_kill 2", f"oom_kill {kills}"))


def test_kill_that_the_kernel_has_counted_is_told_as_oom(events: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """And the next one, which it has not counted, as one from outside."""
    burial, status = Burial(Teller(), 0.0, events), killed()
    counted(events, 3)
    burial.tell(CHILD, KIN, status)
    burial.tell(CHILD, KIN, status)
    first, second = capfd.readouterr().err.splitlines()
    assert "worker process 3 (pid 4711, generation 2) was killed by signal 9" in first
    assert first.endswith("because memory ran out (oom); it is replaced")
    assert second.endswith("was killed by signal 9 from outside; it is replaced")
    assert burial.counts == {"oom": 1, "killed": 1}


def test_count_of_long_ago_is_about_another_process(events: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Two samples have passed since."""
    burial = Burial(Teller(), 0.0, events)
    counted(events, 3)
    for now in (1.0, 10.0, 20.0):
        burial.sample(now)
    burial.tell(CHILD, KIN, killed())
    assert "from outside; it is replaced" in capfd.readouterr().err


def test_without_the_kernels_count_the_end_is_told_all_the_same(capfd: pytest.CaptureFixture[str]) -> None:
    """Control groups of version 1, or none."""
    burial = Burial(Teller(), 0.0, None)
    burial.sample(100.0)
    burial.tell(CHILD, KIN, killed())
    assert (
        "from outside, perhaps because memory ran out; the log of the kernel tells; it is replaced"
        in capfd.readouterr().err
    )


def test_worker_that_did_not_start_is_told_with_its_reason(capfd: pytest.CaptureFixture[str]) -> None:
    """The text is the failure of the reload, too."""
    booting = Child(1, 3, 2, 0.0, ChildPhase.BOOTING)
    said = Burial(Teller(), 0.0, None).tell(booting, KIN, 1)
    assert said.endswith("ended with status 1 before it was ready:\nno module named shop")
    assert said in capfd.readouterr().err


@pytest.mark.parametrize("phase", [ChildPhase.BOOTING, ChildPhase.READY])
def test_what_happens_again_is_told_and_not_mailed(phase: ChildPhase, capfd: pytest.CaptureFixture[str]) -> None:
    """The first end of several in a row is."""
    teller = Teller()
    burial = Burial(teller, 0.0, None)
    for again in (False, True, True):
        burial.tell(Child(1, 3, 2, 0.0, phase), KIN, 1, again)
    assert [word for word, _ in teller.unsent] == [MAIL, NOTE, NOTE]
    assert capfd.readouterr().err.count("ended with status 1") == 3


def test_file_of_the_own_control_group_is_found(tmp_path: Path) -> None:
    """Where the system has version 2; else there is none."""
    own, groups = tmp_path / "cgroup", tmp_path / "groups"
    (groups / "shop.service").mkdir(parents=True)
    (groups / "shop.service" / "memory.events").touch()
    own.write_text("4:memory:/old\n0::/shop.service\n")
    assert events_file(own, groups) == groups / "shop.service" / "memory.events"
    own.write_text("0::/other\n")
    assert events_file(own, groups) is None
    own.write_text("4:memory:/old\n")
    assert events_file(own, groups) is None
    assert events_file(tmp_path / "missing", groups) is None


@pytest.mark.parametrize("text", ["", "oom_kill", "oom_kill many", "low 0\n"])
def test_count_that_cannot_be_read_is_none(tmp_path: Path, text: str) -> None:
    """Nothing breaks."""
    file = tmp_path / "memory.events"
    file.write_text(text)
    assert oom_kills(file) == 0
    assert oom_kills(tmp_path / "missing") == 0
