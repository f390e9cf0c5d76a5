"""Write the state as text for a terminal: at most 100 columns wide, requests that run longest first."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator

from pastepool.core.wording import counted, spoken
from pastepool.watch.groups import crowds_of, label_of
from pastepool.watch.watched import State

COLUMNS = 100
_EVENTS_SHOWN = 10
_SLOWEST_SHOWN = 5
_BREAKS = "/ "


def text_table(state: State) -> str:
    """Write the whole state as lines that are at most ``COLUMNS`` wide."""
    lines = [
        *_heading(state),
        "",
        *_processes(state),
        *_workers(state),
        *_waiting(state),
        *_stacks(state),
        *_latency(state),
        *_events(state),
    ]
    return "\n".join(cut(line, COLUMNS).rstrip() for line in [*lines, *_slowest(state)]) + "\n"


def cut(text: str, columns: int) -> str:
    """
    Cut a text to a number of columns of a terminal, where some letters take two columns and some take none.

    It is cut behind a ``/`` or a blank if there is one in its second half, and otherwise in the middle of a word.
    """
    width = 0
    for at, letter in enumerate(text):
        width += _width(letter)
        if width > columns:
            return text[: _break(text, len(_fitting(text[:at], columns - 1)))] + "~"
    return text


def padded(text: str, columns: int) -> str:
    """Cut a text, or fill it with spaces, to exactly a number of columns."""
    shown = cut(text, columns)
    return shown + " " * (columns - sum(map(_width, shown)))


def lasting(seconds: float | None) -> str:
    """Write how long something has lasted, short: ``42 s``, ``12 min``, ``3.5 h``."""
    if seconds is None:
        return "-"
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 600:
        return spoken(seconds)
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def _width(letter: str) -> int:
    if unicodedata.combining(letter):
        return 0
    return 2 if unicodedata.east_asian_width(letter) in "WF" else 1


def _fitting(text: str, columns: int) -> str:
    while sum(map(_width, text)) > columns:
        text = text[:-1]
    return text


def _break(text: str, end: int) -> int:
    """Return where to cut a text of which ``end`` letters fit."""
    if text[end] in _BREAKS:
        return end
    at = max(text.rfind(letter, 0, end) for letter in _BREAKS) + 1
    return at if at > end // 2 else end


def _heading(state: State) -> Iterator[str]:
    process, pool = state["process"], state["pool"]
    up = f", up {lasting(process['uptime'])}" if process["uptime"] is not None else ""
    yield f"{program(state)}, pid {process['pid']} on {process['host']}{up}, {state['taken_at']}"
    if state["note"]:
        yield from wrapped(state["note"])
    yield pool["summary"] + (" - draining" if pool["draining"] else "")
    if pool["condemned"]:
        yield from wrapped(f"RESTART THIS PROCESS: {pool['condemned']}")


def program(state: State) -> str:
    """Return the version of pastepool, and the name of the program for which the pool works if that is another one."""
    version, host = f"pastepool {state['process']['version']}", state["host"]
    return version if host in ("", "pastepool") else f"{version} under {host}"


def wrapped(text: str) -> Iterator[str]:
    """Break a sentence into lines at blanks."""
    line = ""
    for word in text.split():
        if line and len(line) + 1 + len(word) > COLUMNS:
            yield line
            line = word
        else:
            line = f"{line} {word}" if line else word
    yield line


def _processes(state: State) -> Iterator[str]:
    processes = state.get("processes", ())
    if processes:
        yield f"{'SLOT':>6}  {'PID':>8}  {'GEN':>4}  {'STATE':8}  {'FOR':>7}  {'REQUESTS':>9}  {'MEMORY':>8}  {'BEAT':>7}"
    for one in processes:
        memory = "-" if one["memory"] is None else f"{one['memory'] / 1048576:.0f} MiB"
        what = f"{one['slot']:>6}  {one['pid']:>8}  {one['generation']:>4}  {one['state']:8}  {lasting(one['for']):>7}"
        silent = "" if one["silent_for"] is None else f"  does not answer since {lasting(one['silent_for'])}"
        yield f"{what}  {one['requests']:>9}  {memory:>8}  {lasting(one['beat_ago']):>7}{silent}"
    for one in state.get("molds", ()):
        memory = "-" if one["memory"] is None else f"{one['memory'] / 1048576:.0f} MiB"
        what = f"{'mold':>6}  {one['pid']:>8}  {one['generation']:>4}  {one['state']:8}  {lasting(one['for']):>7}"
        yield f"{what}  {'-':>9}  {memory:>8}  {'-':>7}"
    if processes:
        yield ""


def _workers(state: State) -> Iterator[str]:
    yield f"{'WORKER':>6}  {'STATUS':8}  {'FOR':>7}  {'CPU':>4}  {'REQUEST':26}  DOING"
    for row in state["workers"]:
        if row["status"] == "idle":
            continue
        share = "" if row["cpu_share"] is None else f"{row['cpu_share']:.0%}"
        request = f"{row['title']} (this page)" if row["own"] else row["title"]
        doing = row["doing"] if row["phase"] in ("", "running") else row["phase"]
        start = f"{label_of(row):>6}  {row['status']:8}  {lasting(row['for']):>7}  {share:>4}"
        yield f"{start}  {padded(request, 26)}  {doing}"
        pid = f"pid {row['pid']} " if "pid" in row else ""
        serial = "" if row["serial"] is None else f"{pid}serial {row['serial']}"
        place = f"at {row['place']}" if row["place"] else ""
        if serial or place:
            yield f"{'':8}{serial:25}  {place}"
    idle = [row["worker"] for row in state["workers"] if row["status"] == "idle"]
    if idle:
        yield f"{counted(len(idle), 'worker')} idle"


def _waiting(state: State) -> Iterator[str]:
    backlog = state["backlog"]
    if not backlog["length"]:
        return
    yield ""
    waiting, oldest = counted(backlog["length"], "request"), lasting(backlog["oldest_for"])
    most = "" if backlog["limit"] is None else f" of at most {backlog['limit']}"
    yield f"waiting: {waiting}{most}, the oldest for {oldest}"
    for one in backlog["waiting"]:
        yield f"{lasting(one['waited_for']):>8}  {padded(one['client'], 20)}  {one['title']}"


def _stacks(state: State) -> Iterator[str]:
    crowds = crowds_of(state)
    if crowds:
        yield ""
    for group in crowds:
        wait = f", {group['wait']}" if group["wait"] else ""
        yield f"{counted(len(group['workers']), 'worker')} at {group['place']}{wait}"


def _latency(state: State) -> Iterator[str]:
    yield ""
    yield f"{'SECONDS':12}  {'COUNT':>10}  {'P50':>10}  {'P95':>10}  {'P99':>10}  {'MAX':>10}"
    for part, figures in state["latency"].items():
        values = "  ".join(f"{_figure(figures[word]):>10}" for word in ("p50", "p95", "p99", "max"))
        yield f"{part:12}  {figures['count']:>10}  {values}"


def _figure(value: float | None) -> str:
    return "-" if value is None else f"{value:.6f}" if value < 0.01 else f"{value:.3f}"


def _events(state: State) -> Iterator[str]:
    if state["events"]:
        yield ""
    for event in state["events"][:_EVENTS_SHOWN]:
        yield f"{event['at'][11:19]}  {event['kind']:12}  {event['text']}"


def _slowest(state: State) -> Iterator[str]:
    if state["slowest"]:
        yield ""
    for one in state["slowest"][:_SLOWEST_SHOWN]:
        yield f"slow: {lasting(one['duration']):>8}  {one['status'] or '-':>3}  {one['title']}"
