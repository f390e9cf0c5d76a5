"""What systemd and the commands are told of the worker processes, and when."""

from __future__ import annotations

from dataclasses import replace

from pastepool.core.generations.fleet import Fleet
from pastepool.core.generations.status import Told, as_rows, in_one_line

ONE_SERVES = Fleet().forked(1, 1, 100.0).became_ready(1, 101.0)


def test_server_is_ready_with_its_first_worker() -> None:
    """And stays so."""
    assert Told().after(Fleet(), 2) == Told()
    assert Told().after(ONE_SERVES, 2) == Told(served=True)
    assert Told(served=True).after(ONE_SERVES.ended(1, 200.0, 0.0), 2) == Told(served=True)


def test_reload_is_settled_when_all_are_new() -> None:
    """Not with the first."""
    asked = Told(served=True, settled=False)
    fleet = ONE_SERVES.reload(150.0).forked(2, 1, 200.0)
    assert asked.after(fleet, 2) == asked
    fleet = fleet.became_ready(2, 201.0).forked(3, 2, 201.0)
    assert asked.after(fleet, 2) == asked
    assert asked.after(fleet.became_ready(3, 202.0), 2) == Told(served=True)


def test_reload_before_the_first_worker_served_is_settled_too() -> None:
    """The command that has asked for it waits for that."""
    fleet = Fleet().reload(150.0).forked(1, 1, 100.0).became_ready(1, 101.0)
    assert Told(settled=False).after(fleet, 1) == Told(served=True, settled=True)


def test_nothing_is_settled_when_all_end() -> None:
    """Who waits for a reload is told that the server stops."""
    told = Told(served=True, settled=False).after(ONE_SERVES.stopped(200.0), 1)
    assert told == Told(served=True, settled=False, stopping=True)


def test_line_says_how_many_serve_and_whether_a_reload_has_failed() -> None:
    """For systemctl status."""
    assert in_one_line(ONE_SERVES, 2) == "generation 1, 1 of 2 workers ready"
    failed = ONE_SERVES.reload(150.0).refused("the port is taken")
    assert in_one_line(failed, 1) == "generation 1, 1 of 1 worker ready; the reload to generation 2 failed"


def test_rows_describe_each_worker_in_the_order_of_the_slots() -> None:
    """With what its process shows."""
    fleet = replace(ONE_SERVES, children=()).forked(4, 2, 103.0).forked(5, 1, 104.0).condemned(5, "it is old")
    first, second = as_rows(fleet, 105.25, {4: (44, 7)})
    assert second == {
        "slot": 2,
        "pid": 44,
        "generation": 1,
        "state": "booting",
        "for": 2.2,
        "requests": 7,
        "why": "",
    }
    assert (first["slot"], first["pid"], first["requests"], first["why"]) == (1, 0, 0, "it is old")
