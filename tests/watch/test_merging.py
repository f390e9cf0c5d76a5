"""One state out of those of several processes: every number still means one thread, and nothing is counted twice."""

from __future__ import annotations

import copy
import json
from typing import Any

from pastepool.watch.html import fragments_of
from pastepool.watch.merging import WORKERS_OF_ONE, Part, merged
from pastepool.watch.paste_state import unknown_state
from pastepool.watch.table import text_table
from pastepool.watch.verdict import verdict_of
from tests.browser.states import SHOWN
from tests.watch.test_state import SAMPLE, shape_errors


def sample() -> dict[str, Any]:
    """The documented state, as one of several processes has it."""
    return copy.deepcopy(SAMPLE)


def two(**changed: Any) -> dict[str, Any]:
    """The state of two processes that are the same. ``changed``: what is different in the second."""
    parts = [Part(1, 4711, 3, sample()), Part(2, 4712, 5, {**sample(), **changed})]
    shown = [SHOWN, {**SHOWN, "slot": 2, "pid": 4712, "serial": 5}]
    return merged(parts, shown, unknown_state())


def test_merged_state_has_every_field_of_one_process() -> None:
    """And those that only several have."""
    state = two()
    assert set(SAMPLE) - {"you", "transport", "flame", "actions"} <= set(state)
    refused = state["connections"].pop("proxy_refused")
    assert refused == [[where, 2 * count] for where, count in sample()["connections"]["proxy_refused"]]
    state["connections"]["proxy_refused"] = []
    for row in state["workers"]:
        row.pop("label"), row.pop("slot"), row.pop("pid")
    for row in (*state["events"], *state["slowest"]):
        row.pop("slot"), row.pop("pid")
    for name in ("pool", "workers", "groups", "stacks", "backlog", "connections", "latency", "series", "events"):
        assert shape_errors(state[name], SAMPLE[name], name) == []
    assert json.loads(json.dumps(state)) == state


def test_numbers_of_threads_mean_one_thread() -> None:
    """Also in groups, stacks and events; what is at one place in both is one group and one stack."""
    state, one = two(), sample()
    numbers = [row["worker"] for row in state["workers"]]
    assert len(set(numbers)) == len(numbers) == 2 * len(one["workers"])
    first = one["workers"][0]["worker"]
    assert {3 * WORKERS_OF_ONE + first, 5 * WORKERS_OF_ONE + first} <= set(numbers)
    assert {row["label"] for row in state["workers"]} >= {f"1.{first}", f"2.{first}"}
    assert len(state["stacks"]) == len(one["stacks"])
    assert [len(stack["workers"]) for stack in state["stacks"]] == [
        2 * len(stack["workers"]) for stack in one["stacks"]
    ]
    assert {worker for stack in state["stacks"] for worker in stack["workers"]} <= set(numbers)
    assert {worker for group in state["groups"] for worker in group["workers"]} <= set(numbers)
    by_number = {row["worker"]: row for row in state["workers"]}
    for stack in state["stacks"]:
        assert {by_number[worker]["stack"] for worker in stack["workers"]} <= {stack["id"]}
    assert len({event["id"] for event in state["events"]}) == len(state["events"])


def test_longest_running_come_first_and_idle_ones_last() -> None:
    """Over all processes."""
    ran = [row["ran_for"] for row in two()["workers"]]
    running = [each for each in ran if each is not None]
    assert running == sorted(running, reverse=True)
    assert ran == running + [None] * (len(ran) - len(running))


def test_what_is_countable_is_added_up() -> None:
    """Counts, backlog, connections, curves, histograms, totals, memory."""
    state, one = two(), sample()
    assert state["pool"]["counts"] == {word: 2 * count for word, count in one["pool"]["counts"].items()}
    assert state["pool"]["size"] == 2 * one["pool"]["size"]
    assert state["pool"]["hung_after"] == one["pool"]["hung_after"]
    assert state["backlog"]["length"] == 2 * one["backlog"]["length"]
    assert state["backlog"]["oldest_for"] == one["backlog"]["oldest_for"]
    assert state["connections"]["open"] == 2 * one["connections"]["open"]
    assert state["connections"]["certificate_ends_at"] == one["connections"]["certificate_ends_at"]
    doubled = [None if point is None else 2 * point for point in one["series"]["requests"]]
    assert state["series"]["requests"] == doubled
    for name, figures in one["latency"].items():
        assert state["latency"][name]["count"] == sum(count for _, count in state["latency"][name]["buckets"])
        assert sum(count for _, count in state["latency"][name]["buckets"]) == 2 * sum(
            count for _, count in figures["buckets"]
        )
        assert state["latency"][name]["max"] == figures["max"]
    assert state["totals"]["requests"] == 2 * one["totals"]["requests"]
    assert state["totals"]["counted_since"] == one["totals"]["counted_since"]
    assert state["process"]["memory"] == 2 * one["process"]["memory"]


def test_curves_of_a_process_that_began_later_end_at_the_same_instant() -> None:
    """The newest points belong together."""
    young = {**sample()["series"], "requests": [5], "busy": [1], "hung": [0], "backlog": [0]}
    state, one = two(series=young), sample()
    assert state["series"]["requests"][-1] == one["series"]["requests"][-1] + 5
    assert state["series"]["requests"][:-1] == one["series"]["requests"][:-1]


def test_condemned_process_is_named() -> None:
    """It is one of several that should be restarted."""
    pool = {**sample()["pool"], "condemned": "a lock was left taken"}
    assert two(pool=pool)["pool"]["condemned"] == "Process 2 (pid 4712): a lock was left taken"


def test_state_without_an_answer_shows_the_processes() -> None:
    """None has answered: the page, the text and the headline say so."""
    silent = {**SHOWN, "silent_for": 12.0, "silent_since": SHOWN["since"], "stacks": "File <x>"}
    state = merged([], [silent, {**SHOWN, "slot": 2, "pid": 4712, "state": "stuck", "memory": None}], unknown_state())
    told = verdict_of(state)
    assert (told.headline, told.mood) == ("2 of 2 processes do not answer", "bad")
    assert told.reason == "Process 1 (pid 4711) does not answer since 12 s."
    assert "does not answer since 12 s" in text_table(state)
    whole = {**state, "you": SAMPLE["you"], "transport": SAMPLE["transport"], "flame": SAMPLE["flame"]}
    fragment = fragments_of({**whole, "actions": SAMPLE["actions"]}, "csrf")["processes"]
    assert '<tr id="process-4711">' in fragment and "File &lt;x&gt;" in fragment


def test_headline_says_when_none_serves_or_one_stands_still() -> None:
    """Before everything else about threads."""
    state = two()
    assert verdict_of({**state, "processes": [{**SHOWN, "state": "booting"}]}).headline == "No process serves"
    stuck = verdict_of({**state, "processes": [SHOWN, {**SHOWN, "state": "stuck"}]})
    assert stuck.headline == "1 of 2 processes does not answer"
    assert stuck.reason == "Process 1 (pid 4711) stands still."
