"""Let requests hang in every known way, all in one server, and measure what happens to their clients and threads."""

from __future__ import annotations

import contextlib
import json
import sys
import threading
import time
from pathlib import Path
from typing import Any

from tests.server.programs import Program
from tests.server.serving import Client
from tests.waiting import WATCHDOG, Stopwatch, until

KILL = 0.3
LIMITS = {
    "threadpool_hung_thread_limit": 0.15,
    "threadpool_kill_thread_limit": KILL,
    "threadpool_dying_limit": 0.2,
    "threadpool_workers": 12,  # no request waits for a worker, so each client gets its 504 at the same time
    "threadpool_max_workers": 30,
}

KINDS = {
    "loop": "a Python loop",
    "sleep": "`time.sleep`",
    "recv": "`socket.recv` on a connection of its own",
    "select": "`select` on a connection of its own",
    "lock": "`Lock.acquire`",
    "queue": "`queue.get`",
    "event": "`Event.wait`",
    "sqlite": "SQLite, which waits for another writer",
    "child": "the wait for a subprocess",
    "swallow": "a loop that catches `BaseException`",
}

AT_ONCE = "at once"
WITH_THE_CALL = "when its call returns"
WITH_THE_APPLICATION = "when the application returns"

ENDS_SYSTEM_CALLS = sys.version_info >= (3, 15)
"""Whether functions of this interpreter look what is marked on their thread when a signal interrupts them."""

_SYSTEM_CALL = AT_ONCE if ENDS_SYSTEM_CALLS else WITH_THE_CALL

EXPECTED = {
    # kind: (without, with) kill_unblocks_sockets
    "loop": (AT_ONCE, AT_ONCE),
    "sleep": (_SYSTEM_CALL, _SYSTEM_CALL),
    "recv": (_SYSTEM_CALL, AT_ONCE),
    "select": (_SYSTEM_CALL, AT_ONCE),
    "lock": (WITH_THE_CALL, WITH_THE_CALL),
    "queue": (AT_ONCE, AT_ONCE),
    "event": (AT_ONCE, AT_ONCE),
    "sqlite": (WITH_THE_CALL, WITH_THE_CALL),
    "child": (_SYSTEM_CALL, _SYSTEM_CALL),
    "swallow": (WITH_THE_APPLICATION, WITH_THE_APPLICATION),
}

SLEEP = 3.0
"""
Seconds. Where nothing can wake ``time.sleep`` it must end by itself: after its worker has become a zombie.
"""

HANGS = f"""
import contextlib, json, os, queue, select, socket, sqlite3, subprocess, tempfile

mine, peer = socket.socketpair()
mine_too, peer_too = socket.socketpair()
lock = threading.Lock()
lock.acquire()
parcels = queue.Queue()
event = threading.Event()
folder = tempfile.TemporaryDirectory()
atexit.register(folder.cleanup)
file = os.path.join(folder.name, "shop.sqlite")
writer = sqlite3.connect(file, isolation_level=None, check_same_thread=False)
writer.execute("BEGIN IMMEDIATE")
child = subprocess.Popen(["sleep", "600"])
atexit.register(child.kill)
let_go = threading.Event()
threads = {{}}
began_at, zombie_at, ended_at = {{}}, {{}}, {{}}


def watch():
    while True:
        time.sleep(0.005)
        zombies = server.parts.paste_pool.track_threads()["zombie"]
        for kind, thread in list(threads.items()):
            if not thread.is_alive():
                ended_at.setdefault(kind, time.monotonic())
            elif thread in zombies:
                zombie_at.setdefault(kind, time.monotonic())


def loop():
    while not let_go.is_set():
        pass


def swallow():
    while not let_go.is_set():
        try:
            while not let_go.is_set():
                time.sleep(0.001)
        except BaseException:
            pass


def write():
    with contextlib.closing(sqlite3.connect(file, isolation_level=None, timeout=600)) as connection:
        connection.execute("BEGIN IMMEDIATE")


HANGS = {{
    "loop": loop,
    "sleep": lambda: time.sleep({SLEEP}),
    "recv": lambda: mine.recv(1),
    "select": lambda: select.select([mine_too], [], []),
    "lock": lock.acquire,
    "queue": parcels.get,
    "event": event.wait,
    "sqlite": write,
    "child": child.wait,
    "swallow": swallow,
}}


def release():
    let_go.set()
    for end in (peer, peer_too):
        with contextlib.suppress(OSError):  # kill_unblocks_sockets has shut it down
            end.send(b"x")
    lock.release()
    writer.execute("ROLLBACK")
    child.kill()


def app(environ, start_response):
    kind = environ["PATH_INFO"][1:]
    if kind in HANGS:
        began_at[kind] = time.monotonic()
        threads[kind] = threading.current_thread()
        HANGS[kind]()
    if kind == "watch":
        threading.Thread(target=watch, daemon=True).start()
    if kind == "release":
        release()
    start_response("200 OK", [("Content-Type", "application/json")])
    return [json.dumps([began_at, zombie_at, ended_at]).encode()]
"""

