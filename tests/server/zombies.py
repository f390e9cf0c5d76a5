"""Servers that end because of too many zombies: their options, with short limits, and requests that become zombies."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

from tests.server.programs import Program
from tests.server.serving import Client

ZOMBIES: dict[str, Any] = {
    "threadpool_workers": 2,
    "threadpool_hung_thread_limit": 0.1,
    "threadpool_kill_thread_limit": 0.2,
    "threadpool_dying_limit": 0.2,
    "threadpool_max_zombies_before_die": 1,
    "shutdown_timeout": 2.0,
}

HELD_FOR_EVER = """
ordinary_app = app


def app(environ, start_response):
    if environ["PATH_INFO"].startswith("/held"):
        environ["pastepool.kill_after"](0)
    return ordinary_app(environ, start_response)
"""
"""Source code for a program whose ``/held`` calls are never killed. Its ``/hang`` calls are killed."""

CRITICAL = r"CRITICAL .*end the process: 2 zombies, more than max_zombies_before_die = 1: GET /hang"


class Dying(Program):
    """A program whose process ends when two of its requests are zombies."""

    def __init__(self, folder: Path, before: str = "", **options: object) -> None:
        whole: dict[str, Any] = {**ZOMBIES, **options}
        super().__init__(folder, before, **whole)

    def hang(self, stack: contextlib.ExitStack, count: int = 2) -> list[Client]:
        """Send ``count`` requests that hang where a kill has no effect. With two of them the process will end."""
        clients = [stack.enter_context(self.client()) for _ in range(count)]
        for number, client in enumerate(clients):
            client.ask(f"/hang/{number}")
        for number in range(count):
            self.await_call(f"/hang/{number}")
        return clients

    def end_by_zombies(self) -> int:
        """Make the process end because of zombies, read the rest of its output, and return its exit status."""
        with contextlib.ExitStack() as stack:
            for client in self.hang(stack):
                assert client.response().status == 504
            return self.wait()


MONITORED = """\
[app:main]
use = egg:pastepool#demo
hang_limit = 600

[server:main]
use = egg:pastepool#http
host = 127.0.0.1
port = 0
threadpool_workers = 2
threadpool_hung_thread_limit = 0.1
threadpool_kill_thread_limit = 0.2
threadpool_dying_limit = 0.1
threadpool_max_zombie_threads_before_die = 1
shutdown_timeout = 1

[loggers]
keys = root

[handlers]
keys = console

[formatters]
keys = plain

[logger_root]
level = INFO
handlers = console

[handler_console]
class = StreamHandler
args = (sys.stdout,)
formatter = plain

[formatter_plain]
format = %(levelname)s %(message)s
"""


def ask_for_zombies(port: int, stack: contextlib.ExitStack) -> None:
    """Send two requests to the demonstration that hang where a kill has no effect."""
    for _ in range(2):
        stack.enter_context(Client(port)).ask("/hanging?kind=lock")
