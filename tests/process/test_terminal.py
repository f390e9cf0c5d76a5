"""Several processes under a command that was started from a terminal."""

from __future__ import annotations

import os
import select
import time
from pathlib import Path
from typing import Any

import pytest

from tests.process.site import Site
from tests.server.commands import SERVE, alive
from tests.server.programs import is_free
from tests.waiting import until


class OnTerminal(Site):
    """A site whose command has a terminal of its own as its standard streams."""

    def __init__(self, folder: Path, command: str = "paster", **options: Any) -> None:
        self._terminal, theirs = os.openpty()
        self._name = os.ttyname(theirs)
        super().__init__(folder, command, **options)
        os.close(theirs)

    def _arrange(self) -> None:
        super()._arrange()
        opened = os.open(self._name, os.O_RDWR)  # the first one that the leader of a session opens is its terminal
        for number in (0, 1, 2):
            os.dup2(opened, number)
        os.close(opened)

    def __exit__(self, *ignored: object) -> None:
        super().__exit__(*ignored)
        self.hang_up()

    def _read_more(self, deadline: float) -> bool:
        readable, _, _ = select.select([self._terminal], [], [], max(0.0, deadline - time.monotonic()))
        try:
            data = os.read(self._terminal, 65536).decode("utf-8", "replace") if readable else ""
        except OSError:  # nobody has the other end any more
            data = ""
        self.said += data
        self._unread += data
        return bool(data)

    def press(self, key: bytes) -> None:
        """Press a key."""
        os.write(self._terminal, key)

    def hang_up(self) -> None:
        """Close the terminal. May be called twice."""
        if self._terminal >= 0:
            os.close(self._terminal)
            self._terminal = -1


@pytest.mark.parametrize("command", sorted(SERVE))
def test_start_that_fails_on_a_terminal_ends_at_once(command: str, tmp_path: Path) -> None:
    """With status 3 and one traceback: somebody reads it. Nothing is set for that."""
    with OnTerminal(tmp_path, command, boots="raise RuntimeError('not yet')") as site:
        assert site.wait() == 3, site.said
        assert site.said.count("RuntimeError: not yet") == 1, site.said
        assert site.said.count("before it was ready") == 1


def test_ctrl_c_ends_in_order(tmp_path: Path) -> None:
    """The terminal sends it to all processes: each finishes its requests, none is replaced, and no line is an error."""
    with OnTerminal(tmp_path) as site:
        workers = site.serving()
        site.press(b"\x03")
        assert site.wait() == 0, site.said
        assert "SIGINT: the workers finish their requests and end" in site.said
        assert "ERROR" not in site.said and "Traceback" not in site.said
        assert site.said.count("generation 1) serves") == 2
    assert not any(map(alive, workers.values()))
    assert is_free(site.at)


def test_all_end_with_the_terminal(tmp_path: Path) -> None:
    """Its hang-up is no request for a reload."""
    with OnTerminal(tmp_path) as site:
        workers = site.serving()
        site.hang_up()
        until(lambda: not any(map(alive, [site.pid, *workers.values()])), "all have ended")
        assert is_free(site.at)
