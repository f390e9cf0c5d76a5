"""
Make the page as HTML, complete without JavaScript. Each function makes one fragment; ``filled`` puts the fragments into
the slots of ``static/page.html``.

Every text goes through ``esc``, wherever it comes from. ``docs/reference/watch-api.md`` promises the markup.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from pastepool.core.wording import counted
from pastepool.watch.groups import crowds_of, label_of
from pastepool.watch.table import lasting, program
from pastepool.watch.verdict import verdict_of
from pastepool.watch.watched import State

_SLOT = re.compile(r"<!--slot:([a-z]+)-->")


def esc(value: object) -> str:
    """Make any value safe inside an element or a quoted attribute."""
    return escape(str(value), quote=True)


def filled(template: str, fragments: Mapping[str, str]) -> str:
    """Put fragments into the slots of a template. A slot without a fragment becomes empty."""
    return _SLOT.sub(lambda found: fragments.get(found[1], ""), template)


def plain_page(title: str, body: str, *, back: bool = True) -> str:
    """
    Make a small separate page: a question, an outcome or a refusal.

    ``title``: text. ``body``: HTML. ``back``: whether the page links back to the threads.
    """
    link = '<p><a href="./">Back to the threads</a></p>' if back else ""
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="color-scheme" content="light dark">'
        f'<title>{esc(title)}</title><link rel="stylesheet" href="static/style.css"></head>'
        f'<body class="plain"><main class="card"><h1>{esc(title)}</h1>{body}{link}</main></body></html>\n'
    )


def fragments_of(state: State, csrf: str) -> dict[str, str]:
    """Make every fragment of the page."""
    return {
        "head": head(state, csrf),
        "note": f"<p>{esc(state['note'])}</p>" if state["note"] else "",
        "strip": strip(state),
        "processes": processes(state),
        "workers": workers(state),
        "stacks": stacks(state),
        "backlog": backlog(state),
        "latency": latency(state),
        "series": series(state),
        "events": events(state),
        "slowest": slowest(state),
        "process": process(state),
        "settings": pairs(state["settings"], "settings"),
        "flame": flame(state, csrf),
        "actions": actions(state, csrf),
        "taken": f"<time>{esc(state['taken_at'])}</time>",
    }


def head(state: State, csrf: str) -> str:
    """Make the meta elements that the script reads before it asks for the state."""
    transport = state["transport"]
    facts = (
        ("pastepool-csrf", csrf),
        ("pastepool-stream", "true" if transport["stream"] else "false"),
        ("pastepool-poll-every", transport["poll_every"]),
    )
    return "\n".join(f'<meta name="{name}" content="{esc(value)}">' for name, value in facts)


def status(word: str) -> str:
    """Write a worker's status, with the class that gives it its colour."""
    return f'<span class="status status-{esc(word)}">{esc(word)}</span>'


_ALWAYS = ("idle", "busy", "hung", "dying", "zombie")


def strip(state: State) -> str:
    """Make the summary of the pool: the verdict, how many workers have each status, the target and the cap."""
    pool, told = state["pool"], verdict_of(state)
    counts = "".join(
        f'<li class="status-{esc(word)}{"" if number else " none"}"><b>{number}</b> {status(word)}</li>'
        for word, number in sorted(pool["counts"].items(), key=lambda pair: pair[0] not in _ALWAYS)
        if number or word in _ALWAYS
    )
    figures = f"{counted(pool['size'], 'thread')}: target {pool['workers']}, cap {pool['max_workers']}"
    return (
        f'<div class="verdict"><p class="headline {told.mood}">{esc(told.headline)}</p>'
        f'<p class="reason">{esc(told.reason)}</p></div><ul class="strip">{counts}</ul>'
        f'<p class="figures">{figures}{"; draining" if pool["draining"] else ""}</p>'
    )


_PROCESS_COLUMNS = ("process", "pid", "generation", "state", "for", "requests", "running", "memory", "beat", "remarks")


def processes(state: State) -> str:
    """Make the table of the processes; nothing for a server with one."""
    rows = "".join(_process(one) for one in state.get("processes", ()))
    molds = "".join(_mold(one) for one in state.get("molds", ()))
    return table("processes", _PROCESS_COLUMNS, rows + molds) if rows or molds else ""


