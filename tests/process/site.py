"""A site with several processes under a real serve command, whose application the tests change and break."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import re
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.server.commands import Command, arguments, get
from tests.waiting import until

APPLICATION = """\
import ctypes, os, subprocess, sys, time
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent

exec((HERE / "boot.py").read_text())


def wait_for(name):
    while not (HERE / name).exists():
        time.sleep(0.005)


KEPT = []


def stand_still(seconds):
    ctypes.PyDLL(None).sleep(seconds)  # PyDLL keeps the lock of the interpreter


def app(environ, start_response):
    path = environ["PATH_INFO"]
    if path in globals().get("ROUTES", {}):
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [ROUTES[path](environ).encode()]
    if path.startswith("/held"):
        (HERE / (path[1:] + "-began")).touch()
        wait_for("gate")
    if path == "/descriptors":
        code = "import os; print(*sorted(int(n) for n in os.listdir('/proc/self/fd'))[:-1])"
        words = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, close_fds=False).stdout
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [words]
    if path == "/hang":
        (HERE / "hang-began").touch()
        time.sleep(600)
    if path == "/stuck":
        (HERE / "stuck-began").touch()
        stand_still(600)
    if path == "/pause":
        stand_still(7)
    if path == "/grow":
        KEPT.append(b"x" * 200_000_000)
    text = f"{os.getpid()} {os.getppid()} {VERSION} {environ['wsgi.multiprocess']}"
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [text.encode()]


def make_app(global_conf, **local_conf):
    return app
"""

INI = """\
[server:main]
use = egg:pastepool#http
{options}

