"""Which locks a killed request has left taken, decided from what several looks have seen."""

from __future__ import annotations

import math

from pastepool.core.left_locks import LOOK_AGAIN, LOOKS, Dead, LockSearch, TakenLock, search

DEAD = Dead(worker=5, title="GET /report", ident=1234)
OWNED = TakenLock(1, "logging._lock", owner=1234)
PLAIN = TakenLock(2, "tempfile._once_lock")


def looks(*seen: list[TakenLock], living: tuple[int, ...] = (), dead: Dead = DEAD) -> LockSearch:
    """Look once for each list, at the instants that the looks themselves name. The worker has died before the first."""
    now, known = 100.0, LockSearch()
    for number, taken in enumerate(seen):
        known = search(known, taken, living, [dead] if number == 0 else [], now)
        now = known.look_again_at
    return known


def test_lock_of_a_dead_worker_is_left() -> None:
    """Its owner is no more, so one look is enough. It is told with who left it and what to do."""
    known = looks([OWNED])
    assert known.condemned == (
        "logging._lock is taken for ever: left by worker 5 (GET /report), which was killed. Requests that need it hang. "
        "Restart this process"
    )
    assert known.look_again_at == math.inf


def test_lock_of_a_living_thread_is_not() -> None:
    """It gives the lock back in its own time."""
    assert looks([TakenLock(1, "logging._lock", owner=77)], living=(77,)) == LockSearch()


def test_lock_of_a_thread_that_nobody_killed_is_not_told() -> None:
    """What an application does with its own threads is not the kill's fault."""
    assert looks([TakenLock(1, "logging._lock", owner=77)]) == LockSearch()


def test_owner_with_the_number_of_a_dead_worker_may_be_a_new_thread() -> None:
    """Numbers are used again. So this counts as unknown, until the thread has ended."""
    assert looks([OWNED], living=(1234,)).left == {}
    known = search(looks([OWNED], living=(1234,)), [OWNED], (), [], 101.0)
    assert known.condemned


def test_lock_without_an_owner_is_left_if_every_look_finds_it_taken() -> None:
    """The looks are spread over seconds, and such a lock is held for microseconds."""
    assert looks(*[[PLAIN]] * (LOOKS - 1)).left == {}
    assert looks(*[[PLAIN]] * (LOOKS - 1)).look_again_at == 100.0 + (LOOKS - 1) * LOOK_AGAIN
    assert looks(*[[PLAIN]] * LOOKS).condemned.startswith("tempfile._once_lock is taken for ever: left by worker 5")


def test_lock_that_was_free_once_is_not_left() -> None:
    """The search ends with that look."""
    assert looks(*[[PLAIN]] * (LOOKS - 1), []) == LockSearch()


def test_lock_that_is_taken_later_is_not_blamed_on_an_earlier_kill() -> None:
    """The first look after the kill had found it free."""
    assert search(looks([]), [PLAIN], (), [], 200.0) == LockSearch()


def test_lock_that_is_left_stays_so_until_it_is_free() -> None:
    """A later search does not change who has left it."""
    left = looks([OWNED])
    again = search(left, [OWNED], (1234,), [Dead(9, "GET /other", 99)], 200.0)
    assert again.left == left.left
    assert search(again, [], (), [Dead(10, "GET /", 7)], 300.0).condemned == ""