def _process(one: Mapping[str, Any]) -> str:
    silent = "" if one["silent_for"] is None else f"does not answer since {lasting(one['silent_for'])}"
    stacks = (
        f'<details class="stack"><summary>stacks</summary><pre>{esc(one["stacks"])}</pre></details>'
        if one["stacks"]
        else ""
    )
    cells = {
        "process": one["slot"],
        "pid": one["pid"],
        "generation": one["generation"],
        "state": esc(one["state"]),
        "for": lasting(one["for"]),
        "requests": one["requests"],
        "running": one["running"],
        "memory": _mebibytes(one["memory"]),
        "beat": "-" if one["beat_ago"] is None else f"{lasting(one['beat_ago'])} ago",
        "remarks": esc(silent) + stacks,
    }
    return f'<tr id="process-{one["pid"]}">{_cells(cells)}</tr>'


def _mold(one: Mapping[str, Any]) -> str:
    cells = {
        "process": "mold",
        "pid": one["pid"],
        "generation": one["generation"],
        "state": esc(one["state"]),
        "for": lasting(one["for"]),
        "requests": "-",
        "running": "-",
        "memory": _mebibytes(one["memory"]),
        "beat": "-",
        "remarks": "",
    }
    return f'<tr id="process-{one["pid"]}">{_cells(cells)}</tr>'


def _mebibytes(size: int | None) -> str:
    return "-" if size is None else f"{size / 1048576:.1f} MiB"


_WORKER_COLUMNS = ("worker", "status", "for", "request", "client", "doing", "cpu", "served", "kill")


def workers(state: State) -> str:
    """Make the table of workers. A worker that runs a request has its stack, folded, in its row."""
    by_id = {stack["id"]: stack for stack in state["stacks"]}
    crowd_of = {worker: crowd["id"] for crowd in crowds_of(state) for worker in crowd["workers"]}
    rows = "".join(_worker(row, by_id.get(row["stack"]), crowd_of.get(row["worker"])) for row in state["workers"])
    return table("workers", _WORKER_COLUMNS, rows)


def _worker(row: Mapping[str, Any], stack: Mapping[str, Any] | None, crowd: int | None) -> str:
    share = "" if row["cpu_share"] is None else f"{row['cpu_share']:.0%}"
    request = f"{esc(row['title'])}{' <em>(this page)</em>' if row['own'] else ''}"
    if row["request"]:
        request = f"<details><summary>{request}</summary>{pairs(row['request'], 'request')}</details>"
    cells = {
        "worker": f'<span title="{esc(row["name"])}">{esc(label_of(row))}</span>{_native(row)}',
        "status": status(row["status"]),
        "for": lasting(row["for"]),
        "request": request,
        "client": esc(row["client"]),
        "doing": _doing(row) + _stack(stack, crowd),
        "cpu": share,
        "served": row["served"],
        "kill": _kill(row),
    }
    attributes = f'id="worker-{row["worker"]}" class="status-{esc(row["status"])}" data-worker="{row["worker"]}"'
    serial = "" if row["serial"] is None else f' data-serial="{row["serial"]}"'
    return f"<tr {attributes}{serial}>{_cells(cells)}</tr>"


def _kill(row: Mapping[str, Any]) -> str:
    """Make the link that asks for a kill; or a button that says why nothing can be killed."""
    if row["kill_note"]:
        return f'<button class="kill" disabled title="{esc(row["kill_note"])}">kill</button>'
    if not row["can_kill"]:
        return ""
    process = f"&amp;slot={row['slot']}&amp;pid={row['pid']}" if "pid" in row else ""
    return f'<a class="kill" href="kill?worker={row["worker"]}&amp;serial={row["serial"]}{process}">kill</a>'


def _native(row: Mapping[str, Any]) -> str:
    return f' <small class="native">tid {row["native_id"]}</small>' if row["native_id"] else ""


def _doing(row: Mapping[str, Any]) -> str:
    parts = [row["phase"]] if row["phase"] not in ("", "running") else []
    parts += [row["doing"] or row["phase"], f"at {row['place']}" if row["place"] else ""]
    if row["unmoved_for"] is not None and row["unmoved_for"] >= 2:
        parts.append(f"has not moved for {lasting(row['unmoved_for'])}")
    return esc(", ".join(dict.fromkeys(part for part in parts if part)))


