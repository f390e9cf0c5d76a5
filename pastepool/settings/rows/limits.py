"""The rows of options of limits: how large a request may be, and how much memory and disk it may take."""

from __future__ import annotations

from pastepool.http1.limits import Limits
from pastepool.settings.option import Option
from pastepool.settings.parsing import Number, Size

_LIMITS = Limits()

ROWS: tuple[Option, ...] = (
    Option(
        names=("max_request_target",),
        parser=Size(1, 1048576),
        default=_LIMITS.request_target,
        unit="bytes",
        field="limits.request_target",
        since="0.1",
        doc="The longest request target (path and query); longer ones are answered 414.",
        why="RFC 9110 recommends at least 8000.",
        group="Limits",
    ),
    Option(
        names=("max_header_bytes",),
        parser=Size(1, 16777216),
        default=_LIMITS.header_bytes,
        unit="bytes",
        field="limits.header_bytes",
        since="0.1",
        doc="The largest size of request line and header fields together; more is answered 431.",
        why="Room for several large cookies; the standard library has the same limit.",
        group="Limits",
    ),
    Option(
        names=("max_header_count",),
        parser=Number(1, 10000),
        default=_LIMITS.header_count,
        unit="fields",
        field="limits.header_count",
        since="0.1",
        doc="The most header fields in a request; more are answered 431.",
        why="The same as in the standard library. A browser and its proxies together send about 30.",
        group="Limits",
    ),
    Option(
        names=("max_body_bytes",),
        parser=Size(0, 2**50),
        default=_LIMITS.body_bytes,
        unit="bytes",
        field="limits.body_bytes",
        since="0.1",
        doc="The largest request body; more is answered 413. 0 sets no limit.",
        why="Large enough for uploads. Larger bodies fill the disk for temporary files, so they must be allowed"
        " explicitly.",
        group="Limits",
    ),
    Option(
        names=("body_memory",),
        parser=Size(0, 2**30),
        default=524288,
        unit="bytes",
        field="body_memory",
        since="0.1",
        doc="A request body up to this size is kept in memory; a larger one goes to a temporary file.",
        why="Forms and JSON stay in memory.",
        group="Limits",
    ),
    Option(
        names=("body_memory_total",),
        parser=Size(0, 2**40),
        default=67108864,
        unit="bytes",
        field="body_memory_total",
        since="0.1",
        doc="The bodies of all requests together take at most so much memory; a body for which none is left goes to a"
        " temporary file.",
        why="128 of the largest bodies that may be in memory. More of them at once are an attack, or large enough to be"
        " as fast from a file.",
        group="Limits",
    ),
    Option(
        names=("output_high_watermark",),
        parser=Size(1, 2**30),
        default=1048576,
        unit="bytes",
        field="output_high_watermark",
        since="0.1",
        doc="How much output the server keeps in memory for a slow client; what follows goes to a temporary file"
        " (output_spool). A piece that begins below this size is kept whole.",
        why="Nearly every page fits.",
        group="Limits",
    ),
    Option(
        names=("output_spool",),
        parser=Size(0, 2**40),
        default=67108864,
        unit="bytes",
        field="output_spool",
        since="0.1",
        doc="How much output of one response the server keeps in a temporary file for a slow client; beyond it the worker"
        " waits for the client. 0 keeps none.",
        why="Nearly every download fits, so its worker is free as soon as the application has made it.",
        group="Limits",
    ),
    Option(
        names=("spool_total",),
        parser=Size(0, 2**50),
        default=4294967296,
        unit="bytes",
        field="spool_total",
        since="0.1",
        doc="The temporary files of all requests and responses together hold at most so much. Beyond it an upload that"
        " does not fit in memory is answered 503, and the worker of a slow client waits. 0 sets no limit.",
        why="64 of the largest responses, or four of the largest uploads. The directory for temporary files should have"
        " so much room.",
        group="Limits",
    ),
)
