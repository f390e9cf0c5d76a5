"""Programs that run a server in a process of their own, for tests of signals, of forks and of the end of a process."""

from __future__ import annotations

import os
import re
import sys
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from tests.server.commands import ADDRESS, ROOT, Command
from tests.server.serving import Client
from tests.waiting import Stopwatch

ENDS_SOON = 5.0
"""Seconds within which a process ends that has nothing to wait for; the machine may be busy."""

PROGRAM = """\
import atexit, logging, os, signal, sys, threading, time
sys.path.insert(0, {root!r})
from pastepool.server import Server
from pastepool.settings import read

logging.basicConfig(level=logging.INFO, stream=sys.stdout, format="%(levelname)s %(name)s %(message)s")
gate = {gate!r}


def say(text):
    sys.stdout.write(text + "\\n")
    sys.stdout.flush()


def wait_at_gate():
    open(gate).close()  # a FIFO: this waits until a process opens it for writing


def hang():
    lock = threading.Lock()
    lock.acquire()
    lock.acquire()  # for ever: a kill reaches no thread that waits for a bare lock


def app(environ, start_response):
    path = environ["PATH_INFO"]
    say("called " + path)
    if path.startswith("/held"):
        wait_at_gate()
    if path.startswith("/hang"):
        hang()
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [path.encode("latin-1")]


{before}
server = Server(read({options!r}, {{}}), app)
{serve}
"""


class Program(Command):
    """
    A Python program with a server in it. ``said``: its output so far.

    ``before``: source code that runs before the server is made. ``serve``: source code that runs the server. ``lower``:
    whether it may have only a few descriptors. ``interpreter``: the words before the path of the program. ``variables``:
    more of its environment. The stop waits for no idle connection unless ``idle_grace`` is among the options.
    """

    def __init__(
        self,
        folder: Path,
        before: str = "",
        serve: str = "server.serve()",
        lower: bool = True,
        interpreter: Sequence[str] = (sys.executable,),
        variables: Mapping[str, str] = MappingProxyType({}),
        **options: object,
    ) -> None:
        self.gate = folder / "gate"
        os.mkfifo(self.gate)
        source = PROGRAM.format(
            root=str(ROOT),
            gate=str(self.gate),
            before=textwrap.dedent(before),
            serve=textwrap.dedent(serve),
            options={"port": 0, "idle_grace": 0, **options},
        )
        script = folder / "program.py"
        script.write_text(source)
        self.few_descriptors = lower
        super().__init__([*interpreter, str(script)], folder, **variables)
        self._gate: int | None = None

    def __exit__(self, *ignored: object) -> None:
        super().__exit__()
        if self._gate is not None:
            os.close(self._gate)

    def address(self) -> int:
        """Wait until the server has written its address, and return the port."""
        found = ADDRESS.search(self.said) or self.read_until(ADDRESS)
        return int(found[1])

    def client(self) -> Client:
        return Client(self.address())

    def await_call(self, path: str) -> None:
        """Wait until the application has been called for a path."""
        self.read_until(re.compile(f"^called {re.escape(path)}$"))

    def await_line(self, pattern: str) -> None:
        """Wait for a line of its log."""
        self.read_until(re.compile(pattern))

    def open_gate(self) -> None:
        """Release all calls that wait at the gate. Later calls do not wait there."""
        self._gate = os.open(self.gate, os.O_RDWR)

    def ends_within(self, seconds: float) -> int:
        """Read the rest of the output and return the exit status. Fails if the end takes longer than ``seconds``."""
        watch = Stopwatch()
        status = self.wait()
        assert watch.net() < seconds, self.said
        return status

    @property
    def pid(self) -> int:
        return self.process.pid


def is_free(port: int) -> bool:
    """Return whether no process listens on a port."""
    try:
        Client(port).close()
    except ConnectionRefusedError:
        return True
    except ConnectionResetError:
        pass  # 1. the listener takes the SYN; 2. it is closed; 3. the kernel resets the connection
    return False