def _stack(stack: Mapping[str, Any] | None, crowd: int | None) -> str:
    """Make the stack of a row; or, if it is the stack of several workers in one crowd, a link to their crowd, below."""
    if stack is None:
        return ""
    if crowd is not None and len(stack["workers"]) > 1:
        return f' <a class="stack" href="#place-{crowd}">stack, with others</a>'
    unfolded = frames(stack["frames"], stack["telling"])
    return f'<details class="stack"><summary>stack</summary>{unfolded}</details>'


def frames(several: Sequence[Mapping[str, Any]], telling: int = -1) -> str:
    """
    Write a stack as a list, innermost call first.

    The application's own calls and the call at index ``telling`` are shown in full. Neighbouring calls of other owners
    are folded together.
    """
    parts = []
    for folded, run in itertools.groupby(enumerate(several), lambda pair: pair[1]["folded"] and pair[0] != telling):
        calls = list(run)
        items = "".join(_frame(frame, at == telling) for at, frame in calls)
        parts.append(_fold(items, [frame for _, frame in calls]) if folded else items)
    return f'<ol class="frames">{"".join(parts)}</ol>'


def _fold(items: str, several: Sequence[Mapping[str, Any]]) -> str:
    packages = list(dict.fromkeys(re.split(r"[/\\:]", frame["shown"])[0] for frame in several))
    named = ", ".join(packages[:3]) + (", ..." if len(packages) > 3 else "")
    summary = f"{counted(len(several), 'call')} in {esc(named)}"
    return f'<li class="fold"><details><summary>{summary}</summary><ol class="frames">{items}</ol></details></li>'


def _frame(frame: Mapping[str, Any], telling: bool = False) -> str:
    place = f"{esc(frame['shown'])}:{frame['line']}"
    source = f"<code>{esc(frame['source'])}</code>" if frame["source"] else ""
    head = f'<span class="place" title="{esc(frame["file"])}">{place}</span>'
    function = f'<span class="function">{esc(frame["function"])}</span>'
    mark = " telling" if telling else ""
    return f'<li class="frame {esc(frame["kind"])}{mark}">{head} {function}{source}</li>'


def stacks(state: State) -> str:
    """Make the list of places where two or more workers stand."""
    crowds = crowds_of(state)
    by_id = {stack["id"]: stack for stack in state["stacks"]}
    note = f"<p>{esc(state['stacks_note'])}</p>" if state["stacks_note"] else ""
    if not crowds:
        return note or "<p>No two workers stand in the same place.</p>"
    labels = {row["worker"]: label_of(row) for row in state["workers"]}
    return note + "".join(_crowd(group, by_id.get(group["stack"]), labels) for group in crowds)


def _crowd(group: Mapping[str, Any], stack: Mapping[str, Any] | None, labels: Mapping[int, str]) -> str:
    wait = f", {group['wait']}" if group["wait"] else ""
    numbers = ", ".join(f'<a href="#worker-{number}">{esc(labels[number])}</a>' for number in group["workers"])
    count = counted(len(group["workers"]), "thread")
    summary = f"<b>{count} are here</b> <code>{esc(group['place'])}</code>{esc(wait)}"
    unfolded = frames(stack["frames"], stack["telling"]) if stack else ""
    # The target of the links is inside of the part that is folded, because a browser then unfolds it.
    target = f'<p id="place-{group["id"]}">Workers {numbers}</p>'
    return f'<details class="stack"><summary>{summary}</summary>{target}{unfolded}</details>'


def backlog(state: State) -> str:
    """Describe the backlog, with a table of the waiting requests, and count the open connections."""
    found = state["backlog"]
    oldest = f", the oldest for {lasting(found['oldest_for'])}" if found["oldest_for"] is not None else ""
    most = "" if found["limit"] is None else f" of at most {found['limit']}"
    line = f"<p>{counted(found['length'], 'request')} waiting{most}{oldest}.</p>"
    cells = [
        {"waited": lasting(one["waited_for"]), "request": esc(one["title"]), "client": esc(one["client"])}
        for one in found["waiting"]
    ]
    rows = "".join(f"<tr>{_cells(one)}</tr>" for one in cells)
    connections = state["connections"]
    if connections["open"] is not None:
        line += f"<p>{counted(connections['open'], 'connection')} open of at most {connections['limit']}.</p>"
    return line + (table("backlog", ("waited", "request", "client"), rows) if rows else "")


