"""Programs of several processes that serve on one socket and see each other's room on a board in shared memory."""

from __future__ import annotations

import os
import re
import signal
import struct
import time
from pathlib import Path

from tests.server.programs import Program
from tests.waiting import until

BOARD = """
import mmap, struct

WORKERS, PROCESSES = {workers}, {processes}
with open({board!r}, "r+b") as file:
    rows = mmap.mmap(file.fileno(), 4096)
calls = mmap.mmap(-1, 65536)


class Place:
    # The place of a process among several, and what each shows: its room, when it last did so, whether it drains, how
    # many workers do nothing.

    def __init__(self, slot, listeners):
        self.slot = slot
        self.listeners = listeners
        self.siblings = self
        self.first_task = 1

    def serving(self, retire, figures):
        self.retire = retire
        say("process serves")

    def failed(self, text):
        pass

    def ending(self, figures):
        pass

    def condemned(self, why):
        self.retire(30.0)

    def row(self, slot):
        return struct.unpack_from("ddd", rows, 32 * slot)

    def others(self):
        return [self.row(slot) for slot in range(PROCESSES) if slot != self.slot]

    def note_room(self, room):
        _, _, drains = self.row(self.slot)
        struct.pack_into("ddd", rows, 32 * self.slot, room, time.monotonic(), drains)

    def have_room(self):
        return any(room > 0 and not drains and time.monotonic() < beat + 1.0 for room, beat, drains in self.others())

    def go_on(self):
        room, beat, _ = self.row(self.slot)
        struct.pack_into("ddd", rows, 32 * self.slot, room, beat, 1.0)
        return any(not drains for _, _, drains in self.others())

    def beats(self, server):
        while True:
            room, _, drains = self.row(self.slot)
            idle = server.parts.baton.follower_count + 1
            struct.pack_into("dddd", rows, 32 * self.slot, room, time.monotonic(), drains, idle)
            time.sleep(0.01)


def app(environ, start_response):
    # "/at-once/ROUND/NUMBER/COUNT" is answered when COUNT calls of its round run at the same time, anywhere.
    words = environ["PATH_INFO"].split("/")
    start_response("200 OK", [("Content-Type", "text/plain")])
    if words[1] == "at-once":
        turn, number, count = map(int, words[2:])
        calls[8 * turn + number] = 1
        until = time.monotonic() + 20
        while sum(calls[8 * turn : 8 * turn + 8]) < count:
            if time.monotonic() > until:
                return [b"alone"]
            time.sleep(0.001)
    elif words[1] == "held":
        wait_at_gate()
    return [str(os.getpid()).encode()]
"""

SERVE = """
server.bind()
say("serving on http://127.0.0.1:%d" % server.listeners[0].endpoint.port)
children = []
for slot in range(PROCESSES):
    child = os.fork()
    if not child:
        place = Place(slot, server.listeners)
        one = Server(server.settings, app, membership=place)
        threading.Thread(target=place.beats, args=(one,), daemon=True).start()
        one.serve()
        os._exit(0)
    children.append(child)
say("children " + " ".join(map(str, children)) + ".")
server._close_listeners()
for child in children:
    say("ended %d %d" % os.waitpid(child, 0))
"""


class Processes(Program):
    """Two or more server processes on one port. ``children``: their pids, in the order of their slots."""

    def __init__(self, folder: Path, processes: int = 2, workers: int = 2, **options: object) -> None:
        pool: dict[str, object] = {"threadpool_workers": workers, "threadpool_max_workers": workers}
        self._board = folder / "board"
        self._board.write_bytes(bytes(4096))
        values = {"{workers}": str(workers), "{processes}": str(processes), "{board!r}": repr(str(self._board))}
        before = BOARD
        for name, value in values.items():
            before = before.replace(name, value)
        super().__init__(folder, before, SERVE, **{**pool, **options})  # type: ignore[arg-type]
        self._count = processes
        self._workers = workers

    def start(self) -> list[int]:
        """Wait until every process serves. Returns their pids."""
        while self.said.count("process serves") < self._count or "children " not in self.said:
            self.await_line("^process serves|^children ")
        return [int(pid) for pid in re.findall(r"^children (.*)\.$", self.said, re.MULTILINE)[0].split()]

    def await_idle(self) -> None:
        """Wait until every worker of every process has come back from its last call."""
        now = time.monotonic()

        def idle() -> bool:
            board = self._board.read_bytes()
            rows = [struct.unpack_from("dddd", board, 32 * slot) for slot in range(self._count)]
            return all(beat > now and idle >= self._workers for _, beat, _, idle in rows)

        until(idle, "every worker is idle")


def stop_running(pid: int) -> None:
    """Stop a process as a stuck interpreter would be, and wait until none of its threads runs."""
    os.kill(pid, signal.SIGSTOP)
    threads = Path(f"/proc/{pid}/task")
    until(lambda: all(_state_of(thread) == "T" for thread in threads.iterdir()), "the process stands still")


def _state_of(thread: Path) -> str:
    return (thread / "stat").read_text().rpartition(")")[2].split()[0]
