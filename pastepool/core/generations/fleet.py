"""
Define what is known of the worker processes, as a value, and how each event changes it.

Knows no process, no signal and no clock. ``planning`` decides what is done about it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

from pastepool.core.generations.child import LIVED_LONG, NO_DEATHS, Child, ChildPhase, Deaths
from pastepool.types import Seconds

FORKS_WITHIN: Seconds = 10.0
"""For how long a fork counts when children are forked too often."""

STORM_WITHIN: Seconds = 1.0
"""A request for a reload that follows another one so soon has no right to forks of its own."""


@dataclass(frozen=True)
class Fleet:
    """
    All worker processes, and what was asked for.

    Large because each fact that a plan may need is stored here, once.

    ``asked``: the newest generation. ``asked_at``: when a reload has asked for it. ``goal``: the generation that
    children must have; older ones are replaced. ``loaded``: the newest generation of which a child was ready; 0 for
    none. ``failed``: the newest generation whose candidate did not become ready; 0 for none. ``misses``: the children
    that in a row did not become ready. ``deaths``: the children that died young, by slot. ``forks``: when the last
    children were forked. ``hurried_at``: when a client was last seen to wait for a first child. ``stopping_since``:
    when the end was asked for. ``at_once``: not to wait. ``failure``: why a child did not become ready, or a
    reload was refused, since the last request for a reload; empty if none. ``on_terminal``: somebody has started the
    parent from a terminal.
    """

    children: tuple[Child, ...] = ()
    asked: int = 1
    asked_at: Seconds = -math.inf
    goal: int = 1
    loaded: int = 0
    failed: int = 0
    misses: Deaths = NO_DEATHS
    deaths: tuple[tuple[int, Deaths], ...] = ()
    forks: tuple[Seconds, ...] = ()
    hurried_at: Seconds = -math.inf
    stopping_since: Seconds = math.inf
    at_once: bool = False
    failure: str = ""
    on_terminal: bool = False

    @property
    def stopping(self) -> bool:
        """Whether the end was asked for."""
        return self.stopping_since < math.inf

    @property
    def reloading(self) -> bool:
        """Whether a generation was asked for of which it is not known yet whether it loads."""
        return self.asked > max(self.goal, self.failed)

    @property
    def source(self) -> int:
        """The generation whose mold is to fork the next child: the newest one, or if that has failed the one that serves."""
        return self.goal if self.failed == self.asked else self.asked

    @property
    def loads(self) -> bool:
        """Whether what is on disk is known to load: the last child that tried became ready, and none was asked since."""
        return self.loaded == self.asked and not self.misses.count

    def is_settled(self, processes: int) -> bool:
        """Say whether it is known what became of the newest generation: it has failed, or so many of its children serve."""
        if self.failed == self.asked:
            return True
        return self.goal == self.asked and sum(map(self.is_fresh, self.children)) >= processes

    def deaths_of(self, slot: int) -> Deaths:
        """Return what is known of the children of a slot that died young."""
        return dict(self.deaths).get(slot, NO_DEATHS)

    def find(self, serial: int) -> Child | None:
        """Return a child by its number; None if it has ended."""
        return next((child for child in self.children if child.serial == serial), None)

    def is_fresh(self, child: Child) -> bool:
        """Say whether a child serves and may stay."""
        return child.phase is ChildPhase.READY and child.generation >= self.goal and not child.why

    # ------------------------------------------------------------------------------------------ what the parent does

    def forked(self, serial: int, slot: int, now: Seconds, generation: int = 0) -> Fleet:
        """Note a new child. It loads the newest generation, unless it was forked from the mold of another one."""
        child = Child(serial, slot, generation or self.asked, now)
        kept = [at for at in self.forks if at > now - FORKS_WITHIN]
        return replace(self, children=(*self.children, child), forks=(*kept, now))

    def retired(self, serial: int, why: str, now: Seconds) -> Fleet:
        """Note that a child was told to finish its requests and end."""
        return self._with(serial, ChildPhase.RETIRING, now, why)

    def killed(self, serial: int, why: str, now: Seconds, luck: float, counts: bool) -> Fleet:
        """Note that a child was sent SIGKILL. ``counts``: it failed to become ready. ``luck``: as for ``ended``."""
        child = self.find(serial)
        missed = self._missed(now, luck, f"a worker was killed: {why}") if child is not None and counts else self
        return missed._with(serial, ChildPhase.KILLED, now, why)

    # -------------------------------------------------------------------------------------------- what happens to it

    def became_ready(self, serial: int, now: Seconds) -> Fleet:
        """Note that a child serves from now on. One that was told to end, or that was killed, is not ready any more."""
        child = self.find(serial)
        if child is None or child.phase is not ChildPhase.BOOTING:
            return self
        fleet = self._with(serial, ChildPhase.READY, now, child.why)
        if child.generation != self.asked:
            return fleet
        goal = self.goal if self.failed == self.asked else self.asked
        return replace(fleet, loaded=self.asked, goal=goal, misses=NO_DEATHS)

    def ended(self, serial: int, now: Seconds, luck: float, failure: str = "") -> Fleet:
        """
        Forget a child whose process has ended.

        ``luck``: a random number between -1 and 1. It makes the pause before the next attempt longer or shorter, so that
        several machines do not start again at the same instant. ``failure``: why it did not become ready, if it did not.
        """
        child = self.find(serial)
        if child is None:
            return self
        fleet = replace(self, children=tuple(each for each in self.children if each.serial != serial))
        if child.phase is ChildPhase.BOOTING:
            return fleet._missed(now, luck, failure) if not child.why else fleet
        if child.phase is ChildPhase.READY:
            young = now < child.since + LIVED_LONG
            count = self.deaths_of(child.slot).count + 1 if young else 0
            others = [(slot, deaths) for slot, deaths in self.deaths if slot != child.slot]
            return replace(fleet, deaths=(*others, (child.slot, Deaths(count, now, luck))))
        return fleet

    def stood_still(self, serial: int, now: Seconds) -> Fleet:
        """Note that the interpreter of a ready child gives no sign of life."""
        return self._with(serial, ChildPhase.STUCK, now, "its interpreter stands still")

    def went_on(self, serial: int, now: Seconds) -> Fleet:
        """Note that a child that stood still gives signs of life again. It is replaced nevertheless."""
        return self._with(serial, ChildPhase.READY, now, "its interpreter stood still")

    # ------------------------------------------------------------------------------------------------- what is asked

    def reload(self, now: Seconds) -> Fleet:
        """
        Ask for a new generation. Children that boot are too late: they are given up, and count for nothing. Nor do the
        forks until now, because a reload needs some; they do in a storm of requests for reloads.
        """
        forks = self.forks if now < self.asked_at + STORM_WITHIN else ()
        children = tuple(
            replace(child, why="a newer generation was asked for") if child.phase is ChildPhase.BOOTING else child
            for child in self.children
        )
        return replace(
            self, children=children, asked=self.asked + 1, asked_at=now, misses=NO_DEATHS, forks=forks, failure=""
        )

    def refused(self, failure: str) -> Fleet:
        """Note that the newest generation cannot be tried: the machine refuses what its settings ask for."""
        return replace(self, failed=self.asked, failure=failure)

    def condemned(self, serial: int, why: str) -> Fleet:
        """Ask for the replacement of one child. The first reason counts."""
        return self._changed(serial, lambda child: child if child.why else replace(child, why=why))

    def hurried(self, now: Seconds) -> Fleet:
        """Note that a client waits and nothing serves."""
        return replace(self, hurried_at=now)

    def stopped(self, now: Seconds, at_once: bool = False) -> Fleet:
        """Ask for the end of all. ``at_once``: their requests are not finished."""
        return replace(self, stopping_since=min(self.stopping_since, now), at_once=self.at_once or at_once)

    # ---------------------------------------------------------------------------------------------------------- steps

    def _missed(self, now: Seconds, luck: float, failure: str) -> Fleet:
        """Note that a child of the newest generation did not become ready: of an older one none boots."""
        failed = self.asked if self.asked > self.goal else self.failed
        return replace(self, failed=failed, misses=Deaths(self.misses.count + 1, now, luck), failure=failure)

    def _with(self, serial: int, phase: ChildPhase, now: Seconds, why: str) -> Fleet:
        return self._changed(serial, lambda child: replace(child, phase=phase, since=now, why=why))

    def _changed(self, serial: int, change: Callable[[Child], Child]) -> Fleet:
        children = tuple(change(child) if child.serial == serial else child for child in self.children)
        return replace(self, children=children)
