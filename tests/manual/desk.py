"""Do what a page of the manual says: type its commands in terminals of a fresh environment, and compare the output."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

from tests.manual.blocks import Saved, Seen, Step, Typed
from tests.manual.output import constant, find, is_whole, lines_of
from tests.meta.repository import ROOT
from tests.waiting import PROGRAM_WATCHDOG, until

SERVES = re.compile(r"(^|/| )(paster serve|make serve|pserve|gearbox serve) ?")
"""A command that goes on until it is stopped. The reader leaves it in its terminal and goes on in another one."""

TAKES_LONG = re.compile(r"/hanging|/slow")
"""A command that waits for a long request. The reader leaves it in its terminal too."""

INTERRUPT = "^C"
"""What a terminal shows when the reader presses Ctrl-C."""

SHOWN_PORT = "8080"
"""The port of the server on the pages."""

READER_PAUSES = 1.0
"""How many seconds the reader waits after a request was sent, before pressing Ctrl-C. The request takes five."""

SHOWN_FOLDER = "/srv"
"""The folder in which the pages say that the reader works."""

INSTALLING = 8 * PROGRAM_WATCHDOG
"""How many seconds a command may take that installs packages."""

_KEPT = ("PATH", "LANG", "LC_ALL", "TMPDIR", "SSL_CERT_FILE", "SSL_CERT_DIR", "PYTHONDONTWRITEBYTECODE")


def fresh_environment(home: Path) -> dict[str, str]:
    """
    Return the environment of a user who has nothing: an empty HOME, and no virtual environment on PATH.

    ``python3`` is the interpreter of the tests, without their virtual environment. What says where pip finds packages
    stays as it is. pip takes the versions of ``constraints.txt``, so that a new release of a dependency fails no test.
    """
    proxies = {key: value for key, value in os.environ.items() if key.lower().endswith("_proxy")}
    pip = {key: value for key, value in os.environ.items() if key.startswith("PIP_")}
    pip["PIP_CONSTRAINT"] = (ROOT / "constraints.txt").as_uri()
    kept = {key: os.environ[key] for key in _KEPT if key in os.environ}
    base = Path(sys.base_prefix) / "bin"
    own = Path(sys.prefix) / "bin"
    rest = [folder for folder in kept["PATH"].split(os.pathsep) if Path(folder) != own]
    home.mkdir()
    return {**proxies, **pip, **kept, "HOME": str(home), "PATH": os.pathsep.join([str(base), *rest])}


def clone(folder: Path) -> None:
    """Copy what git would put into a clone of this tree, with the changes that are not committed yet."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    for name in filter(None, listed.stdout.split("\0")):
        source, target = ROOT / name, folder / name
        if source.is_file():
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(source.read_bytes())
            target.chmod(source.stat().st_mode)


def free_ports(count: int) -> list[int]:
    """Return so many ports that no process listens on."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


def connections_to(port: int) -> int:
    """Return how many connections of this machine's programs to a port of 127.0.0.1 are open."""
    rows = [line.split() for line in Path("/proc/net/tcp").read_text(encoding="ascii").splitlines()[1:]]
    return sum(row[2] == f"0100007F:{port:04X}" and row[3] == "01" for row in rows)


class Terminal:
    """A command that runs in a terminal of its own. ``shown``: what the page shows below it."""

    def __init__(self, typed: Typed, folder: Path, environ: dict[str, str], transcript: Path) -> None:
        self.command = typed.command
        self.shown = typed.shown
        self._transcript = transcript
        with transcript.open("wb") as file:
            self.process = subprocess.Popen(
                ["bash", "-c", typed.command],
                cwd=folder,
                env=environ,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def said(self) -> str:
        return self._transcript.read_text(encoding="utf-8", errors="replace")

    def stop(self) -> None:
        """Press Ctrl-C, and wait for the end. Every process of the terminal gets SIGINT."""
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGINT)
        self.process.wait(PROGRAM_WATCHDOG)

    def close(self) -> None:
        """End every process of the terminal that is left."""
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.process.wait(PROGRAM_WATCHDOG)


