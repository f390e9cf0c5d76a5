"""
What is measured: one row per scenario, and the three ways to measure one.

A scenario gives figures, a mapping from the names below to numbers. Every measurement has a server of its own, freshly
started and warmed up, so that none pays for what another left behind.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from benchmarks import idle, load, measure
from benchmarks.errors import ServerFailed
from benchmarks.load import BROWSER_HEADERS, Answered, Load
from benchmarks.servers import THREADS, Running

Figures = dict[str, float]
"""
``cpu_us`` CPU of the whole process tree per request; ``rate`` requests a second; ``p50_ms``, ``p99_ms``; ``rss_mib``
memory of the tree at the end; ``errors``. Beside: ``slow_rate``. Idle: ``idle_held`` connections that stayed open,
``idle_kib`` memory each, ``idle_cpu`` CPU per request with them open relative to without.
"""

WARM_UP = 1
"""Seconds of the same load before the measurement: threads are started, code is specialised, buffers are there."""


@dataclass(frozen=True)
class Plan:
    """How long to load, and how many idle connections to hold."""

    seconds: int
    idle_connections: int


Measurement = Callable[["Scenario", Running, Plan], Figures]


@dataclass(frozen=True)
class Scenario:
    """One row. ``load`` is what the figures are about; ``beside`` runs at the same time where there is one."""

    name: str
    title: str
    load: Load
    measurement: Measurement
    beside: Load | None = None

    def measure(self, running: Running, plan: Plan) -> Figures:
        """
        Warm the server up, then measure it.

        Raises:
            ServerFailed: not one request was answered.
        """
        load.run(self.load, running.port, WARM_UP)
        return self.measurement(self, running, plan)


def _loaded(what: Load, running: Running, seconds: int) -> tuple[Answered, float]:
    """Send a load; returns what came back and the CPU seconds it cost."""
    before = measure.cpu_seconds(running.session)
    answered = load.run(what, running.port, seconds)
    used = measure.cpu_seconds(running.session) - before
    if not answered.requests:
        raise ServerFailed(f"no request was answered in {seconds} s")
    return answered, used


def _figures(answered: Answered, cpu_us: float, running: Running) -> Figures:
    return {
        "cpu_us": cpu_us,
        "rate": answered.rate,
        "p50_ms": answered.p50_ms,
        "p99_ms": answered.p99_ms,
        "rss_mib": measure.rss_kib(running.session) / 1024,
        "errors": answered.errors,
    }


def alone(scenario: Scenario, running: Running, plan: Plan) -> Figures:
    """One load, nothing beside it."""
    answered, used = _loaded(scenario.load, running, plan.seconds)
    return _figures(answered, used / answered.requests * 1e6, running)


def beside(scenario: Scenario, running: Running, plan: Plan) -> Figures:
    """
    The load while another runs; the figures are the first one's.

    The other starts a second earlier and ends later, so the CPU time is shared out over both kinds' requests.
    """
    assert scenario.beside is not None
    longer = plan.seconds + 2
    with load.started(scenario.beside, running.port, longer) as other:
        time.sleep(1)
        answered, used = _loaded(scenario.load, running, plan.seconds)
        slow = load.finish(other, longer)
    requests = answered.requests + slow.rate * answered.seconds
    return {**_figures(answered, used / requests * 1e6, running), "slow_rate": slow.rate}


def with_idle(scenario: Scenario, running: Running, plan: Plan) -> Figures:
    """
    The load with many idle connections open, compared with the same before and after.

    Before *and* after, because a machine that grows slower in between would be taken for the connections' price.
    """
    before, before_used = _loaded(scenario.load, running, plan.seconds)
    empty = measure.rss_kib(running.session)
    with idle.holding(running.port, plan.idle_connections) as holder:
        opened = holder.held()
        grown = measure.rss_kib(running.session) - empty
        answered, used = _loaded(scenario.load, running, plan.seconds)
        figures = _figures(answered, used / answered.requests * 1e6, running)
        kept = holder.let_go()
    after, after_used = _loaded(scenario.load, running, plan.seconds)
    without = (before_used + after_used) / (before.requests + after.requests) * 1e6
    figures["idle_held"] = kept
    if kept >= plan.idle_connections:
        figures["idle_kib"] = grown / opened
        figures["idle_cpu"] = figures["cpu_us"] / without
    return figures


HELLO = Load("/hello")
SLOW = Load("/block-50ms", connections=8)
BESIDE_SLOW = Load("/hello", connections=32)

SCENARIOS: tuple[Scenario, ...] = (
    Scenario("hello", "hello, keep-alive", HELLO, alone),
    Scenario("browser", "a browser's 12 headers", Load("/hello", headers=tuple(BROWSER_HEADERS.items())), alone),
    Scenario("close", "a new connection each time", Load("/hello", headers=(("Connection", "close"),)), alone),
    Scenario("large", "100 KB response", Load("/large"), alone),
    Scenario("stream", "100 chunks streamed", Load("/stream"), alone),
    Scenario("upload", "64 KB upload", Load("/upload", body=64 * 1024), alone),
    Scenario("block-0.5ms", f"0.5 ms blocking, {THREADS} threads", Load("/block-0.5ms"), alone),
    Scenario("block-10ms", f"10 ms blocking, {THREADS} threads", Load("/block-10ms"), alone),
    Scenario("block-50ms", f"50 ms blocking, {THREADS} threads", Load("/block-50ms"), alone),
    Scenario("spin-1ms", "1 ms of CPU", Load("/spin-1ms"), alone),
    Scenario("beside", "fast beside slow (8 x 50 ms)", BESIDE_SLOW, beside, beside=SLOW),
    Scenario("idle", "hello with idle connections open", HELLO, with_idle),
)
