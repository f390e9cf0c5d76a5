"""Who takes a new client, and what becomes of clients when a worker process is stuck or leaves."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from pathlib import Path

import pytest

from tests.process.site import Site, ending, stand_still
from tests.server.serving import Client

ROUNDS = 16
ENOUGH = 12
"""
By chance two to nine rounds of sixteen succeed (measured). With the rule, one may fail where the machine keeps a thread
from running for so long that its process has not a worker back from the round before.
"""


class Wide(Site):
    """A site with as many descriptors as its clients need."""

    few_descriptors = False


def begin_together(site: Site, turn: int) -> bool:
    """Make four calls, each on a new connection. Returns whether all ran at the same time."""
    names = [f"held-{turn}-{number}" for number in range(4)]
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(Client(site.at)) for _ in names]
        for client, name in zip(clients, names, strict=True):
            client.ask(f"/{name}")
        deadline = time.monotonic() + 3.0
        while not (together := all((site.folder / f"{name}-began").exists() for name in names)):
            if time.monotonic() >= deadline:
                break
            time.sleep(0.005)
        site.open_gate()
        assert [client.response().status for client in clients] == [200] * 4
    (site.folder / "gate").unlink()
    return together


def test_calls_run_at_once_while_there_are_free_workers_anywhere(tmp_path: Path) -> None:
    """Four calls on two processes of two workers: by chance a process takes three clients, and one of them waits."""
    with ending(Site(tmp_path)) as site:
        workers = set(site.serving().values())
        done = 0
        for turn in range(ROUNDS):
            site.answered_by_all(workers)
            done += begin_together(site, turn)
        assert done >= ENOUGH


def test_process_that_is_stuck_keeps_no_client_from_the_others(tmp_path: Path) -> None:
    """What it has shown last is that it has room. A second later it does not count, and the others take all clients."""
    with ending(Site(tmp_path, health_path="/healthz", deadlock_timeout=0)) as site, contextlib.ExitStack() as stack:
        stuck, other = site.serving().values()
        stand_still(stuck)
        held = [stack.enter_context(Client(site.at)) for _ in range(2)]
        for number, client in enumerate(held):
            client.ask(f"/held{number}")
        with Client(site.at) as balancer:
            assert balancer.get("/healthz").body == b"ok\n"
        os.kill(stuck, signal.SIGCONT)
        site.open_gate()
        assert [client.response().body.split()[0] for client in held] == [b"%d" % other] * 2


@pytest.mark.parametrize("everybody", [False, True], ids=["one retires", "all stop"])
def test_clients_that_nobody_has_accepted_are_served_by_those_that_stay(everybody: bool, tmp_path: Path) -> None:
    """
    The kernel holds them for all processes. One that leaves does not take them with it; the last one serves them first.
    """
    with Wide(tmp_path, queue_limit=200, deadlock_timeout=0) as site, contextlib.ExitStack() as stack:
        workers = list(site.serving().values())
        for worker in workers:
            stand_still(worker)
        clients = [stack.enter_context(Client(site.at)) for _ in range(200)]
        for client in clients:
            client.ask("/")
        os.kill(site.pid if everybody else workers[0], signal.SIGTERM)
        if everybody:
            site.await_line("finish their requests and end")
        for worker in workers:
            os.kill(worker, signal.SIGCONT)
        assert [client.response().status for client in clients] == [200] * 200
        for client in clients:
            client.close()
        assert (site.wait() if everybody else site.end()) == 0, site.said
