"""Run the real serve commands as subprocesses: start one, wait for a line of its output, send it requests, end it."""

from __future__ import annotations

import http.client
import os
import re
import resource
import select
import shutil
import signal
import subprocess
import sysconfig
import time
from collections.abc import Callable
from pathlib import Path

from tests.dispositions import usual_dispositions
from tests.waiting import PROGRAM_WATCHDOG

ROOT = Path(__file__).parent.parent.parent
SCRIPTS = Path(sysconfig.get_path("scripts"))

ADDRESS = re.compile(r"http://127\.0\.0\.1:(\d+)")
SERVE = {
    "paster": ("paster", "serve", "{ini}"),
    "pserve": ("pserve", "{ini}"),
    "gearbox": ("gearbox", "serve", "-c", "{ini}"),
}


def configuration(name: str, folder: Path) -> Path:
    """Copy one of the repository's INI files to a folder, and return the path of the copy."""
    return Path(shutil.copy(ROOT / name, folder))


def arguments(command: str, ini: Path, *more: str) -> list[str]:
    """Return the words of the command line that serves ``ini``. Options come before the file, other words after it."""
    program, *rest = SERVE[command]
    words = [word.format(ini=ini.name) for word in rest]
    options = [word for word in more if word.startswith("-")]
    at = 1 if words[0] == "serve" else 0
    return [str(SCRIPTS / program), *words[:at], *options, *words[at:], *(word for word in more if word not in options)]


def few_descriptors() -> None:
    """
    Lower the limit of descriptors. Runs in the child process.

    ``paster --daemon`` closes every possible descriptor one by one, and the limit may be as high as 1,000,000,000.
    """
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, 256))


def environment(**variables: str) -> dict[str, str]:
    """Return this process's environment plus ``variables``, without what changes how Python or paster starts."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "PASTE", "COV"))}
    return {**kept, "PYTHONWARNINGS": "ignore", "PYTHONUNBUFFERED": "1", **variables}


def run(words: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a command to its end. Its output goes to a file, because a daemon that it starts would keep a pipe open."""
    with (folder / "said").open("w+") as said:
        done = subprocess.run(
            words,
            cwd=folder,
            env=environment(),
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=subprocess.STDOUT,
            timeout=2 * PROGRAM_WATCHDOG,
            preexec_fn=few_descriptors,
            check=False,
        )
        said.seek(0)
        return subprocess.CompletedProcess(words, done.returncode, said.read())


def get(port: int, path: str = "/") -> tuple[int, bytes]:
    """Send a GET to the server, and return the status and the body."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PROGRAM_WATCHDOG)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


def alive(pid: int) -> bool:
    """Return whether there is such a process and it still runs."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


class Command:
    """
    A serve command that runs. ``said``: its output so far. At the end it kills every process of its session.

    ``few_descriptors``: whether it may have only a few.
    """

    few_descriptors = True

    def __init__(self, words: list[str], folder: Path, **variables: str) -> None:
        self.said = ""
        self._unread = ""
        self.process = subprocess.Popen(
            words,
            cwd=folder,
            env=environment(**variables),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=self._arrange,
        )

    def _arrange(self) -> None:
        usual_dispositions()
        if self.few_descriptors:
            few_descriptors()

    def __enter__(self) -> Command:
        return self

    def __exit__(self, *ignored: object) -> None:
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.process.wait(PROGRAM_WATCHDOG)
        assert self.process.stdout is not None
        self.process.stdout.close()

    def read_until(self, pattern: re.Pattern[str], again: Callable[[], object] | None = None) -> re.Match[str]:
        """
        Read more output, up to the first line that matches, and return the match.

        ``again``: called about ten times a second while no output comes.
        """
        deadline = time.monotonic() + PROGRAM_WATCHDOG
        while True:
            line, newline, rest = self._unread.partition("\n")
            if newline:
                self._unread = rest
                if found := pattern.search(line):
                    return found
            elif not self._read_more(min(deadline, time.monotonic() + 0.1) if again else deadline):
                if again is None or time.monotonic() >= deadline:
                    raise AssertionError(f"no line with {pattern.pattern!r} in:\n{self.said}")
                again()

    def _read_more(self, deadline: float) -> bool:
        assert self.process.stdout is not None
        descriptor = self.process.stdout.fileno()
        readable, _, _ = select.select([descriptor], [], [], max(0.0, deadline - time.monotonic()))
        data = os.read(descriptor, 65536).decode("utf-8", "replace") if readable else ""
        self.said += data
        self._unread += data
        return bool(data)

    def port(self) -> int:
        """Wait for the next line with an address, and return its port."""
        return int(self.read_until(ADDRESS)[1])

    def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Send a signal to the command, read the rest of its output, and return its exit status."""
        self.process.send_signal(number)
        return self.wait()

    def wait(self) -> int:
        """Read the rest of the output, and return the exit status."""
        deadline = time.monotonic() + PROGRAM_WATCHDOG
        while self._read_more(deadline):
            pass
        return self.process.wait(PROGRAM_WATCHDOG)
