"""
Tell systemd how the service is: ready, alive, stopping.

Datagrams to the socket that ``NOTIFY_SOCKET`` names. A missing or full socket changes nothing for the server. Source:
sd_notify(3), sd_watchdog_enabled(3).
"""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Callable, MutableMapping

from pastepool.errors import StartError
from pastepool.types import Seconds

_SHORTEST_PERIOD: Seconds = 1.0
"""A shorter watchdog would end a server that is only busy."""

_STATUS_EVERY: Seconds = 1.0
_MICRO = 1_000_000


class ServiceManager:
    """
    The service manager that has started this process; silent if none has.

    ``address``: of its socket; empty for none. ``period``: within which it wants a sign of life; 0 for never.
    """

    def __init__(self, address: str, period: Seconds) -> None:
        self.period = period
        self._address = "\0" + address[1:] if address.startswith("@") else address
        self._closed = threading.Event()
        self._told = ""

    @property
    def listens(self) -> bool:
        """Return whether there is a service manager to tell."""
        return bool(self._address)

    def ready(self) -> None:
        """Tell that the server serves."""
        self._send("READY=1")

    def reloading(self) -> None:
        """Tell that a reload has begun. Its end is told by ``ready``."""
        self._send("RELOADING=1", f"MONOTONIC_USEC={int(time.monotonic() * _MICRO)}")

    @property
    def every(self) -> Seconds:
        """How often ``tell`` is to be called."""
        return min(_STATUS_EVERY, self.period / 2) if self.period else _STATUS_EVERY

    def tell(self, status: str, alive: bool = True) -> None:
        """Tell the status if it has changed, and give a sign of life if one is wanted. ``alive``: whether to give it."""
        lines = ["WATCHDOG=1"] if self.period and alive else []
        if status != self._told:
            self._told = status
            lines.append(f"STATUS={status}")
        if lines:
            self._send(*lines)

    def stopping(self, patience: Seconds) -> None:
        """Tell that the server drains. ``patience``: how long the process may take to end."""
        self._send("STOPPING=1", f"EXTEND_TIMEOUT_USEC={int(patience * _MICRO)}")

    def run(self, status: Callable[[], str]) -> None:
        """
        Give signs of life at half the period, and the status when it has changed, until ``close``.

        A call that holds the GIL stops this thread, too. So systemd then does what no thread can: it ends the process.

        ``status``: one line for ``systemctl status``. Runs on: a thread of
        its own.
        """
        while True:
            self.tell(status())
            if self._closed.wait(self.every):
                return

    def close(self) -> None:
        """Give no more signs of life. May be called twice."""
        self._closed.set()

    def _send(self, *lines: str) -> None:
        if not self._address:
            return
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
                sock.setblocking(False)
                sock.sendto("\n".join(lines).encode(), self._address)
        except OSError:
            pass  # the socket is gone or full


def service_manager(variables: MutableMapping[str, str]) -> ServiceManager:
    """
    Find the service manager in the environment. Its variables are removed, so that no child process speaks to it.

    Raises: StartError: the watchdog's period is garbled or too short. The operator must change WatchdogSec=.
    """
    address = variables.pop("NOTIFY_SOCKET", "")
    pid, period = variables.pop("WATCHDOG_PID", ""), variables.pop("WATCHDOG_USEC", "")
    if not address or not period or (pid and pid != str(os.getpid())):
        return ServiceManager(address, 0.0)
    if not (period.isascii() and period.isdigit()) or int(period) < _SHORTEST_PERIOD * _MICRO:
        raise StartError(
            f"The watchdog of systemd is set to WATCHDOG_USEC = {period!r}; set WatchdogSec= of the service to 1s at least."
        )
    return ServiceManager(address, int(period) / _MICRO)
