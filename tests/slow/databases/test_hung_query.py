"""A query that hangs in psycopg2, and is killed: what ends it, and what the process makes of it."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.server.programs import ENDS_SOON, Program
from tests.slow.databases.postgres import postgres
from tests.waiting import until

pytestmark = pytest.mark.slow

KILLS: dict[str, Any] = {"threadpool_hung_thread_limit": 0.1, "threadpool_kill_thread_limit": 0.5}

HUNG = """
import psycopg2

ordinary_app = app
ADDRESS = {address!r}


def app(environ, start_response):
    if environ["PATH_INFO"] == "/query":
        connection = psycopg2.connect(ADDRESS)
        if {cancel!r}:
            environ["pastepool.on_cancel"](connection.cancel)
        say("called /query")
        connection.cursor().execute("SELECT pg_sleep(600)")
    return ordinary_app(environ, start_response)
"""


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """A PostgreSQL that runs."""
    with postgres() as found:
        yield found


def sleeping(address: str) -> int:
    """Count the queries that sleep in the database."""
    import psycopg2

    connection = psycopg2.connect(address)
    try:
        cursor = connection.cursor()
        cursor.execute("SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep%' AND state = 'active'")
        [(count,)] = cursor.fetchall()
        return int(count)
    finally:
        connection.close()


def test_query_with_a_cancel_callback_ends_in_the_database_too(address: str, tmp_path: Path) -> None:
    """``on_cancel(connection.cancel)``: the call ends at once, and no transaction stays open on the other side."""
    with Program(tmp_path, HUNG.format(address=address, cancel=True), **KILLS) as program:
        with program.client() as client:
            client.ask("/query")
            assert client.response().status == 504
        until(lambda: sleeping(address) == 0, "the query has ended")
        program.process.send_signal(signal.SIGTERM)
        assert program.ends_within(ENDS_SOON) == 0, program.said


def test_hung_first_query_ends_no_process(address: str, tmp_path: Path) -> None:
    """Its socket is shut down, and psycopg2 prints what it cannot hand on: the server goes on."""
    options = {**KILLS, "kill_unblocks_sockets": True}
    with Program(tmp_path, HUNG.format(address=address, cancel=False), **options) as program:
        with program.client() as client:
            client.ask("/query")
            assert client.response().status == 504
        program.await_line("shut down the socket it was blocked on")
        program.await_line("is gone after 1 requests")
        with program.client() as client:
            assert client.get("/next").body == b"/next"
        program.process.send_signal(signal.SIGTERM)
        assert program.ends_within(ENDS_SOON) == 0, program.said
    assert "ended the interpreter" not in program.said


def test_hung_first_query_ends_no_process_silently_with_system_exit(address: str, tmp_path: Path) -> None:
    """With a SystemExit it may end the process: then the log says so, and the status is 70."""
    options = {
        **KILLS,
        "kill_unblocks_sockets": True,
        "threadpool_kill_exception": "SystemExit",
        "shutdown_timeout": 2.0,
    }
    with Program(tmp_path, HUNG.format(address=address, cancel=False), **options) as program:
        with program.client() as client:
            client.ask("/query")
            assert client.response().status == 504
        program.await_line("is gone after 1 requests|ended the interpreter")
        if "ended the interpreter" in program.said:
            assert program.ends_within(2 * ENDS_SOON) == 70, program.said
        else:
            program.process.send_signal(signal.SIGTERM)
            assert program.ends_within(ENDS_SOON) == 0, program.said
