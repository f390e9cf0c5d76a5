"""Where a server with several processes may be started, who is told what, and the command that asks it."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterable
from http.client import HTTPException
from pathlib import Path

import pytest

from pastepool.entrypoints import http
from pastepool.errors import StartError
from tests.process.site import Site, ending, stand_still
from tests.server.commands import ROOT, Command, alive, environment, get, run
from tests.server.commands import arguments as words_of
from tests.server.programs import is_free
from tests.waiting import PROGRAM_WATCHDOG, until

MAIN_ONLY = (
    r"processes is set, but the server runs in the thread .*, not in the main thread; delete processes, or start"
)


def app(environ, start_response):  # type: ignore[no-untyped-def]
    """Never called."""


def test_daemon_is_stopped_by_the_command(tmp_path: Path) -> None:
    """The pid file names the parent; ``stop`` ends all."""
    port = _free_port()
    (tmp_path / "site.ini").write_text(DEMO.format(port=port))
    done = run(words_of("paster", tmp_path / "site.ini", "--daemon", "--pid-file=site.pid"), tmp_path)
    assert done.returncode == 0, done.stdout
    until(lambda: _answers(port), "the daemon serves")
    parent = int((tmp_path / "site.pid").read_text())
    workers = [int(pid) for pid in _children(parent)]
    assert workers
    stopped = run(words_of("paster", tmp_path / "site.ini", "--pid-file=site.pid", "stop"), tmp_path)
    assert stopped.returncode == 0, stopped.stdout
    until(lambda: not any(map(alive, [parent, *workers])), "all have ended")
    assert is_free(port)


def test_monitor_starts_it_again_when_the_parent_is_killed(tmp_path: Path) -> None:
    """The new parent takes the port although workers of the old one may still finish."""
    port = _free_port()
    with Site(tmp_path, words=("--monitor-restart",), port=port) as site:
        site.serving()
        first = site.pid
        os.kill(first, signal.SIGKILL)
        until(lambda: _serving_parent(port) not in (0, first), "another parent serves")


@pytest.mark.parametrize("command", ["paster", "pserve"])
def test_reloader_gets_one_process(command: str, tmp_path: Path) -> None:
    """One line says so."""
    with Site(tmp_path, command, words=("--reload",)) as site:
        body = get(site.at)[1].split()
        assert body[-1] == b"False"
        assert site.said.count("processes has no effect under --reload") == 1


def test_server_in_a_thread_is_refused() -> None:
    """Without ``processes`` it works there."""
    raised: list[BaseException] = []

    def serve() -> None:
        try:
            http({}, port="0", processes="2")(app)
        except StartError as error:
            raised.append(error)

    thread = threading.Thread(target=serve, name="host")
    thread.start()
    thread.join()
    assert re.match(MAIN_ONLY, str(raised[0]))


def test_server_beside_threads_is_refused() -> None:
    """The sentence names them: after a fork their locks would stay held for ever."""
    gate = threading.Event()
    thread = threading.Thread(target=gate.wait, name="metrics")
    thread.start()
    try:
        with pytest.raises(StartError, match=r"other threads run already \(.*metrics"):
            http({}, port="0", processes="2")(app)
    finally:
        gate.set()
        thread.join()


def test_system_without_fork_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Windows."""
    monkeypatch.delattr(os, "fork")
    with pytest.raises(StartError, match="processes is set, but this system has no fork"):
        http({}, port="0", processes="2")(app)


def test_program_serves_with_several_processes(tmp_path: Path) -> None:
    """It has loaded its application itself; the program goes on in the parent, and nowhere else."""
    (tmp_path / "program.py").write_text(PROGRAM.format(root=str(ROOT)))
    with Command([sys.executable, "program.py"], tmp_path) as program:
        port = program.port()
        seen: set[int] = set()

        def both() -> bool:
            seen.add(int(get(port)[1]))
            return len(seen) == 2

        until(both, "two processes answer")
        assert program.process.pid not in seen
        assert program.end() == 0
        assert program.said.count("the program goes on") == 1


