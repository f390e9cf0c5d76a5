"""
What is measured: one row for each scenario, and the three ways to measure one.

A measurement returns figures: a mapping from the names below to numbers. For every measurement the server is started
and warmed up again, so that no measurement changes the next one.
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
The names of the figures. ``cpu_us``: CPU time of the whole process tree per request, in microseconds. ``rate``:
requests per second. ``p50_ms``, ``p99_ms``: response times in milliseconds. ``rss_mib``: memory of the process tree at
the end, in MiB. ``errors``: a count.

The scenario "beside" has also ``slow_rate``: slow requests per second. The scenario "idle" has also ``idle_held``: how
many idle connections stayed open; ``idle_kib``: memory for each of them, in KiB; ``idle_cpu``: CPU time per request
with these connections open, divided by that without them.
"""

WARM_UP = 1
"""
Seconds of the same load before the measurement. In this time the server starts its threads and allocates its buffers,
and the interpreter specialises the code.
"""


@dataclass(frozen=True)
class Plan:
    """How many seconds a measurement takes, and how many idle connections are held."""

    seconds: int
    idle_connections: int


Measurement = Callable[["Scenario", Running, Plan], Figures]


@dataclass(frozen=True)
class Scenario:
    """One scenario. ``load``: the load that is measured. ``beside``: another load that runs at the same time."""

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
    """Send a load. Returns the result of wrk, and the CPU seconds that the server used for it."""
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
    """Measure one load alone."""
    answered, used = _loaded(scenario.load, running, plan.seconds)
    return _figures(answered, used / answered.requests * 1e6, running)


def beside(scenario: Scenario, running: Running, plan: Plan) -> Figures:
    """
    Measure one load while another one runs. The figures are those of the first load.

    The other load starts a second earlier and ends later. The CPU time is that of both loads, so it is divided by the
    number of requests of both.
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
    Measure a load while many idle connections are open, and compare it with the same load without them.

    The load without them is measured before and after. If it were measured only before, and the machine became slower
    meanwhile, the difference would look like a cost of the connections.
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
