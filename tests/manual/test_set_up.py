"""What ``make serve`` says on a machine that lacks something."""

from __future__ import annotations

import socket
import subprocess
from pathlib import Path

import pytest

from pastepool import entrypoints
from tests.manual.blocks import Typed, steps
from tests.manual.desk import clone
from tests.meta.repository import ROOT
from tests.server.commands import SCRIPTS, environment
from tests.waiting import PROGRAM_WATCHDOG

WITHOUT_VENV = """\
#!/bin/sh
# A Debian without python3-venv: -m venv leaves a part of the environment, and fails.
if [ "$1" = -m ]; then
    mkdir -p .venv/bin && ln -sf /usr/bin/env .venv/bin/python
    echo "The virtual environment was not created successfully because ensurepip is not available." >&2
    exit 1
fi
exec python3 "$@"
"""
TOO_OLD = """\
#!/bin/sh
case "$1" in
    --version) echo "Python 3.9.2" ;;
    *) echo "pastepool needs Python 3.10 or later" >&2; exit 1 ;;
esac
"""


def make_serve(folder: Path, source: str) -> subprocess.CompletedProcess[str]:
    """Run ``make serve`` in a fresh clone with a program in the place of ``python3``."""
    clone(folder)
    python = folder / "python"
    python.write_text(source, encoding="utf-8")
    python.chmod(0o755)
    return subprocess.run(
        ["make", "serve", "PYTHON=./python"],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=PROGRAM_WATCHDOG,
        check=False,
    )


def test_machine_without_venv_is_told_the_package(tmp_path: Path) -> None:
    """Without python3-venv, the last line names the package, and nothing is left that a second try would stumble on."""
    done = make_serve(tmp_path, WITHOUT_VENV)
    assert done.returncode != 0
    assert "python3 -m venv failed; on Debian: apt-get install python3-venv" in done.stderr
    assert not (tmp_path / ".venv").exists()


def test_python_that_is_too_old_is_refused_before_anything_is_made(tmp_path: Path) -> None:
    """A Python below 3.10 is named, and the version that is needed; no environment is made."""
    done = make_serve(tmp_path, TOO_OLD)
    assert done.returncode != 0
    assert "Python 3.9.2" in done.stdout
    assert "pastepool needs Python 3.10 or later" in done.stderr
    assert not (tmp_path / ".venv").exists()


@pytest.mark.parametrize("name", ["development.ini", "production.ini"])
def test_taken_port_is_said_in_one_sentence(name: str) -> None:
    """If another program has the port, the command says so in its last line, and ends with the status of the manual."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        done = subprocess.run(
            [str(SCRIPTS / "paster"), "serve", name, f"http_port={port}"],
            cwd=ROOT,
            env=environment(),
            capture_output=True,
            text=True,
            timeout=PROGRAM_WATCHDOG,
            check=False,
        )
    assert done.returncode == entrypoints.START_STATUS
    assert str(port) in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr


PROGRAMS = {
    "paster",
    "pserve",
    "gearbox",
    "pip",
    "python",
    "python3",
    "curl",
    "for",
    "sudo",
    "make",
    "cp",
    "pastepool",
    "journalctl",
    "twistd",
}


def test_commands_of_the_how_to_guides_can_be_typed() -> None:
    """Each command begins with a program that the page of the guides names or that every system has, on a file we have."""
    pages = sorted((ROOT / "docs" / "how-to").glob("*.md"))
    typed = [step for page in pages for step in steps(page.read_text(encoding="utf-8")) if isinstance(step, Typed)]
    assert len(typed) >= 15
    for step in typed:
        words = step.command.split()
        assert words[0] in PROGRAMS, step.command
        for name in (word for word in words if word.endswith(".ini")):
            assert (ROOT / name).is_file() or (ROOT / "docs" / "how-to" / "files" / name).is_file(), step.command


def test_programs_are_installed_from_the_clone() -> None:
    """No page asks an index for a package called pastepool, because there is none; it is installed from the clone."""
    pages = [*sorted((ROOT / "docs").rglob("*.md")), ROOT / "README.md", ROOT / "CONTRIBUTING.md"]
    typed = [step for page in pages for step in steps(page.read_text(encoding="utf-8")) if isinstance(step, Typed)]
    installing = [step.command for step in typed if "pip install" in step.command]
    assert len(installing) >= 3
    assert [command for command in installing if " pastepool" in command or " 'pastepool" in command] == []
