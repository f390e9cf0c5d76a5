"""The rows of options of overload: how many requests and connections wait, and for how long."""

from __future__ import annotations

from pastepool.core.policy import OverloadPolicy
from pastepool.settings.option import Option
from pastepool.settings.parsing import Duration, Number, UrlPath

_OVERLOAD = OverloadPolicy()

ROWS: tuple[Option, ...] = (
    Option(
        names=("queue_limit",),
        parser=Number(0, 10**6),
        default=_OVERLOAD.queue_limit,
        unit="requests",
        field="overload.queue_limit",
        since="0.1",
        doc="How many complete requests may wait for a worker; a further one is answered 503 at once.",
        why="Ten workers that need 0.3 s for a request finish this many in the 30 s of queue_timeout.",
        group="Overload",
    ),
    Option(
        names=("queue_timeout",),
        parser=Duration(minimum=0.001),
        default=_OVERLOAD.queue_timeout,
        unit="seconds",
        field="overload.queue_timeout",
        since="0.1",
        doc="A request that has waited this long for a worker is answered 503.",
        why="Hardly any user waits longer for a page, and proxies in front of the server give up after 60 s.",
        group="Overload",
    ),
    Option(
        names=("connection_limit",),
        parser=Number(1, 10**6),
        default=_OVERLOAD.connection_limit,
        unit="connections",
        field="overload.connection_limit",
        since="0.1",
        doc="The most connections that may be open at once. It is lowered if the process may not open so many files. For"
        " a further client, the connection that has waited longest for a request or for the rest of one is closed; if"
        " all are being served, the client is answered 503.",
        why="An idle connection costs a few KiB, so this many need about 40 MiB.",
        group="Overload",
    ),
    Option(
        names=("connection_limit_per_address",),
        parser=Number(0, 10**6),
        default=_OVERLOAD.connection_limit_per_address,
        unit="connections",
        field="overload.connection_limit_per_address",
        since="0.1",
        doc="The most connections that may be open at once from one address; a further one is answered 503. 0 sets no"
        " limit.",
        why="Behind a proxy all connections come from one address, and behind one address there may be a whole office.",
        group="Overload",
    ),
    Option(
        names=("health_path",),
        parser=UrlPath(),
        default="",
        unit="",
        field="health_path",
        since="0.1",
        doc="A path that the server itself answers with 200, without a worker, also while all workers hang.",
        why="Off, because the application does not get the requests for this path.",
        group="Overload",
        default_text="off",
        example="/healthz",
    ),
)