class Desk:
    """
    A reader with terminals, who does what a page says, step by step.

    As a context manager it ends, at its end, every command that still runs. ``folder``: where the reader works; the
    pages call it /srv. ``ports``: the ports that stand in the place of those of the pages, by port of the page. A
    difference between a page and the real output is an AssertionError with both.
    """

    def __init__(self, folder: Path, ports: dict[str, str]) -> None:
        self._folder = folder.resolve()
        self._ports = ports
        self._environ = fresh_environment(self._folder / "home")
        self._terminals: list[Terminal] = []
        self._server: Terminal | None = None
        self._read = 0
        self._unfinished: list[Terminal] = []

    def __enter__(self) -> Desk:
        return self

    def __exit__(self, *ignored: object) -> None:
        for terminal in self._terminals:
            terminal.close()

    def work_in(self, name: str) -> Path:
        """Go to a folder, and make it if it is not there."""
        self.at = self._folder / name
        self.at.mkdir(exist_ok=True)
        return self.at

    def with_ports(self, text: str) -> str:
        """Return a text of a page with our ports."""
        for shown, real in self._ports.items():
            text = re.sub(rf"\b{shown}\b", real, text)
        return text

    def do(self, step: Step) -> None:
        """Do one step. Raises: AssertionError: the command says something else than the page."""
        if isinstance(step, Saved):
            (self.at / step.name).write_text(self.with_ports(step.content), encoding="utf-8")
        elif isinstance(step, Seen):
            self._see(list(step.shown))
        else:
            self._type(Typed(self.with_ports(step.command), [self.with_ports(line) for line in step.shown]))

    def finish(self) -> None:
        """Wait for the commands that were left in a terminal, then stop the server with Ctrl-C."""
        for terminal in self._unfinished:
            self._compare_whole(terminal)
        self._unfinished.clear()
        if self._server is not None:
            self._server.stop()
        self._server = None

    def _open(self, typed: Typed) -> Terminal:
        number = len(self._terminals)
        terminal = Terminal(typed, self.at, self._environ, self._folder / f"terminal-{number}")
        self._terminals.append(terminal)
        return terminal

    def _type(self, typed: Typed) -> None:
        if moved := re.fullmatch(r"cd (\S+)", typed.command):
            self.work_in(str(self.at / moved[1]))
        elif SERVES.search(typed.command):
            self.finish()
            self._server, self._read = self._open(typed), 0
            self._see(typed.shown)
        elif TAKES_LONG.search(typed.command):
            self._unfinished.append(self._open(typed))
        else:
            self._compare_whole(self._open(typed))

    def _said(self, terminal: Terminal) -> list[str]:
        return lines_of(terminal.said().replace(str(self._folder), SHOWN_FOLDER))

    def _see(self, shown: list[str]) -> None:
        """Wait until the server has said the shown lines. A line with Ctrl-C stands for what the reader does there."""
        server = self._server
        assert server is not None, f"no server runs that could say {shown}"
        if INTERRUPT in shown:
            self._wait_for_calls()
            server.stop()
            assert server.process.returncode == 0, server.said()
            self.finish()
            shown = [line for line in shown if line != INTERRUPT]
        ended = False
        while (end := find(shown, self._said(server), self._read)) is None:
            assert not ended, f"{server.command}\nshown: {shown}\nsaid:\n{server.said()}"
            ended = not self._says_more(server)
        self._read = end

    def _says_more(self, server: Terminal) -> bool:
        """Wait until the server says more. Returns whether it did; otherwise it has ended, or says nothing for long."""
        before = server.said()
        with contextlib.suppress(AssertionError):
            until(lambda: server.said() != before or server.process.poll() is not None, "it says more", INSTALLING)
        return server.said() != before and server.process.poll() is None

    def _wait_for_calls(self) -> None:
        """Wait until the commands that were left in a terminal are connected, and have had time to send a request."""
        port = int(self._ports[SHOWN_PORT])
        until(lambda: connections_to(port) >= len(self._unfinished), "the commands are connected", PROGRAM_WATCHDOG)
        for terminal in self._unfinished:
            with contextlib.suppress(subprocess.TimeoutExpired):
                terminal.process.wait(READER_PAUSES)

    def _compare_whole(self, terminal: Terminal) -> None:
        began = time.monotonic()
        status = terminal.process.wait(INSTALLING)
        said = self._said(terminal)
        shown = [constant(line) for line in terminal.shown]
        took = time.monotonic() - began
        assert is_whole(shown, said), f"{terminal.command} ({took:.1f} s)\nshown: {shown}\nsaid:  {said}"
        assert status == 0, f"{terminal.command}: status {status}\n{terminal.said()}"
