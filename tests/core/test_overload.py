"""When a request or a connection is refused rather than queued."""

from __future__ import annotations

import math

import pytest

from pastepool.core import overload
from pastepool.core.policy import OverloadPolicy

POLICY = OverloadPolicy(queue_limit=3, queue_timeout=10.0, connection_limit=5)


@pytest.mark.parametrize(("waiting", "room"), [(0, 3), (2, 1), (3, 0), (4, 0)])
def test_the_backlog_holds_exactly_its_limit(waiting: int, room: int) -> None:
    """With three waiting and a limit of three there is no room for another one."""
    assert overload.room(waiting, POLICY) == room


def test_with_a_limit_of_zero_nobody_waits() -> None:
    """A queue limit of 0 means that no request waits, not that any number may."""
    assert overload.room(0, OverloadPolicy(queue_limit=0)) == 0


@pytest.mark.parametrize(("connections", "accepted"), [(0, True), (4, True), (5, False), (6, False)])
def test_connections_are_accepted_up_to_their_limit(connections: int, accepted: bool) -> None:
    """The connection that would be one too many is not accepted."""
    assert overload.accept(connections, 5) is accepted


def test_a_connection_limit_of_zero_is_none() -> None:
    """0 switches the limit off."""
    assert overload.accept(10**6, 0)


@pytest.mark.parametrize(
    ("limit", "files", "open_now", "workers", "fit"),
    [
        (10000, 1048576, 20, 40, 10000),
        (10000, 10000, 20, 40, 10000 - 20 - 384),
        (10000, 1024, 24, 40, 616),
        (10000, 1024, 24, 2, 920),
        (10000, 256, 16, 40, 120),
        (100, 256, 16, 40, 100),
        (0, 1024, 24, 2, 920),
        (10000, 10, 10, 1, 1),
        (10000, 10, 20, 1, 1),
    ],
)
def test_connections_leave_files_for_the_application(
    limit: int, files: int, open_now: int, workers: int, fit: int
) -> None:
    """64 and 8 for each worker are left, or half of what remains where there are few; one connection is always there."""
    assert overload.connections_that_fit(limit, files, open_now, workers) == fit


def test_a_waiting_request_expires_at_its_deadline_and_not_before() -> None:
    """The head of the backlog is counted as expired from since + queue_timeout on."""
    waiting = [100.0, 101.0, 105.0]
    assert overload.expires_at(100.0, POLICY) == 110.0
    assert overload.expired(waiting, math.nextafter(110.0, 0), POLICY) == 0
    assert overload.expired(waiting, 110.0, POLICY) == 1
    assert overload.expired(waiting, 111.0, POLICY) == 2
    assert overload.expired(waiting, 200.0, POLICY) == 3
    assert overload.expired([], 200.0, POLICY) == 0


def test_a_queue_timeout_of_zero_is_none() -> None:
    """0 switches the timeout off: nobody ever expires."""
    policy = OverloadPolicy(queue_timeout=0)
    assert overload.expires_at(5.0, policy) == math.inf
    assert overload.expired([0.0], 1e12, policy) == 0


def test_reading_stops_at_the_first_that_may_still_wait() -> None:
    """A long backlog costs no more to look at than what has expired of it."""
    read = []

    def backlog() -> object:
        for since in (100.0, 105.0, 106.0):
            read.append(since)
            yield since

    assert overload.expired(backlog(), 110.0, POLICY) == 1  # type: ignore[arg-type]
    assert read == [100.0, 105.0]
