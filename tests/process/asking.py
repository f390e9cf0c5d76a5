"""Clients that ask without a pause."""

from __future__ import annotations

import http.client
import threading

from tests.waiting import PROGRAM_WATCHDOG


class Asking:
    """
    Clients that post again and again while the block runs, each on one connection as long as the server keeps it.

    ``failures``: what was no answer of the application. ``answers``: how many there were. Both are whole after the block.
    """

    def __init__(self, port: int, clients: int) -> None:
        self.failures: list[str] = []
        self.answers = 0
        self._port = port
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._clients = [threading.Thread(target=self._ask_on) for _ in range(clients)]

    def __enter__(self) -> Asking:
        for client in self._clients:
            client.start()
        return self

    def __exit__(self, *ignored: object) -> None:
        self._stop.set()
        for client in self._clients:
            client.join()

    def _ask_on(self) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=PROGRAM_WATCHDOG)
        while not self._stop.wait(0.005):
            failure = self._failure_of(connection)
            with self._lock:
                self.answers += not failure
                self.failures += [failure] if failure else []
        connection.close()

    def _failure_of(self, connection: http.client.HTTPConnection) -> str:
        try:
            connection.request("POST", "/", b"x" * 100)
            response = connection.getresponse()
            body = response.read()
            return "" if response.status == 200 else f"{response.status} {body!r}"
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            return repr(error)
