"""Several processes on one socket: who takes a new client, and what becomes of clients when one of them leaves."""

from __future__ import annotations

import contextlib
import os
import signal
from pathlib import Path

import pytest

from tests.server.siblings import Processes, stop_running
from tests.waiting import PROGRAM_WATCHDOG


def test_calls_run_at_once_while_there_are_free_workers_anywhere(tmp_path: Path) -> None:
    """Four calls on two processes of two workers: by chance one process took three clients, and one of them waited."""
    with Processes(tmp_path) as program:
        program.start()
        for turn in range(16):
            program.await_idle()
            with contextlib.ExitStack() as stack:
                clients = [stack.enter_context(program.client()) for _ in range(4)]
                for number, client in enumerate(clients):
                    client.ask(f"/at-once/{turn}/{number}/4")
                answers = [client.response().body for client in clients]
            assert b"alone" not in answers, turn
            assert sorted(map(answers.count, set(answers))) == [2, 2]


def test_process_that_is_stuck_keeps_no_client_from_the_others(tmp_path: Path) -> None:
    """What it has shown last is that it has room. A second later it does not count, and the others take all clients."""
    with Processes(tmp_path, health_path="/healthz") as program, contextlib.ExitStack() as stack:
        stuck, other = program.start()
        stop_running(stuck)
        held = [stack.enter_context(program.client()) for _ in range(2)]
        for client in held:
            client.ask("/held")
        with program.client() as balancer:
            assert balancer.get("/healthz").body == b"ok\n"
        os.kill(stuck, signal.SIGCONT)
        program.open_gate()
        assert [client.response().body for client in held] == [b"%d" % other] * 2


@pytest.mark.parametrize("everybody", [False, True], ids=["one retires", "all stop"])
def test_clients_that_nobody_has_accepted_are_served_by_those_that_stay(everybody: bool, tmp_path: Path) -> None:
    """
    The kernel holds them for all processes. One that leaves does not take them with it; the last one serves them first.
    """
    with Processes(tmp_path, lower=False, queue_limit=200) as program, contextlib.ExitStack() as stack:
        children = program.start()
        for child in children:
            stop_running(child)
        clients = [stack.enter_context(program.client()) for _ in range(200)]
        for client in clients:
            client.ask("/")
        for child in children if everybody else children[:1]:
            os.kill(child, signal.SIGTERM)
        for child in children:
            os.kill(child, signal.SIGCONT)
        assert [client.response().status for client in clients] == [200] * 200
        for client in clients:
            client.close()
        program.await_line(f"^ended {children[0]} 0$")
        if not everybody:
            with program.client() as client:
                assert client.get("/").body == b"%d" % children[1]
            os.kill(children[1], signal.SIGTERM)
        assert program.ends_within(PROGRAM_WATCHDOG) == 0
