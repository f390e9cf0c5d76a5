"""When the desk is forked, looked at and killed."""

from __future__ import annotations

import math

from pastepool.core.generations.back_off import FIRST_PAUSE
from pastepool.core.generations.child import LIVED_LONG
from pastepool.core.generations.desk_facts import ENDS_WITHIN, DeskFacts
from pastepool.core.generations.health import LOOK_EVERY
from pastepool.core.policy import ProcessPolicy


def test_first_desk_is_forked_at_once_and_looked_at_now_and_then() -> None:
    """And as soon as it is there."""
    assert DeskFacts().next_at(is_there=False) == -math.inf
    facts = DeskFacts().forked(100.0)
    assert facts.next_at(is_there=True) == -math.inf
    assert facts.seen(1.0, 0, 0, 100.0).next_at(is_there=True) == 100.0 + LOOK_EVERY


def test_desks_that_die_young_are_forked_again_after_growing_pauses() -> None:
    """One that has lived long is followed by another at once."""
    young = DeskFacts().forked(100.0).died(101.0, 0.0)
    assert young.next_at(is_there=False) == 101.0 + FIRST_PAUSE
    again = young.forked(102.0).died(102.5, 0.0)
    assert again.next_at(is_there=False) == 102.5 + 2 * FIRST_PAUSE
    old = again.forked(110.0).died(110.0 + LIVED_LONG, 0.0)
    assert old.next_at(is_there=False) == -math.inf


def test_desk_that_is_replaced_is_followed_by_another_at_once() -> None:
    """However often it has died before."""
    assert DeskFacts().forked(100.0).died(101.0, 0.0).replaced().next_at(is_there=False) == -math.inf


def test_silence_of_a_desk_counts_from_its_own_fork() -> None:
    """What its predecessor has not shown is none of its faults."""
    policy = ProcessPolicy(1, deadlock=1.0)
    facts = DeskFacts().forked(100.0)
    for now in (100.0, 100.5):
        facts = facts.seen(0.0, 0, 0, now)
    assert facts.signs.stands_still(policy)
    assert not facts.forked(101.0).signs.stands_still(policy)


def test_desk_ends_with_the_parent_within_its_time() -> None:
    """At once if the parent does not wait for its workers either."""
    facts = DeskFacts().forked(100.0).seen(1.0, 0, 0, 100.0)
    assert not facts.leaves
    told = facts.told_to_end(200.0, at_once=False)
    assert told.leaves
    assert told.next_at(is_there=True) == told.kill_at == 200.0 + ENDS_WITHIN
    assert facts.told_to_end(200.0, at_once=True).kill_at == 200.0
