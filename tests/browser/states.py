"""States to put on the stage: the documented example, and what can be made of it."""

from __future__ import annotations

import copy
import json
import random
from pathlib import Path
from typing import Any

from pastepool.watch.groups import groups_of
from pastepool.watch.merging import Part, merged
from pastepool.watch.paste_state import unknown_state

State = dict[str, Any]

SAMPLE = Path(__file__).parents[1] / "watch" / "sample-v1.json"
STATUSES = ("starting", "idle", "busy", "hung", "retiring", "dying", "zombie")


def sample() -> State:
    """The example of the reference: two hung workers and a zombie in the same place, one computing, one writing."""
    state: State = json.loads(SAMPLE.read_text(encoding="utf-8"))
    return state


def worker(state: State, number: int) -> dict[str, Any]:
    """One worker of a state."""
    found: dict[str, Any] = next(row for row in state["workers"] if row["worker"] == number)
    return found


def counted(state: State) -> State:
    """Bring the numbers of the pool and the groups in line with its workers."""
    counts = dict.fromkeys(STATUSES, 0)
    for row in state["workers"]:
        counts[row["status"]] += 1
    state["pool"]["counts"] = counts
    state["pool"]["size"] = len(state["workers"])
    state["groups"] = groups_of(state["workers"])
    return state


def calm() -> State:
    """The example with nothing hung: what was stuck has finished."""
    state = sample()
    idle = worker(state, 6)
    state["workers"] = [
        {**copy.deepcopy(idle), "worker": row["worker"], "name": row["name"], "native_id": row["native_id"]}
        if row["status"] in ("hung", "zombie")
        else row
        for row in state["workers"]
    ]
    state["stacks"] = [stack for stack in state["stacks"] if stack["id"] != 0]
    return counted(state)


def crowd(size: int, seed: int = 1, second: int = 0) -> State:
    """
    A pool of ``size`` workers, every one of them busy, hung or dying.

    ``second``: how much later; durations grow, some workers finish and take another request, and the order changes.
    """
    state = sample()
    chance = random.Random(seed)
    pattern = [row for row in state["workers"] if row["status"] != "idle" and not row["own"]]
    rows = []
    for number in range(1, size + 1):
        row = copy.deepcopy(chance.choice(pattern))
        began = chance.uniform(0, 3000)
        turn = (number + second) % 10 == 0
        age = chance.uniform(0, 3) if turn else began + second
        row.update(worker=number, name=f"pastepool worker {number}", native_id=20000 + number)
        row.update({"for": age, "ran_for": age, "serial": number + (1000 * second if turn else 0)})
        row.update(path=f"/shop/item/{number % 37}", query=f"page={number % 9}", served=1000 * number + second)
        row["title"] = f"{row['method']} {row['path']}"
        rows.append(row)
    state["workers"] = sorted(rows, key=lambda row: -row["ran_for"])
    for stack in state["stacks"]:
        stack["workers"] = [row["worker"] for row in rows if row["stack"] == stack["id"]]
    state["pool"]["max_workers"] = size
    return counted(state)


SHOWN: dict[str, Any] = {
    "slot": 1,
    "pid": 4711,
    "serial": 3,
    "generation": 2,
    "state": "ready",
    "since": "2026-11-20T08:00:00.000Z",
    "for": 60.0,
    "memory": 40 << 20,
    "requests": 7,
    "running": 1,
    "beat_ago": 0.1,
    "silent_since": None,
    "silent_for": None,
    "stacks": "",
}
"""One process, as the desk of several shows it."""


def several(**changed: Any) -> State:
    """The example in two processes, as the desk shows it. ``changed``: what is different of the second process."""
    parts = [Part(1, 4711, 3, sample()), Part(2, 4712, 5, sample())]
    state = merged(parts, [SHOWN, {**SHOWN, "slot": 2, "pid": 4712, "serial": 5, **changed}], unknown_state())
    return {**state, **{name: sample()[name] for name in ("you", "transport", "flame", "actions")}}
