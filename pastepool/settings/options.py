"""
The table of all options. Parsing, errors, ``Settings.shown`` and the reference page are made from it.

It has names, parsers, defaults and reasons; ``reading`` reads a file with it. The defaults of pool, overload, timeouts
and limits are defined in ``core.policy`` and ``http1.limits``. The table takes them from there.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping

from pastepool.core.policy import OverloadPolicy, PoolPolicy, Timeouts
from pastepool.errors import KILL_EXCEPTIONS
from pastepool.http1.limits import Limits
from pastepool.settings.option import Option
from pastepool.settings.parsing import (
    LOOPBACK,
    PORT,
    Choice,
    Duration,
    HostPort,
    Listeners,
    MailAddress,
    MailAddresses,
    Networks,
    Number,
    ProxyFields,
    ProxyNetworks,
    Refused,
    Secret,
    Size,
    Text,
    Truth,
    UrlPath,
    UrlPrefix,
)

_POOL = PoolPolicy()
_OVERLOAD = OverloadPolicy()
_TIMEOUTS = Timeouts()
_LIMITS = Limits()

MOST_WORKERS = 10000
"""Far above any pool that makes sense in one process, and below the number of threads that a process can have."""

_TLS_LATER = "TLS comes in a later release; put a proxy that terminates TLS in front of the server"

_ADDRESS = (
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
        " proxy (every client begins with a header of the PROXY protocol), backlog=, and for the file of a unix socket"
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
    Option(
        names=("ssl_pem",),
        parser=Refused(_TLS_LATER),
        default=None,
        unit="",
        field="",
        since="0.1",
        doc="The PEM file with key and certificate chain. This release does not serve TLS, so the option is refused.",
        why="Serving plain HTTP where TLS was asked for would be worse than not starting.",
        group="Address",
        default_text="not set",
    ),
    Option(
        names=("ssl_context",),
        parser=Refused(_TLS_LATER),
        default=None,
        unit="",
        field="",
        since="0.1",
        doc="An SSL context object, set by a program. This release does not serve TLS, so the option is refused.",
        why="Serving plain HTTP where TLS was asked for would be worse than not starting.",
        group="Address",
        default_text="not set",
    ),
)

_POOL_OPTIONS = (
    Option(
        names=("threadpool_workers",),
        parser=Number(1, MOST_WORKERS),
        default=_POOL.workers,
        unit="workers",
        field="pool.workers",
        since="0.1",
        doc="How many workers should be able to take a request at any time; hung workers do not count.",
        why="The same as in Paste. Enough for an application that waits for a database, and few enough that the"
        " workers seldom wait for the GIL.",
        group="Pool",
    ),
    Option(
        names=("threadpool_max_workers",),
        parser=Number(1, MOST_WORKERS),
        default=None,
        unit="workers",
        field="pool.max_workers",
        since="0.1",
        doc="The most worker threads that may exist at once, hung ones included.",
        why="Three whole pools may hang and a fourth still works. Paste has no cap, so its number of threads can grow"
        " without limit.",
        group="Pool",
        default_text="4 x threadpool_workers",
        example=str(_POOL.max_workers),
    ),
    Option(
        names=("threadpool_spawn_if_under",),
        parser=Number(0, MOST_WORKERS),
        default=_POOL.spawn_if_under,
        unit="workers",
        field="pool.spawn_if_under",
        since="0.1",
        doc="While requests wait, workers are added until this many are busy and not hung; 0 adds none.",
        why="The same as in Paste. If threadpool_workers is smaller, the default is lowered to it.",
        group="Pool",
    ),
    Option(
        names=("threadpool_hung_thread_limit",),
        parser=Duration(minimum=0.001),
        default=_POOL.hung_after,
        unit="seconds",
        field="pool.hung_after",
        since="0.1",
        doc="A worker that has been in the same application call for this long counts as hung and is reported with its"
        " stack.",
        why="The same as in Paste (contract P6). Hardly any user waits longer for a page.",
        group="Pool",
    ),
    Option(
        names=("threadpool_kill_thread_limit",),
        parser=Duration(),
        default=_POOL.kill_after,
        unit="seconds",
        field="pool.kill_after",
        since="0.1",
        doc="A worker that has been in the same application call for this long is killed and replaced; 0 never kills.",
        why="The same as in Paste (contract P7). Long enough for a slow report or a slow upload to finish.",
        group="Pool",
    ),
    Option(
        names=("threadpool_dying_limit", "threadpool_dying_thread_limit"),
        parser=Duration(),
        default=_POOL.dying_for,
        unit="seconds",
        field="pool.dying_for",
        since="0.1",
        doc="A killed worker that still lives after this long counts as a zombie.",
        why="The same as in Paste (contract P9). The application can clean up for a tenth of this time, half a minute;"
        " then the kill is repeated.",
        group="Pool",
    ),
    Option(
        names=("threadpool_max_zombie_threads_before_die", "threadpool_max_zombies_before_die"),
        parser=Number(0, MOST_WORKERS),
        default=_POOL.max_zombies,
        unit="workers",
        field="pool.max_zombies",
        since="0.1",
        doc="With more zombies than this the process ends with status 3, so that a process monitor starts it again;"
        " 0 never ends it.",
        why="The same as in Paste (contract P10). Ending the process helps only if something starts it again.",
        group="Pool",
    ),
    Option(
        names=("threadpool_hung_check_period",),
        parser=Number(0, 10**9),
        default=_POOL.check_every,
        unit="requests",
        field="pool.check_every",
        since="0.1",
        doc="The supervisor looks at the workers once more after this many requests, at most four times a second. With"
        " 0 it looks only when time makes it necessary, and no hung worker is missed.",
        why="The same as in Paste (contract P7).",
        group="Pool",
    ),
    Option(
        names=("threadpool_max_requests",),
        parser=Number(0, 10**9),
        default=_POOL.max_requests,
        unit="requests",
        field="pool.max_requests",
        since="0.1",
        doc="A worker thread is replaced after about this many requests; 0 never replaces it.",
        why="Replacing a thread frees no memory that CPython would not free anyway, so Paste's 100 only costs time.",
        group="Pool",
    ),
    Option(
        names=("threadpool_idle_timeout",),
        parser=Duration(),
        default=_POOL.idle_for,
        unit="seconds",
        field="pool.idle_for",
        since="0.1",
        doc="Workers beyond threadpool_workers end when they have not been needed for this long.",
        why="The same time after which a worker counts as hung. With a shorter time, the pool would start and end"
        " threads at every short peak.",
        group="Pool",
    ),
    Option(
        names=("kill_unblocks_sockets",),
        parser=Truth(),
        default=_POOL.unblock_sockets,
        unit="",
        field="pool.unblock_sockets",
        since="0.1",
        doc="Whether a kill also shuts down the socket on which the worker waits, if it is not the client's: the socket"
        " to a database, for example.",
        why="Off, because other threads may use the same connection.",
        group="Pool",
    ),
    Option(
        names=("threadpool_kill_exception",),
        parser=Choice(tuple(KILL_EXCEPTIONS)),
        default=_POOL.kill_exception,
        unit="",
        field="pool.kill_exception",
        since="0.1",
        doc="What a kill raises in the application. With SystemExit it is a subclass of WorkerKilled and of SystemExit, for"
        " applications that clean up after a SystemExit. A C extension that cannot hand it on may then end the process:"
        " psycopg2 does so.",
        why="Nothing takes a WorkerKilled for the wish to end the process. Paste raises SystemExit (contract P8).",
        group="Pool",
    ),
    Option(
        names=("threadpool_kill_without_gil",),
        parser=Truth(),
        default=_POOL.kill_without_gil,
        unit="",
        field="pool.kill_without_gil",
        since="0.1",
        doc="Whether requests are killed even if Python runs without the GIL (a free-threaded build).",
        why="Off, because a request that is killed there may leave a lock taken for ever, and then others hang too. See"
        " the page on free-threaded Python.",
        group="Pool",
    ),
    Option(
        names=("threadpool_logger",),
        parser=Text(),
        default="paste.httpserver.ThreadPool",
        unit="",
        field="logger",
        since="0.1",
        doc="The name of the logger to which the pool writes.",
        why="The same as in Paste, because the [loggers] sections of existing files have this name.",
        group="Pool",
    ),
    Option(
        names=("use_threadpool",),
        parser=Truth(),
        default=True,
        unit="",
        field="",
        since="0.1",
        doc="Accepted, because Paste's files have it. The pool is used with false too, and a line in the log says so.",
        why="Without a pool, each request has its own thread, and the number of threads has no limit.",
        group="Pool",
    ),
    Option(
        names=("daemon_threads",),
        parser=Truth(),
        default=None,
        unit="",
        field="",
        since="0.1",
        doc="Accepted, because Paste's files have it, but without effect, and a line in the log says so.",
        why="shutdown_timeout limits the exit: no thread of the pool keeps the process alive longer, daemon or not.",
        group="Pool",
        default_text="not set",
        example="true",
    ),
)

_OVERLOAD_OPTIONS = (
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

_PATIENCE = (
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

_LIMIT_OPTIONS = (
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

_HTTP = (
    Option(
        names=("protocol_version",),
        parser=Choice(("HTTP/1.1", "HTTP/1.0"), also=(("http/0.9", "HTTP/1.0"),)),
        default="HTTP/1.1",
        unit="",
        field="protocol_version",
        since="0.1",
        doc="The version of HTTP in responses. With HTTP/1.0 the server closes the connection after each response, as"
        " Paste does by default. HTTP/0.9 means HTTP/1.0 here.",
        why="Keep-alive and chunked responses are what clients and proxies expect today.",
        group="HTTP",
    ),
    Option(
        names=("server_version",),
        parser=Text(),
        default="pastepool",
        unit="",
        field="server_header",
        since="0.1",
        doc="The Server header of responses.",
        why="The name of the product. Paste also shows its version, which helps an attacker.",
        group="HTTP",
        default_text="none",
    ),
    Option(
        names=("url_scheme",),
        parser=Choice(("http", "https")),
        default="",
        unit="",
        field="public.url_scheme",
        since="0.1",
        doc="The scheme that the application is told (wsgi.url_scheme), if a proxy speaks https with the clients.",
        why="The server itself speaks http.",
        group="HTTP",
        default_text="that of the listener",
        example="https",
    ),
    Option(
        names=("url_prefix",),
        parser=UrlPrefix(),
        default="",
        unit="",
        field="public.url_prefix",
        since="0.1",
        doc="The path below which a proxy shows the application. It becomes SCRIPT_NAME, and is taken off PATH_INFO where"
        " the path begins with it.",
        why="Most applications have a host name of their own.",
        group="HTTP",
        default_text="none",
        example="/shop",
    ),
    Option(
        names=("trusted_proxies",),
        parser=ProxyNetworks(),
        default=(),
        unit="",
        field="trusted_proxies.peers",
        since="0.1",
        doc="The addresses and networks of the proxies that are believed what they say of the client, and the word unix"
        " for those that connect to a unix socket. Fields of proxies in requests from other clients are removed.",
        why="A client that reaches the server directly can send the same fields. If nothing is set, nothing is believed and"
        " nothing is removed, so that middleware of existing files goes on as it did.",
        group="HTTP",
        default_text="none",
        example="127.0.0.1, 10.0.0.0/8, unix",
    ),
    Option(
        names=("trusted_proxy_headers",),
        parser=ProxyFields(),
        default=("x-forwarded",),
        unit="",
        field="trusted_proxies.fields",
        since="0.1",
        doc="The fields that trusted_proxies are believed: x-forwarded (X-Forwarded-For, -Proto, -Host, -Port and -Prefix)"
        " or forwarded (RFC 7239). With x-forwarded-prefix beside x-forwarded, X-Forwarded-Prefix counts for every path;"
        " otherwise for paths below it. In a section with egg:pastepool#main beside trusted_proxy, it is waitress's.",
        why="Most proxies set these. A proxy sets one of the two, and a client could send the other.",
        group="HTTP",
    ),
    Option(
        names=("proxy_from",),
        parser=Networks(),
        default=(),
        unit="",
        field="proxy_headers.allowed",
        since="0.1",
        doc="The addresses and networks that may connect to an address of listen with the word proxy. A unix socket needs"
        " none: the rights of its file say who may connect.",
        why="A client that could send a header of the PROXY protocol could take any address.",
        group="HTTP",
        default_text="none",
        example="10.0.0.5",
    ),
    Option(
        names=("proxy_timeout",),
        parser=Duration(0.001),
        default=3.0,
        unit="",
        field="proxy_headers.timeout",
        since="0.1",
        doc="How long a client of an address with the word proxy may take to send its header. Then the connection is"
        " closed without an answer.",
        why="A load balancer sends it at once, together with the connection.",
        group="HTTP",
    ),
    Option(
        names=("server_name",),
        parser=Text(),
        default="",
        unit="",
        field="public.server_name",
        since="0.1",
        doc="The SERVER_NAME that the application is told. Most applications look at the Host header first.",
        why="The address of the listener is right for requests without a proxy.",
        group="HTTP",
        default_text="that of the listener",
        example="shop.example",
    ),
    Option(
        names=("expose_tracebacks",),
        parser=Truth(),
        default=False,
        unit="",
        field="expose_tracebacks",
        since="0.1",
        doc="Whether a client is sent the traceback when the application fails, beside the log.",
        why="A traceback shows how the application works, and sometimes secrets.",
        group="HTTP",
    ),
    Option(
        names=("access_log",),
        parser=Truth(),
        default=False,
        unit="",
        field="access_log",
        since="0.1",
        doc="Whether one line for each request is logged to pastepool.access.",
        why="A proxy in front of the server usually logs already, and the line takes more CPU time than the rest of a"
        " short request.",
        group="HTTP",
    ),
    Option(
        names=("handler",),
        parser=Refused("request handlers are no part of this server; wrap the application in middleware instead"),
        default=None,
        unit="",
        field="",
        since="0.1",
        doc="The request handler class of Paste. It is refused, because this server has no request handlers.",
        why="It never worked in an INI file, not even with Paste.",
        group="HTTP",
        default_text="not set",
    ),
    Option(
        names=("start_loop",),
        parser=Refused("the server is started where it serves; leave the line out", true_passes=True),
        default=None,
        unit="",
        field="",
        since="0.1",
        doc="With false, Paste binds the port without serving. Here true is accepted and false is refused.",
        why="In an INI file, false would bind a port on which no request is answered.",
        group="HTTP",
        default_text="true",
    ),
)

_MAIL = (
    Option(
        names=("error_email", "threadpool_error_email", "email_to"),
        parser=MailAddresses(),
        default=(),
        unit="",
        field="mail.recipients",
        since="0.1",
        doc="The addresses that get a mail when hung workers were killed, and when the process ends because of too"
        " many zombies, or without being told to stop. A name may stand before an address, which then stands in angle"
        " brackets. Without an address no mail is sent.",
        why="A server must not send mail to an address that the operator did not name.",
        group="Mail",
        default_text="nobody",
        example="ops@example.com",
        inherited=True,
    ),
    Option(
        names=("error_from_address", "error_email_from"),
        parser=MailAddress(),
        default="errors@localhost",
        unit="",
        field="mail.sender",
        since="0.1",
        doc="The sender of the mails to error_email.",
        why="The same as in Paste, so that existing mail filters keep working.",
        group="Mail",
        inherited=True,
    ),
    Option(
        names=("error_subject_prefix",),
        parser=Text(),
        default="[pastepool]",
        unit="",
        field="mail.subject_prefix",
        since="0.1",
        doc="Words at the beginning of the subject of the mails to error_email. A blank follows them.",
        why="It says which program sent the mail.",
        group="Mail",
        inherited=True,
    ),
    Option(
        names=("smtp_server",),
        parser=HostPort(),
        default="localhost",
        unit="",
        field="mail.host",
        since="0.1",
        doc="The mail server, as host or host:port.",
        why="The same as in Paste. Most machines that run services have a mail server that forwards mail.",
        group="Mail",
        inherited=True,
    ),
    Option(
        names=("smtp_port",),
        parser=Number(1, 65535),
        default=25,
        unit="",
        field="mail.port",
        since="0.1",
        doc="The port of the mail server, if smtp_server has no port.",
        why="The standard port of SMTP.",
        group="Mail",
        inherited=True,
    ),
    Option(
        names=("smtp_username",),
        parser=Text(),
        default="",
        unit="",
        field="mail.username",
        since="0.1",
        doc="The user name for the login at the mail server; without it there is no login.",
        why="A mail server on the same machine needs no login.",
        group="Mail",
        default_text="no login",
        example="pastepool",
        inherited=True,
    ),
    Option(
        names=("smtp_password",),
        parser=Text(),
        default="",
        unit="",
        field="mail.password",
        since="0.1",
        doc="The password of smtp_username. It is masked wherever settings are shown.",
        why="A mail server on the same machine needs no login.",
        group="Mail",
        default_text="no login",
        example="secret",
        inherited=True,
        secret=True,
    ),
    Option(
        names=("error_email_when_hung",),
        parser=Truth(),
        default=False,
        unit="",
        field="mail.when_hung",
        since="0.1",
        doc="Whether a mail is also sent when requests become hung, long before they are killed.",
        why="Paste mails about kills only (contract P12). Mails about every request that takes half a minute would soon"
        " be ignored.",
        group="Mail",
        inherited=True,
    ),
    Option(
        names=("smtp_use_tls",),
        parser=Truth(),
        default=False,
        unit="",
        field="mail.use_tls",
        since="0.1",
        doc="Whether the connection to the mail server is encrypted before the login: with STARTTLS, or on port 465"
        " with TLS from the first byte.",
        why="The same as in Paste. A mail server on the same machine needs no encryption.",
        group="Mail",
        inherited=True,
    ),
)

_ADMIN = (
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

OPTIONS: tuple[Option, ...] = (
    *_ADDRESS,
    *_POOL_OPTIONS,
    *_OVERLOAD_OPTIONS,
    *_PATIENCE,
    *_LIMIT_OPTIONS,
    *_HTTP,
    *_MAIL,
    *_ADMIN,
)

BY_NAME: Mapping[str, Option] = {name: option for option in OPTIONS for name in option.names}
"""The option of every accepted name."""


def nearest(key: str, also: Iterable[str] = ()) -> str:
    """
    Return the accepted name that an unknown key probably means; ``""`` where none is similar.

    ``also``: names that are accepted beside those of the table.

    A name of which a word was left out is meant before one that only looks similar: ``threadpool_hung_limit`` is
    ``threadpool_hung_thread_limit`` and not ``threadpool_dying_limit``.

    Units: the cutoff is a ratio of ``difflib``. With 0.7, a name with one or two typing errors is found, and a name
    that is only somewhat similar is not.
    """
    plain = key.strip().lower().replace("-", "_")
    names = [*also, *BY_NAME]
    if plain in names:
        return plain
    if f"threadpool_{plain}" in BY_NAME:
        return f"threadpool_{plain}"
    words = set(plain.split("_"))
    longer = [name for name in names if words < set(name.split("_"))]
    if len(words) > 1 and len(longer) == 1:
        return longer[0]
    return next(iter(difflib.get_close_matches(plain, names, n=1, cutoff=0.7)), "")