def test_program_of_pid_1_reaps_strangers(tmp_path: Path) -> None:
    """In a container the parent is the first process. SIGTERM ends it."""
    unshare = ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc"]
    if subprocess.run([*unshare, "true"], capture_output=True, check=False).returncode:
        pytest.skip("this machine lets us make no PID namespace")
    (tmp_path / "program.py").write_text(PROGRAM.format(root=str(ROOT)))
    with Command([*unshare, sys.executable, "program.py"], tmp_path) as program:
        port = program.port()
        assert program.read_until(re.compile(r"parent pid (\d+)"))[1] == "1"
        get(port, "/orphan")
        zombies = r"zombies: (\d+)"
        until(lambda: re.search(zombies, get(port, "/zombies")[1].decode())[1] == "0", "the orphan is reaped")  # type: ignore[index]
        inner = [int(word) for word in _children(program.process.pid)]
        os.kill(inner[0], signal.SIGTERM)
        program.wait()
        assert "pastepool.parent] SIGTERM" in program.said


def test_service_manager_is_told(tmp_path: Path, folder: Path, notified: socket.socket) -> None:
    """Ready after the first worker, signs of life, reloads with their end, the status, and the stop."""

    def said(word: str) -> str:
        while word not in (text := notified.recv(4096).decode()):
            pass
        return text

    variables = {"NOTIFY_SOCKET": f"{folder}/notify", "WATCHDOG_USEC": "1000000"}
    with _with_variables(variables), Site(tmp_path) as site:
        said("READY=1")
        site.serving()
        said("STATUS=generation 1, 2 of 2 workers ready")
        said("WATCHDOG=1")
        site.hup()
        assert "MONOTONIC_USEC=" in said("RELOADING=1")
        said("READY=1")
        site.boot("raise RuntimeError('broken')")
        site.hup()
        said("RELOADING=1")
        said("READY=1")
        said("the reload to generation 3 failed")
        os.kill(site.pid, signal.SIGTERM)
        said("STOPPING=1")
        assert site.wait() == 0


def test_service_manager_hears_nothing_when_all_workers_stand_still(
    tmp_path: Path, folder: Path, notified: socket.socket
) -> None:
    """One that stands still is covered by the other. When both do, no sign of life is given any more."""

    def beats() -> bool:
        """Whether a sign of life comes within three periods from now."""
        unread()
        deadline = time.monotonic() + 3
        while (left := deadline - time.monotonic()) > 0:
            notified.settimeout(left)
            try:
                if "WATCHDOG=1" in notified.recv(4096).decode():
                    return True
            except TimeoutError:
                pass
        return False

    def unread() -> None:
        """Read all that was sent by now."""
        notified.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            while notified.recv(4096):
                pass

    variables = {"NOTIFY_SOCKET": f"{folder}/notify", "WATCHDOG_USEC": "1000000"}
    with _with_variables(variables), Site(tmp_path, deadlock_timeout=0) as site:
        workers = list(site.serving().values())
        stand_still(workers[0])
        assert beats()
        stand_still(workers[1])
        until(lambda: not beats(), "no sign of life", PROGRAM_WATCHDOG)
        os.kill(workers[0], signal.SIGCONT)
        assert beats()
        os.kill(workers[1], signal.SIGCONT)
        assert site.end() == 0, site.said


def test_command_waits_for_the_reload_and_tells_how_it_ended(tmp_path: Path) -> None:
    """Status 0 with the new generation, 1 with the error's text; ``status`` shows the workers; ``stop`` ends all."""
    with Site(tmp_path) as site:
        workers = site.serving()
        shown = pastepool(tmp_path, "status", "site.ini")
        assert shown.returncode == 0
        assert all(str(pid) in shown.stdout for pid in workers.values())
        done = pastepool(tmp_path, "reload", "site.ini")
        assert (done.returncode, done.stdout) == (0, "generation 2 serves\n")
        site.boot("raise RuntimeError('broken on purpose')")
        failed = pastepool(tmp_path, "reload", "site.ini")
        assert failed.returncode == 1
        assert "RuntimeError: broken on purpose" in failed.stderr
        site.configure(processes="many")
        refused = pastepool(tmp_path, "reload", "site.ini")
        assert (refused.returncode, "processes = 'many'" in refused.stderr) == (1, True)
        assert "last failure: " in pastepool(tmp_path, "status", "site.ini").stdout
        assert pastepool(tmp_path, "stop", "site.ini").returncode == 0
        assert site.wait() == 0
        gone = pastepool(tmp_path, "reload", "site.ini", "--server-name", "other")
        assert gone.returncode == 1
        assert "No server with processes runs for site.ini [server:other]" in gone.stderr


