"""Servers that end by their zombies: limits short enough to watch, and what makes the zombies."""

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
"""What a program needs so that its held calls are not killed like those that hang."""

CRITICAL = r"CRITICAL .*end the process: 2 zombies, more than max_zombies_before_die = 1: GET /hang"


class Dying(Program):
    """A program that has been asked for more than one thing too many of which no kill gets hold."""

    def __init__(self, folder: Path, before: str = "", **options: object) -> None:
        whole: dict[str, Any] = {**ZOMBIES, **options}
        super().__init__(folder, before, **whole)

    def hang(self, stack: contextlib.ExitStack, count: int = 2) -> list[Client]:
        """Make so many requests that hang where no kill lands; one more than one, and the end is near."""
        clients = [stack.enter_context(self.client()) for _ in range(count)]
        for number, client in enumerate(clients):
            client.ask(f"/hang/{number}")
        for number in range(count):
            self.await_call(f"/hang/{number}")
        return clients

    def end_by_zombies(self) -> int:
        """Have it end by zombies. Gives its exit status; what it said is read."""
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
    """Make two requests to the demonstration of which no kill gets hold."""
    for _ in range(2):
        stack.enter_context(Client(port)).ask("/hanging?kind=lock")
