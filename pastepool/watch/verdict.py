"""Sum up a state in one sentence, and say where the hung requests stand. Pure."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pastepool.core.states import Status
from pastepool.core.wording import counted
from pastepool.watch.table import lasting
from pastepool.watch.watched import State

_LEADS_ON = ("from", "on", "to", "for", "in")

STUCK = (Status.HUNG.value, Status.DYING.value, Status.ZOMBIE.value)
"""The statuses that need a person's attention."""


@dataclass(frozen=True)
class Verdict:
    """The summary of a state. ``mood``: ``bad``, ``tight`` or ``good``; it decides the colour of the headline."""

    headline: str
    reason: str
    mood: str


def verdict_of(state: State) -> Verdict:
    """Sum up a state. The page's script must come to the same words for the same state."""
    pool, backlog, counts = state["pool"], state["backlog"], state["pool"]["counts"]
    if state["kind"] == "none":
        return Verdict("There is no pool here.", "", "tight")
    if pool["condemned"]:
        return Verdict("Restart this process", pool["condemned"], "bad")
    trouble = _process_trouble(state.get("processes", ()))
    if trouble is not None:
        return trouble
    stuck = [row for row in state["workers"] if row["status"] in STUCK]
    if stuck:
        parts = ", ".join(f"{counts[word]} {word}" for word in STUCK if counts[word])
        return Verdict(f"{parts} of {counted(pool['size'], 'thread')}", _common_place(state, len(stuck)), "bad")
    ready = counts["idle"] + counts["starting"]
    if not ready and backlog["length"]:
        wait = "" if backlog["oldest_for"] is None else f", the oldest for {lasting(backlog['oldest_for'])}"
        return Verdict("Nobody is free", f"{counted(backlog['length'], 'request')} waiting{wait}.", "tight")
    sending = f"{counts['sending']} sending, " if counts.get("sending") else ""
    return Verdict("Nothing hangs", f"{counts['busy']} busy, {sending}{ready} ready for more.", "good")


def _process_trouble(processes: Sequence[Mapping[str, Any]]) -> Verdict | None:
    """Say that processes do not answer, or that none serves; None if neither is so."""
    silent = [one for one in processes if one["silent_for"] is not None or one["state"] == "stuck"]
    if silent:
        first, many = silent[0], "does" if len(silent) == 1 else "do"
        lasted = first["silent_for"]
        since = "stands still" if lasted is None else f"does not answer since {lasting(lasted)}"
        return Verdict(
            f"{len(silent)} of {len(processes)} processes {many} not answer",
            f"Process {first['slot']} (pid {first['pid']}) {since}.",
            "bad",
        )
    if processes and all(one["state"] != "ready" for one in processes):
        return Verdict("No process serves", f"{len(processes)} of them: {processes[0]['state']}.", "bad")
    return None


def _common_place(state: State, stuck: int) -> str:
    """Say in which place most of the stuck workers are, and what they do there; empty if no place is known."""
    rows = {row["worker"]: row for row in state["workers"] if row["status"] in STUCK}
    crowds = [(group["place"], [rows[one] for one in group["workers"] if one in rows]) for group in state["groups"]]
    place, here = max(crowds, key=lambda crowd: len(crowd[1]), default=("", []))
    if not here:
        return ""
    many = f"{len(here)} of them {'is' if len(here) == 1 else 'are'}"
    who = "It is" if stuck == 1 else f"All {len(here)} are" if len(here) == stuck else many
    doing = _shared([row["doing"] for row in here])
    return f"{who} in {place}{f', {doing}' if doing else ''}."


def _shared(texts: list[str]) -> str:
    """Return words that are true of all texts, or else of most of them; empty if there are none."""
    if len(set(texts)) > 1:
        texts = [text.partition(": ")[0] for text in texts]  # after the colon are figures, and each thread has its own
    same = _common_words(texts)
    if same:
        return same
    most = max(texts, key=texts.count)
    return f"{texts.count(most)} of them {most}" if most and texts.count(most) > 1 else ""


def _common_words(texts: list[str]) -> str:
    """
    Return the words with which all texts begin: ``blocked in recv``, for threads that wait for different machines.
    """
    columns = zip(*(text.split() for text in texts), strict=False)
    same = [words[0] for words in itertools.takewhile(lambda words: len(set(words)) == 1, columns)]
    while same and len(same) < max(len(text.split()) for text in texts) and same[-1] in _LEADS_ON:
        same.pop()
    return " ".join(same)
