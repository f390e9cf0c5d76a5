"""
Check the options that limit each other, and adjust defaults.

If a given option and a default contradict each other, the default is changed and a note says so. If two given options
contradict each other, it is an error: there is no way to know which of them the operator means.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pastepool.settings.mistakes import Mistakes
from pastepool.settings.options import BY_NAME
from pastepool.settings.place import SettingsPlace
from pastepool.settings.rows.pool import MOST_WORKERS

WORKERS = "threadpool_workers"
MAX_WORKERS = "threadpool_max_workers"
GENERATIONS = 4
"""
The default of ``threadpool_max_workers``, in multiples of ``threadpool_workers``. So three whole pools may hang and a
fourth still works.
"""

SPAWN_IF_UNDER = "threadpool_spawn_if_under"

MAX_ZOMBIES = "threadpool_max_zombie_threads_before_die"
SOCKET_TIMEOUT = "socket_timeout"
CLIENT_TIMEOUTS = ("header_timeout", "body_timeout", "keep_alive_timeout", "send_timeout")


@dataclass(frozen=True)
class Relation:
    """
    ``low`` must not exceed ``high``.

    ``because``: the reason and the remedy, for the error sentence. ``zero_is_never``: 0 as ``high`` means no limit.
    """

    low: str
    high: str
    because: str
    zero_is_never: bool = False


RELATIONS = (
    Relation(
        "threadpool_spawn_if_under",
        MAX_WORKERS,
        "so many can never be busy at once, so lower the first or raise the second",
    ),
    Relation(
        "threadpool_spawn_if_under",
        WORKERS,
        "the first says how many of the second should be busy at least, so lower the first or raise the second",
    ),
    Relation(
        WORKERS,
        MAX_WORKERS,
        "the cap is below the pool it caps, so lower the first or raise the second",
    ),
    Relation(
        "threadpool_hung_thread_limit",
        "threadpool_kill_thread_limit",
        "a worker would be killed before it counts as hung, so lower the first, raise the second, or set it to 0 to"
        " never kill",
        zero_is_never=True,
    ),
    Relation(
        "max_request_target",
        "max_header_bytes",
        "the target is part of the header bytes, so lower the first or raise the second",
    ),
    Relation(
        "max_body_bytes",
        "spool_total",
        "the largest body would never fit on the disk, so lower the first, raise the second, or set it to 0 for no limit",
        zero_is_never=True,
    ),
    Relation(
        "output_spool",
        "spool_total",
        "one response may not take more than all together, so lower the first, raise the second, or set it to 0 for no"
        " limit",
        zero_is_never=True,
    ),
)
"""
The order matters: of two relations for the same default, the narrower limit comes first. So a default that was changed
once fits all later relations.
"""


OF_PROCESSES = (
    "startup_timeout",
    "start_failure",
    "deadlock_timeout",
    "maximum_requests",
    "restart_interval",
    "inactivity_timeout",
    "memory_limit",
    "preload",
    "display_name",
)
"""Options that have a meaning for several processes only."""


def settle(values: dict[str, Any], given: frozenset[str], place: SettingsPlace, mistakes: Mistakes) -> list[str]:
    """
    Remove the contradictions from ``values``, in place.

    Args:
        values: the value of every option by ``Option.name``, defaults included.
        given: the names of the options that the operator set.
        mistakes: takes a note if two given options contradict each other.

    Returns:
        a sentence for every default that was changed.
    """
    _spread_socket_timeout(values, given)
    if values["processes"] and MAX_ZOMBIES not in given:
        values[MAX_ZOMBIES] = 1  # one of several processes is replaced without a pause
    if "graceful_timeout" in given and "shutdown_timeout" not in given and not values["processes"]:
        values["shutdown_timeout"] = values["graceful_timeout"]  # as in gunicorn
    if MAX_WORKERS not in given:
        values[MAX_WORKERS] = math.inf
    notes = [note for relation in RELATIONS for note in _apply(relation, values, given, place, mistakes)]
    idle = [name for name in OF_PROCESSES if name in given and values[name] != BY_NAME[name].default]
    if idle and not values["processes"]:
        notes.append(f"{place}: {', '.join(idle)}: no effect without processes; set processes, or delete the line.")
    if MAX_WORKERS not in given:
        generations = 1 if _wants_one_at_a_time(values) else GENERATIONS
        values[MAX_WORKERS] = min(generations * values[WORKERS], MOST_WORKERS)
    return notes


def _wants_one_at_a_time(values: Mapping[str, Any]) -> bool:
    """
    Say whether no two requests may run at once: one worker, and none is added while requests wait.

    In Paste this pair has that effect, and an application that is not safe for threads relies on it. A hung worker must
    therefore get no other worker beside it.
    """
    return bool(values[WORKERS] == 1 and values[SPAWN_IF_UNDER] == 0)


def _spread_socket_timeout(values: dict[str, Any], given: frozenset[str]) -> None:
    if SOCKET_TIMEOUT in given:
        for name in CLIENT_TIMEOUTS:
            if name not in given:
                values[name] = values[SOCKET_TIMEOUT]


def _apply(
    relation: Relation, values: dict[str, Any], given: frozenset[str], place: SettingsPlace, mistakes: Mistakes
) -> list[str]:
    low, high = relation.low, relation.high
    unbounded = relation.zero_is_never and values[high] == 0
    if unbounded or values[low] <= values[high]:
        return []
    if low in given and high in given:
        shown_low, shown_high = (BY_NAME[name].show(values[name]) for name in (low, high))
        mistakes.add(place.contradiction(low, shown_low, high, shown_high, relation.because))
        return []
    moves, stands = (high, low) if low in given else (low, high)
    before, after = (BY_NAME[moves].show(values[name]) for name in (moves, stands))
    values[moves] = values[stands]
    return [f"{place}: {moves} is moved from its default {before} to {after}, to fit {stands} = {after}."]