[app:main]
paste.app_factory = several:make_app
"""

SERVES = re.compile(r"worker process (\d+) \(pid (\d+), generation (\d+)\) serves")


class Site(Command):
    """
    A serve command with ``processes``. ``full``: its standard error takes no byte. ``boots``: what the application runs
    when it is imported. Its ``ROUTES`` are functions that make the text of an answer from the environ, by their path.
    ``sections``: what else ``configure`` writes into the file.
    """

    def __init__(
        self,
        folder: Path,
        command: str = "paster",
        words: tuple[str, ...] = (),
        full: bool = False,
        boots: str = "",
        **options: object,
    ) -> None:
        self.folder = folder
        self.sections = ""
        (folder / "several.py").write_text(APPLICATION)
        self.boot(f"VERSION = 1\n{boots}")
        self.configure(**{"processes": 2, "threadpool_workers": 2, **options})
        line = self.words(command, words)
        super().__init__(
            ["sh", "-c", 'exec "$@" 2>/dev/full', "sh", *line] if full else line,
            folder,
            PYTHONPATH=str(folder),
            PYTHONDONTWRITEBYTECODE="1",
        )

    def words(self, command: str, words: tuple[str, ...]) -> list[str]:
        """The command line."""
        return arguments(command, self.folder / "site.ini", *words)

    def configure(self, **options: object) -> None:
        """Write the INI file, for the next start or reload."""
        address = {} if "listen" in options else {"port": 0}
        options = {**address, "threadpool_spawn_if_under": 2, **options}
        lines = [f"{name} = {value}".replace("\n", "\n    ") for name, value in options.items()]
        text = "\n".join(lines)
        (self.folder / "site.ini").write_text(INI.format(options=text) + self.sections)

    def boot(self, source: str) -> None:
        """Set the source that the application runs when it is imported."""
        fresh = self.folder / "boot.fresh"
        fresh.write_text(source)
        fresh.replace(self.folder / "boot.py")

    def serving(self, generation: int = 1, workers: int = 2) -> dict[int, int]:
        """Wait until so many workers of a generation serve. Returns their pids by slot."""
        while len(found := self.workers(generation)) < workers:
            self.read_until(SERVES)
        return found

    def workers(self, generation: int = 1) -> dict[int, int]:
        """The pid of the newest worker of a generation in each slot, as far as the output has been read."""
        return {int(slot): int(pid) for slot, pid, number in SERVES.findall(self.said) if int(number) == generation}

    @property
    def at(self) -> int:
        """The port."""
        found = re.search(r"http://127\.0\.0\.1:(\d+)", self.said)
        return int(found[1]) if found else self.port()

    @property
    def pid(self) -> int:
        """The pid of the parent."""
        found = re.search(r"parent pid (\d+)", self.said)
        assert found, self.said
        return int(found[1])

    @property
    def desk_at(self) -> int:
        """The port of ``admin_listen``."""
        found = re.search(r"threads of all processes are shown on http://127\.0\.0\.1:(\d+)", self.said)
        assert found, self.said
        return int(found[1])

    def state(self) -> dict[str, Any]:
        """What the desk shows."""
        status, body = get(self.desk_at, "/api/v1/state")
        assert status == 200, body
        return dict(json.loads(body))

    def desks(self) -> list[int]:
        """The pids of the desks: one, and two for a moment while one is replaced."""
        return [pid for pid in children_of(self.pid) if is_desk(pid)]

    def desk(self) -> int:
        """Wait until there is one desk. Returns its pid."""
        until(lambda: len(self.desks()) == 1, "one desk")
        return self.desks()[0]

    def answer(self, path: str = "/") -> tuple[int, int, str]:
        """Ask once on a new connection: the pid of the worker, that of its parent, and the version."""
        status, body = get(self.at, path)
        assert status == 200, body
        pid, parent, version, multiprocess = body.decode().split()
        assert multiprocess == "True"
        return int(pid), int(parent), version

    def text(self, path: str) -> str:
        """Ask once, and return the body."""
        return get(self.at, path)[1].decode().strip()

    def answered_by_all(self, pids: set[int]) -> None:
        """Wait until each of these workers has answered: which one accepts is a matter of chance."""
        seen: set[int] = set()

        def all_seen() -> bool:
            seen.add(self.answer()[0])
            return pids <= seen

        until(all_seen, f"answers of {pids}")

    def hold(self, name: str) -> None:
        """Wait until a request has reached the application and waits at the gate."""
        until((self.folder / f"{name}-began").exists, f"{name} runs")

    def open_gate(self) -> None:
        """Let all held requests go on."""
        (self.folder / "gate").touch()

    def hup(self) -> None:
        """Ask the parent for a reload."""
        os.kill(self.pid, signal.SIGHUP)

    def await_line(self, pattern: str) -> re.Match[str]:
        """Wait for a line of the output that has not been read yet."""
        return self.read_until(re.compile(pattern))


def stand_still(pid: int) -> None:
    """Stop a process as a stuck interpreter would be, and wait until none of its threads runs."""
    os.kill(pid, signal.SIGSTOP)
    threads = Path(f"/proc/{pid}/task")
    until(lambda: all(state_of(thread) == "T" for thread in threads.iterdir()), "the process stands still")


def state_of(thread: Path) -> str:
    """The letter that the kernel shows for what a thread does."""
    return (thread / "stat").read_text().rpartition(")")[2].split()[0]


def children_of(pid: int) -> list[int]:
    """The pids of the children of a process."""
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def is_desk(pid: int) -> bool:
    """Whether a process is named as the desk of a server, with ``setproctitle`` or without."""
    try:
        names = Path(f"/proc/{pid}/comm").read_text() + Path(f"/proc/{pid}/cmdline").read_text()
    except OSError:
        return False
    return " desk" in names


def workers_of(pid: int) -> list[int]:
    """The pids of the worker processes of a parent: all of its children but the desk."""
    return [child for child in children_of(pid) if not is_desk(child)]


@contextlib.contextmanager
def ending(site: Site) -> Iterator[Site]:
    """Run a site, and see that it ends in order when told to."""
    with site:
        yield site
        assert site.end() == 0, site.said


def in_background(port: int, path: str) -> threading.Thread:
    """Ask in another thread, whatever becomes of it."""

    def ask() -> None:
        try:
            get(port, path)
        except (OSError, http.client.HTTPException):
            pass

    thread = threading.Thread(target=ask)
    thread.start()
    return thread


def sockets_of(pid: int) -> set[str]:
    """The sockets that a process has open, as ``socket:[inode]``. What it closes meanwhile is left out."""
    found = set()
    for name in os.listdir(f"/proc/{pid}/fd"):
        with contextlib.suppress(FileNotFoundError):
            found.add(os.readlink(f"/proc/{pid}/fd/{name}"))
    return {link for link in found if link.startswith("socket:")}
