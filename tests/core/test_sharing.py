"""Which of several processes takes a new client."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pastepool.core.sharing import AT_ONCE, clients_to_take, room_for_clients


@pytest.mark.parametrize("elsewhere", [False, True])
def test_process_with_room_takes_one_client_at_a_time(elsewhere: bool) -> None:
    """Whether others have room too does not matter: the kernel has told them as well."""
    assert clients_to_take(room_for_clients(free=2, awaited=1), elsewhere, waited=False) == 1


@pytest.mark.parametrize("room", [0, -1])
def test_process_without_room_leaves_clients_to_those_that_have(room: int) -> None:
    """However long they wait there."""
    assert clients_to_take(room, True, waited=True) == clients_to_take(room, True, waited=False) == 0


def test_if_nobody_has_room_for_a_while_all_take_what_comes() -> None:
    """So it is answered in time. Not at once: a worker may be about to become free somewhere."""
    assert clients_to_take(0, False, waited=False) == 0
    assert clients_to_take(0, False, waited=True) == AT_ONCE


@given(
    st.lists(st.integers(min_value=0, max_value=5), min_size=1, max_size=5), st.integers(min_value=0, max_value=25),
    st.randoms(),
)  # fmt: skip
def test_nobody_waits_while_a_worker_is_free_anywhere(workers: list[int], clients: int, chance: random.Random) -> None:
    """In whatever order processes look, clients go to free workers as long as there are any."""
    awaited = [0] * len(workers)

    def room(process: int) -> int:
        return room_for_clients(workers[process], awaited[process])

    for _ in range(min(clients, sum(workers))):
        takers = [
            process
            for process in range(len(workers))
            if clients_to_take(
                room(process), any(room(other) > 0 for other in range(len(workers)) if other != process), False
            )
        ]
        awaited[chance.choice(takers)] += 1
    assert all(count <= has for count, has in zip(awaited, workers, strict=True))
