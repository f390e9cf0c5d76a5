"""The one sentence somebody in a hurry reads, and where to look: of a state, in words. Pure."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pastepool.core.states import Status
from pastepool.core.wording import counted
from pastepool.watch.table import lasting
from pastepool.watch.watched import State

_LEADS_ON = ("from", "on", "to", "for", "in")

STUCK = (Status.HUNG.value, Status.DYING.value, Status.ZOMBIE.value)
"""What somebody has to look after."""


@dataclass(frozen=True)
class Verdict:
    """``mood``: ``bad``, ``tight`` or ``good``, which gives the headline its colour."""

    headline: str
    reason: str
    mood: str


def verdict_of(state: State) -> Verdict:
    """Say how the pool stands; the script says the same of the same state."""
    pool, backlog, counts = state["pool"], state["backlog"], state["pool"]["counts"]
    if state["kind"] == "none":
        return Verdict("There is no pool here.", "", "tight")
    stuck = [row for row in state["workers"] if row["status"] in STUCK]
    if stuck:
        parts = ", ".join(f"{counts[word]} {word}" for word in STUCK if counts[word])
        return Verdict(f"{parts} of {counted(pool['size'], 'thread')}", _common_place(stuck), "bad")
    ready = counts["idle"] + counts["starting"]
    if not ready and backlog["length"]:
        wait = "" if backlog["oldest_for"] is None else f", the oldest for {lasting(backlog['oldest_for'])}"
        return Verdict("Nobody is free", f"{counted(backlog['length'], 'request')} waiting{wait}.", "tight")
    return Verdict("Nothing hangs", f"{counts['busy']} busy, {ready} ready for more.", "good")


def _common_place(stuck: list[Mapping[str, Any]]) -> str:
    """Where most of them are."""
    places = [row["place"] for row in stuck if row["place"]]
    if not places:
        return ""
    place = max(places, key=places.count)
    here = [row["doing"] for row in stuck if row["place"] == place]
    many = f"{len(here)} of them {'is' if len(here) == 1 else 'are'}"
    who = "It is" if len(stuck) == 1 else f"All {len(here)} are" if len(here) == len(stuck) else many
    doing = _shared(here)
    return f"{who} in {place}{f', {doing}' if doing else ''}."


def _shared(texts: list[str]) -> str:
    """What several do, in words that are true of all of them, or else of most."""
    same = _common_words(texts)
    if same:
        return same
    most = max(texts, key=texts.count)
    return f"{texts.count(most)} of them {most}" if most and texts.count(most) > 1 else ""


def _common_words(texts: list[str]) -> str:
    """The words all begin with: ``blocked in recv``, where they wait for different machines."""
    columns = zip(*(text.split() for text in texts), strict=False)
    same = [words[0] for words in itertools.takewhile(lambda words: len(set(words)) == 1, columns)]
    while same and len(same) < max(len(text.split()) for text in texts) and same[-1] in _LEADS_ON:
        same.pop()
    return " ".join(same)
