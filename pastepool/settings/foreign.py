"""
The options of other servers that pastepool does not take, each with what to do instead.

A file that was written for another server is moved by hand, line by line. So an error says what the line did there and
what does the same here, where anything does. A similar name alone is no hint: gunicorn's ``timeout`` and CherryPy's
``timeout`` are different things, and neither is ``socket_timeout``. Sources: the settings of gunicorn 23 to 27,
``paste.script.cherrypy_server``, ``gearbox.commands.serve``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

GUNICORN = "gunicorn"
CHERRYPY = "CherryPy"
GEARBOX = "gearbox"
FLUP = "flup"


class Foreign(NamedTuple):
    """
    Options of another server.

    ``server``: its name. ``names``: the options. ``remedy``: what to do with the line, as the end of a sentence.
    ``ours``: the option that does the same or something near it; empty for none.
    """

    server: str
    names: tuple[str, ...]
    remedy: str
    ours: str = ""


_LOGGING = "the [loggers] sections of the file do this for every logger, so delete the line and set them up"
_PROCESSES = "pastepool works with threads, in one process or in several (processes), so delete the line"
_PROXY = "only the proxies in trusted_proxies are believed what they say of the client, so use that or delete the line"
_SERVE = "the command that starts the server does this (see its --help), so delete the line"
_HOOK = "it is Python code of a gunicorn configuration file, so delete the line"
_STRICT = "pastepool always refuses what is ambiguous in a request, so delete the line"

FOREIGN: tuple[Foreign, ...] = (
    Foreign(GUNICORN, ("worker_class", "worker", "worker_tmp_dir", "asgi_loop", "asgi_lifespan"), _PROCESSES),
    Foreign(
        GUNICORN,
        ("worker_connections",),
        "the number of open connections is bounded by connection_limit here, so use that or delete the line",
        "connection_limit",
    ),
    Foreign(
        f"{GUNICORN} or {CHERRYPY}",
        ("timeout",),
        "a request that runs too long (gunicorn) is ended by threadpool_kill_thread_limit here, and a client that is"
        " silent too long (CherryPy) by socket_timeout, so use the one that is meant; 0 means never for both",
    ),
    Foreign(
        GUNICORN,
        ("max_requests_jitter",),
        "each process is replaced after up to a tenth more than maximum_requests here, different for each, so delete the"
        " line",
        "maximum_requests",
    ),
    Foreign(
        GUNICORN,
        ("limit_request_line",),
        "the target of a request is bounded by max_request_target here, so use that or delete the line",
        "max_request_target",
    ),
    Foreign(
        GUNICORN,
        ("limit_request_fields",),
        "the number of header fields is bounded by max_header_count here, so use that or delete the line",
        "max_header_count",
    ),
    Foreign(
        GUNICORN,
        ("limit_request_field_size",),
        "all header fields together are bounded by max_header_bytes here, so use that or delete the line",
        "max_header_bytes",
    ),
    Foreign(
        GUNICORN,
        (
            "access_log_format",
            "capture_output",
            "disable_redirect_access_to_syslog",
            "enable_stdio_inheritance",
            "errorlog",
            "logconfig",
            "logconfig_dict",
            "logconfig_json",
            "logfile",
            "logger_class",
            "loglevel",
            "syslog",
            "syslog_addr",
            "syslog_facility",
            "syslog_prefix",
        ),
        _LOGGING,
    ),
    Foreign(
        GUNICORN,
        ("statsd_host", "statsd_prefix", "dogstatsd_tags", "enable_backlog_metric"),
        "the page of watch_threads has the figures as JSON, so delete the line",
    ),
    Foreign(
        GUNICORN,
        ("default_proc_name",),
        "display_name is in the titles of several processes here, so use that or delete the line",
        "display_name",
    ),
    Foreign(GUNICORN, ("daemon", "pidfile", "user", "group", "reload", "reload_engine", "reload_extra_files"), _SERVE),
    Foreign(
        GUNICORN,
        ("chdir", "initgroups", "raw_env", "pythonpath", "tmp_upload_dir"),
        "what starts the command sets this for the process, so delete the line and set it there",
    ),
    Foreign(
        GUNICORN,
        ("umask",),
        "the rights of a unix socket are set by mode= behind its path (bind = unix:/run/shop.sock mode=660), and what starts"
        " the command sets the umask of the process, so use those or delete the line",
        "listen",
    ),
    Foreign(
        GUNICORN,
        ("preload_app",),
        "preload does that here, where processes is set, so use that or delete the line",
        "preload",
    ),
    Foreign(
        GUNICORN,
        ("sendfile",),
        "sendfile is used wherever it sends the same bytes, so delete the line",
    ),
    Foreign(
        GUNICORN,
        ("reuse_port",),
        "a second server on the same port would take requests from the first, so delete the line",
    ),
    Foreign(GUNICORN, ("forwarded_allow_ips", "secure_scheme_headers", "forwarder_headers"), _PROXY, "trusted_proxies"),
    Foreign(
        GUNICORN,
        ("proxy_protocol", "proxy_allow_ips"),
        "the word proxy after an address of listen says that clients begin with a header of the PROXY protocol, and"
        " proxy_from says who may connect there; so use both or delete the line",
        "proxy_from",
    ),
    Foreign(
        GUNICORN,
        ("ssl_version",),
        "the oldest version of TLS is set by ssl_minimum_version here, and what is older than 1.2 is not spoken, so use"
        " that or delete the line",
        "ssl_minimum_version",
    ),
    Foreign(GUNICORN, ("do_handshake_on_connect",), "a handshake never holds up a worker here, so delete the line"),
    Foreign(GUNICORN, ("suppress_ragged_eofs",), _STRICT),
    Foreign(
        GUNICORN,
        (
            "permit_obsolete_folding",
            "strip_header_spaces",
            "permit_unconventional_http_method",
            "permit_unconventional_http_version",
            "casefold_http_method",
            "header_map",
            "http_parser",
        ),
        _STRICT,
    ),
    Foreign(
        GUNICORN,
        ("root_path",),
        "the path below which a proxy shows the application is url_prefix here, so use that",
        "url_prefix",
    ),
    Foreign(
        GUNICORN,
        (
            "on_starting",
            "on_reload",
            "when_ready",
            "pre_fork",
            "post_fork",
            "post_worker_init",
            "worker_int",
            "worker_abort",
            "pre_exec",
            "pre_request",
            "post_request",
            "child_exit",
            "worker_exit",
            "nworkers_changed",
            "on_exit",
            "config",
            "wsgi_app",
            "paste",
        ),
        _HOOK,
    ),
    Foreign(
        "RhodeCode",
        ("memory_max_usage", "memory_usage_check_interval", "memory_usage_recovery_threshold"),
        "it restarts processes that use much memory, which memory_limit does here, so use that or delete the line",
        "memory_limit",
    ),
    Foreign(
        CHERRYPY,
        ("max",),
        "the number of requests that wait is bounded by queue_limit here, so use that or delete the line",
        "queue_limit",
    ),
    Foreign(
        CHERRYPY,
        ("accepted_queue_size", "accepted_queue_timeout"),
        "the queue is bounded by queue_limit and queue_timeout here, so use those or delete the line",
        "queue_limit",
    ),
    Foreign(CHERRYPY, ("profile", "profiler"), "a profiler is middleware here, so delete the line"),
    Foreign(
        CHERRYPY,
        ("socket_host", "server.socket_host"),
        "the address to listen on is host here, so use that",
        "host",
    ),
    Foreign(
        CHERRYPY,
        ("socket_port", "server.socket_port"),
        "the port to listen on is port here, so use that",
        "port",
    ),
    Foreign(
        CHERRYPY,
        ("thread_pool", "server.thread_pool"),
        "the number of threads is threadpool_workers here, so use that",
        "threadpool_workers",
    ),
    Foreign(
        CHERRYPY,
        ("engine.autoreload.on", "engine.autoreload_on"),
        _SERVE,
    ),
    Foreign(
        GEARBOX,
        ("wsgiref.threaded",),
        "requests run in threads anyway, as many at once as threadpool_workers says, so delete the line",
        "threadpool_workers",
    ),
    Foreign(
        GEARBOX,
        ("wsgiref.certfile",),
        "the certificate is named in ssl_certificate here, so use that",
        "ssl_certificate",
    ),
    Foreign(GEARBOX, ("wsgiref.keyfile",), "the key is named in ssl_key here, so use that", "ssl_key"),
    Foreign(
        FLUP,
        ("socket",),
        "the path of a unix socket is named in listen = unix:PATH here, so use that",
        "listen",
    ),
    Foreign(
        "Paste in a program",
        ("threadpool_options",),
        "each of them is an option of its own in a file, such as threadpool_hung_thread_limit, so write those",
        "threadpool_hung_thread_limit",
    ),
)
"""One row for each remedy. An option stands in one row only, also where two servers have it."""

BY_FOREIGN_NAME: Mapping[str, Foreign] = {name: row for row in FOREIGN for name in row.names}