def test_processes_have_names(tmp_path: Path) -> None:
    """The kernel's short names without setproctitle; the title of the whole command line with it."""
    titles = importlib.util.find_spec("setproctitle") is not None
    with ending(Site(tmp_path, display_name="shop")) as site:
        workers = site.serving()
        shown = _titles(workers.values()) if titles else _short_names(workers.values())
        expected = "pastepool: shop worker {} gen 1 ready" if titles else "pastepool {} g1"
        assert shown == [expected.format(slot) for slot in workers]
        assert ["pastepool: shop parent" if titles else "pastepool main"] == (
            _titles([site.pid]) if titles else _short_names([site.pid])
        )


TITLES = """\
import os
from pathlib import Path


def setproctitle(title):
    with open(Path(__file__).parent / f"titles-{os.getpid()}", "a") as file:
        file.write(title + "\\n")
"""


def test_titles_are_set_where_the_package_is_there(tmp_path: Path) -> None:
    """Of each process, with its state; the package itself is a stand-in here, which writes them to files."""
    (tmp_path / "setproctitle.py").write_text(TITLES)
    with ending(Site(tmp_path, preload="true")) as site:
        workers = site.serving()

        def titles() -> dict[int, str]:
            return {int(path.name[7:]): path.read_text().splitlines()[-1] for path in tmp_path.glob("titles-*")}

        until(lambda: len(titles()) == 5, "parent, desk, mold and two workers have names")
        middle, found = "pastepool: site.ini main", titles()
        assert found.pop(site.pid) == f"{middle} parent"
        for slot, pid in workers.items():
            assert found.pop(pid) == f"{middle} worker {slot} gen 1 ready"
        assert sorted(found.values()) == [f"{middle} desk", f"{middle} mold gen 1"]


def _titles(pids: Iterable[int]) -> list[str]:
    return [Path(f"/proc/{pid}/cmdline").read_text().strip("\0 ") for pid in pids]


def _short_names(pids: Iterable[int]) -> list[str]:
    return [Path(f"/proc/{pid}/comm").read_text().strip() for pid in pids]


DEMO = """\
[server:main]
use = egg:pastepool#http
port = {port}
processes = 2

[app:main]
use = egg:pastepool#demo
"""

PROGRAM = """\
import logging, os, subprocess, sys
sys.path.insert(0, {root!r})
from pastepool.entrypoints import http


def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    if environ["PATH_INFO"] == "/orphan":
        subprocess.run(["sh", "-c", "true & exit 0"])
    if environ["PATH_INFO"] == "/zombies":
        states = []
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                states.append(open(f"/proc/{{pid}}/stat").read().rpartition(")")[2].split()[0])
            except OSError:
                pass  # it has just been reaped
        return [f"zombies: {{states.count('Z')}}".encode()]
    return [str(os.getpid()).encode()]


http({{}}, port="0", processes="2")(app)
sys.stdout.write("the program goes on\\n")
sys.stdout.flush()
"""


def pastepool(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run the command ``pastepool`` to its end."""
    return subprocess.run(
        [sys.executable, "-m", "pastepool", *words],
        cwd=folder,
        env=environment(PYTHONPATH=str(ROOT)),
        capture_output=True,
        text=True,
        timeout=2 * PROGRAM_WATCHDOG,
        check=False,
    )


def _serving_parent(port: int) -> int:
    """Return the parent of the process that answers; 0 if none does: one that ends may take the connection and no more."""
    try:
        status, body = get(port)
        return int(body.split()[1]) if status == 200 else 0
    except (OSError, HTTPException):
        return 0


def _answers(port: int) -> bool:
    try:
        return get(port)[0] == 200
    except (OSError, HTTPException):
        return False


def _free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def _children(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/task/{pid}/children").read_text().split()


class _with_variables:
    """Variables of the environment, for a while."""

    def __init__(self, variables: dict[str, str]) -> None:
        self._patch = pytest.MonkeyPatch()
        self._variables = variables

    def __enter__(self) -> None:
        for name, value in self._variables.items():
            self._patch.setenv(name, value)

    def __exit__(self, *ignored: object) -> None:
        self._patch.undo()
