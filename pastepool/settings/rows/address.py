"""The rows of options that say where the server listens."""

from __future__ import annotations

from pastepool.settings.listeners import Listeners
from pastepool.settings.option import Option
from pastepool.settings.parsing import PORT, HostPort, Number

ROWS: tuple[Option, ...] = (
    Option(
        names=("host",),
        parser=HostPort(),
        default="127.0.0.1",
        unit="",
        field="listen.host",
        since="0.1",
        doc="The address or host name to listen on; :: and * take connections of both IP families, and host:port sets"
        " the port too when port is not given.",
        why="A server nobody configured should not be reachable from other machines.",
        group="Address",
        default_text="see listen",
    ),
    Option(
        names=("port",),
        parser=PORT,
        default=8080,
        unit="",
        field="listen.port",
        since="0.1",
        doc="The TCP port to listen on; 0 takes a free one and shows it in the start line.",
        why="Paste's own, so that a file without it keeps its address.",
        group="Address",
    ),
    Option(
        names=("listen",),
        parser=Listeners(),
        default=(),
        unit="",
        field="listen.addresses",
        since="0.1",
        doc="The places to listen on, separated by blanks or line breaks: host:port (port 8080 without one),"
        " unix:/run/shop.sock for a unix socket, unix:@shop for an abstract name of Linux, systemd for the sockets that"
        " systemd passes, systemd:NAME for one of them. After a place may stand"
        " tls (clients speak TLS; see ssl_pem), proxy (every client begins with a header of the PROXY protocol),"
        " backlog=, and for the file of a unix socket"
        " mode= (660 if not set) and owner=user:group. host and port are refused beside it.",
        why="One address is the usual case, and Paste's names for it are host and port.",
        group="Address",
        default_text="not set",
        example="127.0.0.1:8080 [::1]:8080",
    ),
    Option(
        names=("request_queue_size",),
        parser=Number(1, 1048576),
        default=1024,
        unit="connections",
        field="listen_backlog",
        since="0.1",
        doc="The listen backlog: how many connections the kernel holds until the server accepts them. The kernel"
        " lowers it to its own limit (net.core.somaxconn).",
        why="With Paste's 5, connections are lost when many clients connect at once. A waiting connection costs almost"
        " nothing.",
        group="Address",
    ),
)
