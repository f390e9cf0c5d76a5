"""Several processes on sockets that systemd passes."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.server.commands import ROOT, alive
from tests.server.passing import start_with
from tests.server.serving import Client
from tests.server.test_unix_sockets import UnixClient
from tests.waiting import PROGRAM_WATCHDOG, until

PROGRAM = """\
import os, subprocess, sys
sys.path.insert(0, {root!r})
os.environ["LISTEN_PID"] = {pid}
from pastepool.entrypoints import http


def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    code = "import os; print(*[name for name in os.environ if 'LISTEN' in name], sorted(os.listdir('/proc/self/fd')))"
    child = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, close_fds=False)
    return [child.stdout.encode()]


http({{}}, processes="2", listen={listen!r})(app)
"""
NOTHING = re.compile(rb"\['0', '1', '2', '3'\]\n")
"""No variable, and no descriptor but the usual ones and that of the folder which is listed."""


@contextmanager
def activated(listen: str, passed: list[socket.socket], names: str, pid: str = "str(os.getpid())") -> Iterator[Program]:
    """Run the program with sockets."""
    process = start_with(PROGRAM.format(root=str(ROOT), pid=pid, listen=listen), passed, names)
    program = Program(process)
    try:
        yield program
    finally:
        process.terminate()
        program.said += process.communicate(timeout=PROGRAM_WATCHDOG)[0]
    assert process.returncode == 0, program.said


class Program:
    """The program; ``said``: its output as far as it was read."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.said = ""

    def serving(self, generation: int) -> set[int]:
        """Wait until both workers of a generation serve; return their pids."""
        found: set[int] = set()
        assert self.process.stdout is not None
        while len(found) < 2:
            line = self.process.stdout.readline()
            assert line, self.said
            self.said += line
            found |= {int(pid) for pid in re.findall(rf"\(pid (\d+), generation {generation}\) serves", line)}
        return found


def test_passed_sockets_are_served_by_all_and_survive_a_reload(folder: Path) -> None:
    """A client that came before the start is answered; no child process sees the variables or the sockets."""
    with socket.create_server(("127.0.0.1", 0)) as tcp, socket.socket(socket.AF_UNIX) as unix:
        unix.bind(f"{folder}/s")
        unix.listen()
        early = Client(tcp.getsockname()[1])
        early.ask()
        with activated("systemd:shop\nsystemd:local", [tcp, unix], "shop:local") as program, early:
            old = program.serving(1)
            assert NOTHING.fullmatch(early.response().body)
            os.kill(program.process.pid, signal.SIGHUP)
            program.serving(2)
            until(lambda: not any(map(alive, old)), "the old workers have ended")
            with Client(tcp.getsockname()[1]) as client, UnixClient(f"{folder}/s") as local:
                assert NOTHING.fullmatch(client.get().body)
                assert local.get().status == 200
    assert (folder / "s").exists(), "a socket that systemd made is not removed"


def test_sockets_of_another_process_are_left_out(folder: Path) -> None:
    """No other port is opened in their place; what else is in ``listen`` is served."""
    with socket.create_server(("127.0.0.1", 0)) as tcp:
        with activated(f"unix:{folder}/s systemd:shop", [tcp], "shop", pid="'1'") as program:
            program.serving(1)
            with UnixClient(f"{folder}/s") as client:
                assert client.get().status == 200
        assert re.findall(r"serving on (.*)", program.said) == [f"unix:{folder}/s"]
        assert "systemd:shop is left out: systemd passed its sockets to process 1" in program.said