Instants = dict[str, float]
"""Instants by kind of hang. They are on the monotonic clock, which all processes of a machine share."""

Outcome = list[Any]
"""What happens to a thread, in words, and seconds. A list, because it comes from JSON."""


class Drill:
    """
    One server in which one request of each kind hangs, all at the same time.

    The fields are seconds by kind, measured until all requests are released. ``told_after``: from the call to the 504.
    ``zombie_after``: from the 504 until the thread was a zombie. ``ended_after``: from the 504 until the thread had
    ended. ``busy``: for how many seconds something waited for a processor (``Stopwatch``). The constructor runs the whole
    drill. It fails if a thread does not do what is expected, or does not end after its release.
    """

    def __init__(self, folder: Path, unblock: bool) -> None:
        self.expected = {kind: outcomes[unblock] for kind, outcomes in EXPECTED.items()}
        self.told_after: Instants = {}
        self.zombie_after: Instants = {}
        self.ended_after: Instants = {}
        self._told_at: Instants = {}
        watch = Stopwatch()
        options: dict[str, Any] = {**LIMITS, "kill_unblocks_sockets": "true" if unblock else "false"}
        program = Program(folder, HANGS, **options)
        with program, contextlib.ExitStack() as stack:
            self._ask(program, "/watch")
            self._hang(program, stack)
            until(lambda: self._settled(program), "each thread has ended or is a zombie, as expected")
            self.busy = watch.busy()
            self._ask(program, "/release")
            until(lambda: set(self._ask(program, "/ended")[2]) == set(KINDS), "each thread that was let go has ended")

    def _hang(self, program: Program, stack: contextlib.ExitStack) -> None:
        threads = []
        for kind in KINDS:
            client = stack.enter_context(program.client())
            threads.append(threading.Thread(target=self._await_answer, args=(kind, client)))
            threads[-1].start()
        for thread in threads:
            thread.join(2 * WATCHDOG)
        assert set(self._told_at) == set(KINDS), "not each client was told 504"

    def _await_answer(self, kind: str, client: Client) -> None:
        if client.get(f"/{kind}").status == 504:
            self._told_at[kind] = time.monotonic()

    def _settled(self, program: Program) -> bool:
        began_at, zombie_at, ended_at = self._ask(program, "/settled")
        self.told_after = {kind: at - began_at[kind] for kind, at in self._told_at.items()}
        self.zombie_after = after(self._told_at, zombie_at)
        self.ended_after = after(self._told_at, ended_at)
        return all(kind in (ended_at if outcome is AT_ONCE else zombie_at) for kind, outcome in self.expected.items())

    def _ask(self, program: Program, path: str) -> list[Instants]:
        with program.client() as client:
            found: list[Instants] = json.loads(client.get(path).body)
        return found

    def outcome(self, kind: str) -> Outcome:
        """Return what happened to the thread of one kind, and how long after the 504 it ended or became a zombie."""
        if kind in self.ended_after:
            return [AT_ONCE, round(self.ended_after[kind], 1)]
        return [self.expected[kind], round(self.zombie_after[kind], 1)]


def after(told_at: Instants, happened_at: Instants) -> dict[str, float]:
    """
    Return the seconds from the 504 to what happened to the thread, by kind.

    Never less than 0: on a busy machine a thread may have ended, or be a zombie, before its client has read the answer.
    A negative number that rounds to nothing would be written ``-0.0``.
    """
    return {kind: max(0.0, at - told_at[kind]) for kind, at in happened_at.items()}
