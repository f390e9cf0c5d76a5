"""
What ``.ci/sid.py`` says where a CPython cannot be had, and what ``.ci/pythons.py`` runs. That they can be had is shown by
``make test``.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.meta.repository import ROOT
from tests.waiting import PROGRAM_WATCHDOG


def fetch(folder: Path, programs: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Ask for two CPythons on a machine whose PATH has these programs and nothing else."""
    path = folder / "bin"
    path.mkdir()
    for name, source in programs.items():
        (path / name).write_text(f"#!/bin/sh\n{source}\n")
        (path / name).chmod(0o755)
    return subprocess.run(
        [sys.executable, ROOT / ".ci" / "sid.py", "3.14", "3.15"],
        cwd=folder,
        env={"PATH": str(path)},
        capture_output=True,
        text=True,
        timeout=PROGRAM_WATCHDOG,
        check=False,
    )


def test_machine_without_apt_is_told_in_a_line_for_each(tmp_path: Path) -> None:
    """The line names the version and what is not there."""
    done = fetch(tmp_path, {})
    assert done.stdout.splitlines() == [
        "3.14 cannot be had: there is no apt-get",
        "3.15 cannot be had: there is no apt-get",
    ]
    assert (done.returncode, done.stderr) == (1, "")


@pytest.mark.skipif(
    not Path("/usr/share/keyrings/debian-archive-keyring.gpg").exists(), reason="the sentence of a Debian"
)
def test_what_apt_says_is_the_reason(tmp_path: Path) -> None:
    """The first line of apt that is an error is the reason."""
    programs = {
        "apt-get": "echo Err:1 sid InRelease; echo 'W: 1 not done' >&2; echo 'E: Failed to fetch it' >&2; exit 100",
        "dpkg-deb": "exit 1",
        "tar": "exit 1",
    }
    done = fetch(tmp_path, programs)
    assert done.stdout.splitlines()[0] == "3.14 cannot be had: apt-get: Failed to fetch it"
    assert (done.returncode, done.stderr) == (1, "")


def test_what_runs_on_the_other_cpythons_is_there() -> None:
    """Each folder, each file and each test that is named."""
    code = "import pythons; print(*pythons.TESTS, sep='\\n')"
    done = subprocess.run(
        [sys.executable, "-B", "-c", code], cwd=ROOT / ".ci", capture_output=True, text=True, check=True
    )
    named = [line.partition("::") for line in done.stdout.splitlines()]
    assert len(named) >= 20
    assert [path for path, _, _ in named if not (ROOT / path).exists()] == []
    tests = [(path, test) for path, _, test in named if test]
    assert tests
    assert [test for path, test in tests if f"def {test}(" not in (ROOT / path).read_text(encoding="utf-8")] == []
