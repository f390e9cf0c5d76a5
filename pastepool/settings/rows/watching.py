"""The rows of options of the listener that shows the page of ``watch_threads``."""

from __future__ import annotations

from pastepool.settings.networks import LOOPBACK, Networks
from pastepool.settings.option import Option
from pastepool.settings.parsing import PORT, HostPort, Secret, Truth

ROWS: tuple[Option, ...] = (
    Option(
        names=("admin_listen",),
        parser=HostPort(),
        default="",
        unit="",
        field="admin.listen.host",
        since="0.1",
        doc="An address, as host:port, where the page of watch_threads is served by threads of its own, also while"
        " every worker hangs.",
        why="Off: a port that shows what the server does must be asked for.",
        group="Watching",
        default_text="off",
        example="127.0.0.1",
    ),
    Option(
        names=("admin_port",),
        parser=PORT,
        default=8081,
        unit="",
        field="admin.listen.port",
        since="0.1",
        doc="The port of admin_listen, where that does not say.",
        why="One more than the server's own default.",
        group="Watching",
    ),
    Option(
        names=("admin_token",),
        parser=Secret(),
        default="",
        unit="",
        field="admin.token",
        since="0.1",
        doc="A secret that a client must send to see the page of admin_listen. Without admin_token only this machine"
        " may see it, and admin_listen must be a loopback address.",
        why="A default secret would be printed in this manual, so it would not be secret.",
        group="Watching",
        default_text="none",
        example="a-long-random-text",
        secret=True,
    ),
    Option(
        names=("admin_allow_from",),
        parser=Networks(),
        default=LOOPBACK,
        unit="",
        field="admin.allow_from",
        since="0.1",
        doc="The addresses and networks that may connect to admin_listen. For other machines than this one,"
        " admin_token is needed as well.",
        why="The page shows private data (contract P17).",
        group="Watching",
    ),
    Option(
        names=("admin_allow_kill",),
        parser=Truth(),
        default=False,
        unit="",
        field="admin.allow_kill",
        since="0.1",
        doc="Whether requests can be killed from the page of admin_listen.",
        why="Looking at requests does no harm, killing one may. It is off like allow_kill in Paste.",
        group="Watching",
    ),
)
