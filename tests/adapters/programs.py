"""Programs with a server in them, in a process of their own."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.dispositions import usual_dispositions
from tests.waiting import PROGRAM_WATCHDOG, until


class Program:
    """A program in a process of its own. Its output goes into a file: a pipe that nobody reads would stop it."""

    def __init__(self, process: subprocess.Popen[bytes], output: Any) -> None:
        self.process = process
        self._output = output

    def end(self, number: int = 0, *, sent: bool = False) -> str:
        """Send a signal, unless it is 0 or was sent before, and wait for the end. Returns what the program has printed."""
        if number and not sent:
            self.process.send_signal(number)
        status = self.process.wait(PROGRAM_WATCHDOG)
        self._output.seek(0)
        said = self._output.read().decode()
        assert status in (0, -number), said  # twistd ends by the signal itself
        return str(said)

    def said(self) -> str:
        """Return what the program has printed so far."""
        return os.pread(self._output.fileno(), 1 << 20, 0).decode()

    def await_line(self, text: str) -> None:
        """Wait until the program has printed a text. Fails at once if it ends without it."""
        until(lambda: text in self.said() or self.process.poll() is not None, f"it says {text}", PROGRAM_WATCHDOG)
        assert text in self.said(), f"It has ended with {self.process.returncode} and never said {text}: {self.said()}"


@contextmanager
def running(*options: str, python: str = sys.executable, **variables: str) -> Iterator[Program]:
    """Run Python with these options, and with ``variables`` in its environment."""
    with tempfile.TemporaryFile() as output:
        command = [python, "-W", "ignore", *options]
        environment = {**os.environ, "PYTHONUNBUFFERED": "1", **variables}
        with subprocess.Popen(
            command, stdout=output, stderr=subprocess.STDOUT, env=environment, preexec_fn=usual_dispositions
        ) as process:
            try:
                yield Program(process, output)
            finally:
                process.kill()
