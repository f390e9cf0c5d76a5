"""The rows of options of patience: how long the server waits for clients, and at the stop."""

from __future__ import annotations

from pastepool.core.policy import Timeouts
from pastepool.settings.option import Option
from pastepool.settings.parsing import Duration

_TIMEOUTS = Timeouts()

ROWS: tuple[Option, ...] = (
    Option(
        names=("header_timeout",),
        parser=Duration(),
        default=_TIMEOUTS.header,
        unit="seconds",
        field="timeouts.header",
        since="0.1",
        doc="How long a client may take to send the request line and the headers. The time begins with the first byte"
        " of the request; on a new connection it begins with the accept. 0 waits for ever.",
        why="They fit into one or two packets. Only a client that is slow on purpose needs longer.",
        group="Patience",
    ),
    Option(
        names=("body_timeout",),
        parser=Duration(),
        default=_TIMEOUTS.body,
        unit="seconds",
        field="timeouts.body",
        since="0.1",
        doc="How long a client may take to send the body, counted from the end of the headers. Every 4096 bytes that"
        " arrive add a second, but no pause between two bytes may be longer. 0 waits for ever.",
        why="A minute is enough for the pauses of a bad mobile connection.",
        group="Patience",
    ),
    Option(
        names=("keep_alive_timeout",),
        parser=Duration(),
        default=_TIMEOUTS.keep_alive,
        unit="seconds",
        field="timeouts.keep_alive",
        since="0.1",
        doc="How long a connection may stay open between two requests; 0 waits for ever.",
        why="Common proxies drop an idle connection after 60 s. With a longer time here, the proxy drops it first, and"
        " never sends a request on a connection that the server is just closing.",
        group="Patience",
    ),
    Option(
        names=("send_timeout",),
        parser=Duration(),
        default=_TIMEOUTS.send,
        unit="seconds",
        field="timeouts.send",
        since="0.1",
        doc="How long a client may take to read output, counted from the first byte that its socket did not take at"
        " once. Every 4096 bytes that it reads add a second, but no pause between two bytes may be longer. 0 waits"
        " for ever.",
        why="The same as for an upload (body_timeout).",
        group="Patience",
    ),
    Option(
        names=("socket_timeout",),
        parser=Duration(),
        default=None,
        unit="seconds",
        field="",
        since="0.1",
        doc="Sets those of header_timeout, body_timeout, keep_alive_timeout and send_timeout that are not set"
        " themselves; 0 switches them off.",
        why="It exists because Paste has it (contract P18). Without it, each of the four has a better default of its"
        " own.",
        group="Patience",
        default_text="not set",
        example="60s",
    ),
    Option(
        names=("idle_grace",),
        parser=Duration(),
        default=_TIMEOUTS.idle_grace,
        unit="seconds",
        field="timeouts.idle_grace",
        since="0.1",
        doc="How long a server that stops keeps connections on which no request has begun. A request that comes on one is"
        " answered with Connection: close. Without such connections the stop takes no longer; 0 closes them at once.",
        why="A client may have sent a request at the very moment at which the server would close its connection. A proxy"
        " must not send a POST again, and answers 502.",
        group="Patience",
    ),
    Option(
        names=("shutdown_timeout",),
        parser=Duration(),
        default=_TIMEOUTS.shutdown,
        unit="seconds",
        field="timeouts.shutdown",
        since="0.1",
        doc="How long the process may live after the first stop signal, even if requests still hang.",
        why="Container runtimes kill a process after 10 s, init systems later. It is better if the process ends by"
        " itself and logs what still runs.",
        group="Patience",
    ),
)
