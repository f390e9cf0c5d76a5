"""Mails of a real server: what happens together is one mail, and none is lost at the stop without a word."""

from __future__ import annotations

import contextlib
import signal
import socket
from pathlib import Path
from typing import Any

from tests.server.post_office import PostOffice
from tests.server.programs import ENDS_SOON, Program
from tests.waiting import PROGRAM_WATCHDOG, until

KILLS: dict[str, Any] = {
    "threadpool_workers": 4,
    "threadpool_max_workers": 60,
    "threadpool_spawn_if_under": 4,
    "threadpool_hung_thread_limit": "0.1",
    "threadpool_kill_thread_limit": "0.3",
    "error_email": "ops@example.org",
}

SPINS = """
def hang():
    while True:
        time.sleep(0.01)
"""


def test_kills_within_seconds_are_one_mail(tmp_path: Path) -> None:
    """Twelve requests, killed one after the other: the mail says how many."""
    with PostOffice() as office:
        mail: dict[str, Any] = {"smtp_server": f"127.0.0.1:{office.port}"}
        with Program(tmp_path, SPINS, lower=False, **KILLS, **mail) as program, contextlib.ExitStack() as stack:
            clients = [stack.enter_context(program.client()) for _ in range(12)]
            for client in clients:
                client.ask("/hang")
                program.await_call("/hang")
            assert [client.response().status for client in clients] == [504] * 12
            until(lambda: office.mails, "the mail has come", PROGRAM_WATCHDOG)
            assert program.end() == 0
    assert len(office.mails) == 1, office.mails
    assert office.mails[0].endswith(" s and 11 other requests"), office.mails


def test_mail_that_cannot_be_sent_is_in_the_log_after_the_stop(tmp_path: Path) -> None:
    """Nobody answers at the mail server: the text is written to the log before the process ends."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        mail: dict[str, Any] = {
            "smtp_server": f"127.0.0.1:{taken.getsockname()[1]}"
        }  # it accepts, and never says a word
        with Program(tmp_path, SPINS, **KILLS, **mail) as program, program.client() as client:
            client.ask("/hang")
            assert client.response().status == 504
            program.process.send_signal(signal.SIGTERM)
            assert program.ends_within(2 * ENDS_SOON) == 0
    assert "not mailed before the end: [pastepool] " in program.said
    assert ": killed GET /hang after 0." in program.said