def latency(state: State) -> str:
    """Make the table of how long the parts of requests took, with a histogram of each part."""
    words = ("count", "p50", "p95", "p99", "max")
    parts = state["latency"]
    rows = "".join(
        f"<tr>{_cells({'part': part, **{word: _figure(word, one[word]) for word in words}})}</tr>"
        for part, one in parts.items()
    )
    return table("latency", ("part", *words), rows) + "".join(_histogram(part, one) for part, one in parts.items())


def _figure(word: str, value: float | None) -> str:
    if value is None:
        return "-"
    return str(value) if word == "count" else f"{value * 1000:.2f} ms" if value < 1 else lasting(value)


def _histogram(part: str, one: Mapping[str, Any]) -> str:
    if not one["buckets"]:
        return ""
    most = max(count for _, count in one["buckets"])
    rows = "".join(
        f'<tr><th scope="row">{"more" if upper is None else _figure("", upper)}</th>'
        f'<td><meter min="0" max="{most}" value="{count}">{count}</meter></td><td>{count}</td></tr>'
        for upper, count in one["buckets"]
    )
    return f'<details class="histogram"><summary>{part}</summary><table><tbody>{rows}</tbody></table></details>'


def series(state: State) -> str:
    """Draw the curves of the last minutes. Text beside each curve gives its last and its highest value."""
    found = state["series"]
    names = {"requests": "requests a second", "busy": "busy", "hung": "hung", "backlog": "waiting"}
    parts = [
        _spark(name, found[name], words, found["limit"])
        for name, words in names.items()
        if found[name] and found[name][-1] is not None
    ]
    return f'<div class="sparks">{"".join(parts)}</div>' if parts else "<p>The sampler has just begun.</p>"


def _spark(name: str, values: Sequence[float | None], words: str, limit: int) -> str:
    peak = max(value for value in values if value is not None)
    return (
        f'<figure class="spark"><figcaption><b>{values[-1]:g}</b> <span class="what">{words}</span>'
        f'<span class="peak">peak {peak:g}</span></figcaption><svg viewBox="0 0 300 44" preserveAspectRatio="none"'
        f' role="img" aria-label="{words}: now {values[-1]:g}, highest {peak:g}">'
        f'<path class="line {name}" d="{_curve(values, max(5.0, peak), max(2, limit))}"/></svg></figure>'
    )


def _curve(values: Sequence[float | None], top: float, limit: int) -> str:
    """
    Return the SVG path of a curve that ends at the right edge. The curve has a gap where a value is None: not sampled.
    """
    step, points, pen = 300 / (limit - 1), [], "M"
    for at, value in enumerate(values):
        if value is None:
            pen = "M"
            continue
        points.append(f"{pen}{300 - (len(values) - 1 - at) * step:.1f} {43 - value / top * 40:.1f}")
        pen = "L"
    return "".join(points)


def events(state: State) -> str:
    """Make the table of events."""
    rows = "".join(_event(event) for event in state["events"])
    return table("events", ("at", "event", "what"), rows) if rows else "<p>Nothing has happened yet.</p>"


def _event(event: Mapping[str, Any]) -> str:
    what = esc(event["text"])
    if event["stack"] or event["detail"]:
        body = f"<p>{esc(event['detail'])}</p>{frames(event['stack'])}"
        what = f'<details class="stack"><summary>{what}</summary>{body}</details>'
    kind = f'<span class="event">{esc(event["kind"])}</span>'
    return f'<tr id="event-{event["id"]}">{_cells({"at": esc(event["at"]), "event": kind, "what": what})}</tr>'


