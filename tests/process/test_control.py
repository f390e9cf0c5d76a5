"""How commands find the parent of a file, and what they say when it does not answer."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from pastepool.cli import asking
from pastepool.runtime.family.control import Control, names_for, names_there
from tests.process.site import Site, ending
from tests.waiting import PROGRAM_WATCHDOG, WATCHDOG

SECTION = "server:main"


@pytest.fixture
def parent(tmp_path: Path) -> Iterator[Control]:
    """A parent that was started with a path through a link."""
    for number in (1, 2):
        (tmp_path / str(number)).mkdir()
    (tmp_path / "current").symlink_to(tmp_path / "1")
    control = Control(names_for(str(tmp_path / "current/site.ini"), SECTION, os.geteuid()))
    yield control
    control.close()


def names(path: Path) -> list[str]:
    """The names at which a command would ask."""
    there = set(Path("/proc/net/unix").read_text().split())
    return [name for name in names_there(str(path), SECTION) if "@" + name[1:] in there]


def test_parent_is_found_by_its_path_with_and_without_links(parent: Control, tmp_path: Path) -> None:
    """Also when the link leads elsewhere: then its path still means the same parent, and the new folder means none."""
    assert len(names(tmp_path / "current/site.ini")) == 2
    assert len(names(tmp_path / "1/site.ini")) == 1
    assert names(tmp_path / "2/site.ini") == []
    (tmp_path / "next").symlink_to(tmp_path / "2")
    (tmp_path / "next").rename(tmp_path / "current")
    assert len(names(tmp_path / "current/site.ini")) == 1
    assert len(names(tmp_path / "1/site.ini")) == 1
    assert names(tmp_path / "2/site.ini") == []


def test_names_are_those_of_one_file_section_and_user(tmp_path: Path) -> None:
    """Another one of any of them has other names; and none has a byte more than such a name may have."""
    path = str(tmp_path / ("long" * 30) / "site.ini")
    found = [names_for(path, SECTION, 0), names_for(path, "server:other", 0), names_for(path, SECTION, 1)]
    found.append(names_for(path + "x", SECTION, 0))
    assert len({name for each in found for name in each}) == 4
    for name in (name for each in found for name in each):
        with socket.socket(socket.AF_UNIX) as sock:
            sock.bind(name)


def test_second_parent_of_a_file_takes_what_is_free(parent: Control, tmp_path: Path) -> None:
    """It serves without the names of the first, which keeps them."""
    before = names(tmp_path / "current/site.ini")
    other = Control(names_for(str(tmp_path / "current/site.ini"), SECTION, os.geteuid()))
    assert list(other.descriptors()) == []
    other.close()
    assert names(tmp_path / "current/site.ini") == before


def test_parent_that_does_not_answer_the_status_is_told(
    parent: Control, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is stopped, say. Nobody waits for ever for what takes no time."""
    monkeypatch.setattr(asking, "_STATUS_WITHIN", 0.05)
    ok, text = asking.ask(asking.STATUS, str(tmp_path / "current/site.ini"), SECTION)
    assert not ok
    assert text.endswith("does not answer. Is it stopped (kill -CONT)?")


def test_reloads_that_wait_keep_nobody_from_the_status(parent: Control, tmp_path: Path) -> None:
    """Somebody wants to know why they wait."""
    name = names_for(str(tmp_path / "current/site.ini"), SECTION, os.geteuid())[0]
    with contextlib.ExitStack() as stack:
        for number in range(20):
            asked = ask(parent, name, stack, "reload")
            assert asked == ["reload"], number
        assert ask(parent, name, stack, "status") == ["status"]
        assert parent.waits_for("status")


def ask(parent: Control, name: str, stack: contextlib.ExitStack, word: str) -> list[str]:
    """Ask, and return what the parent hears."""
    client = stack.enter_context(socket.socket(socket.AF_UNIX))
    client.connect(name)
    client.sendall(word.encode())
    parent.asked(list(parent.descriptors()))  # it accepts
    return parent.asked(select.select(list(parent.descriptors()), [], [], WATCHDOG)[0])


def test_command_that_is_interrupted_says_that_the_reload_goes_on(tmp_path: Path) -> None:
    """In one line, with the status of Ctrl-C."""
    with ending(Site(tmp_path)) as site:
        site.serving()
        site.boot("VERSION = 2\nwhile not (HERE / 'gate').exists():\n    time.sleep(0.01)")
        words = [sys.executable, "-m", "pastepool", "reload", "site.ini"]
        with subprocess.Popen(words, cwd=tmp_path, stderr=subprocess.PIPE, text=True) as command:
            site.await_line("is tried with one worker")
            command.send_signal(signal.SIGINT)
            said = command.communicate(timeout=PROGRAM_WATCHDOG)[1]
        assert (command.returncode, said.count("\n")) == (130, 1), said
        assert said.startswith("reload goes on in the server; pastepool status site.ini shows how it is.")
        site.open_gate()
        site.serving(generation=2)
