"""
Decide which workers stand at the same place: those at the same line of the application that wait for the same. Pure.

The JSON of a state has these groups, and so have the headline, the page with and without JavaScript and the text. The
calls above and below the application's line do not matter: several callers lead to one line, and below it the standard
library has several lines at which it waits for one thing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from pastepool.watch.watched import State

Row = Mapping[str, Any]


def fill_in_waits(rows: Sequence[dict[str, Any]]) -> None:
    """
    Fill in ``wait`` where it is not known: the row gets that of the largest group at its line, if there is one.

    A look sees some of the workers of a group just outside of the system call that they wait in.
    """
    waits: dict[str, str] = {}
    for (place, wait), _ in Counter((row["place"], row["wait"]) for row in rows if row["wait"]).most_common():
        waits.setdefault(place, wait)
    for row in rows:
        if row["place"] and not row["wait"]:
            row["wait"] = waits.get(row["place"], "")


def groups_of(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """
    Group the rows of a state by ``place`` and ``wait``, the largest group first.

    Returns:
        for each group its ``id``, ``place``, ``wait``, the numbers of its ``workers``, and the id of the ``stack`` that
        most of them have; None if no such stack is in the state.
    """
    found: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        if row["place"]:
            found.setdefault((row["place"], row["wait"]), []).append(row)
    ordered = sorted(found.items(), key=lambda item: -len(item[1]))
    return [_group(number, place, wait, here) for number, ((place, wait), here) in enumerate(ordered)]


def label_of(row: Row) -> str:
    """Return the number of a worker for people: with several processes the place of its process stands before it."""
    return str(row.get("label") or row["worker"])


def crowds_of(state: State) -> list[dict[str, Any]]:
    """Return the groups of a state that have two or more workers."""
    return [group for group in state["groups"] if len(group["workers"]) > 1]


def _group(number: int, place: str, wait: str, here: Sequence[Row]) -> dict[str, Any]:
    stacks = Counter(row["stack"] for row in here if row["stack"] is not None)
    return {
        "id": number,
        "place": place,
        "wait": wait,
        "workers": [row["worker"] for row in here],
        "stack": stacks.most_common(1)[0][0] if stacks else None,
    }