def slowest(state: State) -> str:
    """Make the table of the slowest finished requests."""
    rows = "".join(
        f"<tr>{_cells(cells)}</tr>"
        for one in state["slowest"]
        for cells in [
            {
                "took": lasting(one["duration"]),
                "request": esc(one["title"]),
                "client": esc(one["client"]),
                "status": f"{one['status'] or '-'} {esc(one['fate'])}",
                "ago": lasting(one["ago"]),
            }
        ]
    )
    return (
        table("slowest", ("took", "request", "client", "status", "ago"), rows)
        if rows
        else "<p>No request took longer than 1 ms.</p>"
    )


def process(state: State) -> str:
    """Make the lists of the facts about the process and of the counters."""
    found = state["process"]
    megabytes = {
        word: "-" if found[word] is None else f"{found[word] / 1048576:.1f} MiB" for word in ("memory", "memory_peak")
    }
    generations = ", ".join(f"{one['tracked']}/{one['threshold']} ({one['collections']} runs)" for one in found["gc"])
    facts: list[Sequence[object]] = [
        ("version", f"{program(state)}, {found['python']} on {found['platform']}"),
        ("process", f"{found['pid']} on {found['host']}"),
        ("running since", found["started_at"] or "-"),
        ("up", lasting(found["uptime"])),
        ("memory", f"{megabytes['memory']}, at most {megabytes['memory_peak']}"),
        ("descriptors", f"{found['descriptors']} of {found['descriptor_limit']}"),
        ("threads", found["threads"]),
        (
            "CPU",
            f"{found['cpu_seconds']:.1f} s" + ("" if found["cpu_share"] is None else f", now {found['cpu_share']:.0%}"),
        ),
        ("garbage collector", generations),
        ("GIL", "yes" if found["gil"] else "no"),
    ]
    totals = {**state["totals"]}
    if "counted_for" in totals:
        totals["counted_for"] = lasting(totals["counted_for"])
    return pairs(facts, "process") + pairs(
        [(word.replace("_", " "), value) for word, value in totals.items()], "totals"
    )


def flame(state: State, csrf: str) -> str:
    """Show the last flame graph, and the buttons that start a new one."""
    found = state["flame"]
    if found["running"]:
        return f"<p>Looking for {lasting(found['left'])} more; load the page again then.</p>"
    picture = (
        f"<p>{esc(found['title'])}; cost {found['cost_share']:.1%} of one processor.</p>"
        '<p><a href="flame.svg"><img class="flame" src="flame.svg" alt="Flame graph: which calls were running"></a></p>'
        if found["ready"]
        else ""
    )
    if not state["actions"]["flame"]:
        return picture
    buttons = "".join(f'<button name="seconds" value="{seconds}">{seconds} s</button> ' for seconds in found["choices"])
    form = f"{hidden(csrf=csrf)}<p>Look at all workers for {buttons}</p>"
    return f'{picture}<form method="post" action="flame">{form}</form>'


def actions(state: State, csrf: str) -> str:
    """Make a button for each other action that the visitor may take."""
    words = {"dump": "Write all stacks to the log", "reset": "Reset counters"}
    forms = [
        f'<form method="post" action="{name}">{hidden(csrf=csrf)}<button>{label}</button></form>'
        for name, label in words.items()
        if state["actions"][name]
    ]
    if state["you"]["logged_in"]:
        forms.append(f'<form method="post" action="logout">{hidden(csrf=csrf)}<button>Log out</button></form>')
    return "".join(forms)


def hidden(**fields: object) -> str:
    """Make hidden fields of a form."""
    return "".join(f'<input type="hidden" name="{name}" value="{esc(value)}">' for name, value in fields.items())


def pairs(several: Sequence[Sequence[object]], name: str) -> str:
    """Make a list of words and their values. ``name``: its class."""
    lines = "".join(f"<div><dt>{esc(word)}</dt><dd>{esc(value)}</dd></div>" for word, value in several)
    return f'<dl class="{name}">{lines}</dl>'


def table(name: str, columns: Sequence[str], rows: str) -> str:
    """Make a table. ``_cells`` makes its cells; each names its column, so that a narrow screen can stack them."""
    heads = "".join(f'<th scope="col" class="{column}">{column}</th>' for column in columns)
    return f'<table class="{name}"><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table>'


def _cells(cells: Mapping[str, object]) -> str:
    return "".join(f'<td class="{column}" data-label="{column}">{value}</td>' for column, value in cells.items())
