"""
Server sections of public INI files, with our ``use`` line in place of theirs: they start, or say what stops them.

Each row is a section as a project writes it, or as its generator does. The values are theirs; comments are left out.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import pytest
from paste.deploy import loadserver

from pastepool.errors import SettingsError


class Section(NamedTuple):
    """
    A section of a file.

    ``server``: the server that it was written for. ``refused``: the keys that stop the start; empty if it starts.
    """

    project: str
    server: str
    lines: str
    refused: str = ""


CORPUS = (
    Section(
        "galaxy", "paste", "port = 8080\nhost = 0.0.0.0\nuse_threadpool = True\nthreadpool_kill_thread_limit = 10800"
    ),
    Section("galaxy, a handler", "paste", "port = 8090\nuse_threadpool = True\nthreadpool_kill_thread_limit = 10800"),
    Section(
        "galaxy, with workers",
        "paste",
        "port = 8081\nhost = 127.0.0.1\nuse_threadpool = True\nthreadpool_workers = 10\nthreadpool_kill_thread_limit = 10800",
    ),
    Section("ckan", "paste", "host = 0.0.0.0\nport = 5000"),
    Section("syncserver", "paste", "host = 0.0.0.0\nport = 5000"),
    Section("comboloader", "paste", "host = 0.0.0.0\nport = 80"),
    Section("ulif.openoffice", "paste", "host = localhost\nport = 8008"),
    Section("repoze.bfg tutorial", "paste", "host = 0.0.0.0\nport = 6543"),
    Section("reddit", "paste", "port = %(http_port)s\nthreadpool_workers = 1\nthreadpool_spawn_if_under = 0"),
    Section(
        "rhodecode 1.7, paste",
        "paste",
        "threadpool_workers = 5\nthreadpool_max_requests = 10\nuse_threadpool = true\nhost = 127.0.0.1\nport = 5000",
    ),
    Section(
        "kallithea, all emptied",
        "paste",
        "threadpool_workers =\nthreadpool_max_requests =\nuse_threadpool =\nport = 5000",
    ),
    Section(
        "fanstatic's buildout",
        "paste",
        "host = 127.0.0.1\nport = 8090\nthreadpool_workers = 2\nthreadpool_spawn_if_under = 1\nthreadpool_max_requests = 0",
    ),
    Section("a port given twice", "paste", "host = 0.0.0.0:5000\nport = 5000"),
    Section("privacyidea", "paste", "host = 0.0.0.0\nport = 5001\nssl_pem = %(here)s/server.pem", "ssl_pem"),
    Section("kinto", "waitress", "host = 0.0.0.0\nport = 8888"),
    Section("pyramid's cookiecutter", "waitress", "listen = localhost:6543"),
    Section("pyramid's cookiecutter, production", "waitress", "listen = *:6543"),
    Section("pyramid's scaffold", "waitress", "host = 0.0.0.0\nport = 6543"),
    Section("tracim", "waitress", "listen = *:6534"),
    Section("pyramid, both families", "waitress", "listen = 127.0.0.1:6543 [::1]:6543"),
    Section("pypicloud", "waitress", "host = 127.0.0.1\nport = 4321\nthreads = 8"),
    Section(
        "plone volto",
        "waitress",
        "listen = localhost:8080\nthreads = 4\nclear_untrusted_proxy_headers = false\n"
        "max_request_body_size = 1073741824",
    ),
    Section(
        "plone backend",
        "waitress",
        "host = 0.0.0.0\nport = 8080\nthreads = 2\nclear_untrusted_proxy_headers = false\n"
        "max_request_body_size = 1073741824",
    ),
    Section(
        "plone's buildout",
        "waitress",
        "paste.server_factory = plone.recipe.zope2instance:main\nfast-listen = 0.0.0.0:8080\nthreads = 4\n"
        "clear_untrusted_proxy_headers = False\nmax_request_body_size = 1073741824\nasyncore_use_poll = True",
    ),
    Section("plone, fast-listen", "waitress", "fast-listen = 0.0.0.0:8080\nthreads = 2"),
    Section(
        "kallithea, waitress",
        "waitress",
        "host = 127.0.0.1\nport = 5000\nthreads = 1\nmax_request_body_size = 107374182400\nasyncore_use_poll = True",
    ),
    Section(
        "rhodecode 1.7, waitress",
        "waitress",
        "threads = 5\nmax_request_body_size = 107374182400\nasyncore_use_poll = True\nhost = 127.0.0.1\nport = 5000",
    ),
    Section(
        "pyramid cookbook",
        "waitress",
        "host = 127.0.0.1\nport = %(http_port)s\ntrusted_proxy = 127.0.0.1\n"
        "trusted_proxy_count = 1\ntrusted_proxy_headers = x-forwarded-for x-forwarded-host x-forwarded-proto"
        " x-forwarded-port\nclear_untrusted_proxy_headers = yes",
    ),
    Section(
        "wuttaweb",
        "waitress",
        "host = 127.0.0.1\nport = 9080\ntrusted_proxy = 127.0.0.1\n"
        "trusted_proxy_headers = x-forwarded-for x-forwarded-host x-forwarded-proto x-forwarded-port\n"
        "clear_untrusted_proxy_headers = True",
    ),
    Section("hypothesis, development", "waitress", "host = 0.0.0.0\nport = 5000\nurl_scheme = https"),
    Section("a unix socket", "waitress", "unix_socket = %(here)s/shop.sock\nunix_socket_perms = 660"),
    Section("a prefix", "waitress", "host = 127.0.0.1\nport = 6543\nurl_prefix = /backend\nident ="),
    Section(
        "all that waitress tunes",
        "waitress",
        "host = 127.0.0.1\nport = 6543\nconnection_limit = 1000\n"
        "cleanup_interval = 30\nchannel_timeout = 120\nrecv_bytes = 65536\nsend_bytes = 65536\nbacklog = 1024\n"
        "ipv4 = True\nipv6 = False\noutbuf_overflow = 10485760\noutbuf_high_watermark = 2097152",
    ),
    Section(
        "pygasus",
        "waitress",
        "host = 127.0.0.1\nport = 5000\nthreadpool_workers = 1\nthreadpool_spawn_if_under = 1\n"
        "threadpool_max_requests = 0",
    ),
    Section("starflyer", "cherrypy", "host = 0.0.0.0\nport = 8888\nnumthreads = 10"),
    Section(
        "pyramid cookbook, paster",
        "cherrypy",
        "host = 127.0.0.1\nport = %(http_port)s\nnumthreads = 10\ntimeout = 180\nrequest_queue_size = 200",
        "timeout",
    ),
    Section("apex", "cherrypy", "host = 0.0.0.0\nport = 8080"),
    Section("gearbox quickstart", "gearbox", "host = 127.0.0.1\nport = 8080"),
    Section(
        "kallithea, gearbox",
        "gearbox",
        "host = 127.0.0.1\nport = 5000\nthreadpool_workers = 1\nthreadpool_max_requests = 100\nuse_threadpool = true",
    ),
    Section("pypiserver", "gunicorn", "host = 0.0.0.0\nport = 9000\nworkers = 5\naccesslog = -"),
    Section("monasca", "gunicorn", "host = 0.0.0.0\nport = 8070\nworkers = 4\nproc_name = monasca_api"),
    Section(
        "ranger",
        "gunicorn",
        "host = 0.0.0.0\nport = 9010\nproc_name = greatrds\nworkers = 8\naccesslog = -\nloglevel = info",
        "loglevel",
    ),
    Section(
        "ckan behind a socket",
        "gunicorn",
        "bind = unix:%(here)s/ckan.sock\npreload = true\n"
        "errorlog = /etc/ckan/default/ckan.log\nloglevel = warning\nuser = ckan\ngroup = www-data\numask = 0113",
        "errorlog loglevel user group umask",
    ),
    Section(
        "rhodecode's vcsserver",
        "gunicorn",
        "host = 127.0.0.1\nport = 10002\nworkers = 3\n"
        "proc_name = rhodecode_vcsserver\nworker_class = sync\nmax_requests = 1000\nmax_requests_jitter = 30\n"
        "timeout = 21600",
        "worker_class max_requests_jitter timeout",
    ),
    Section(
        "rhodecode 5",
        "gunicorn",
        "host = 0.0.0.0\nport = 10020\nworkers = 2\nloglevel = info\nproc_name = gunicorn-web-1\nworker_class = gevent\n"
        "worker_connections = 10\nmax_requests = 2000\nmax_requests_jitter = 100\ntimeout = 21600\n"
        "limit_request_line = 0\nlimit_request_fields = 32768\nlimit_request_field_size = 0\ngraceful_timeout = 3600\n"
        "keepalive = 2\nmemory_max_usage = 2147483648\nmemory_usage_check_interval = 60\n"
        "memory_usage_recovery_threshold = 0.8",
        "loglevel worker_class worker_connections max_requests_jitter timeout limit_request_line limit_request_fields"
        " limit_request_field_size memory_max_usage memory_usage_check_interval memory_usage_recovery_threshold",
    ),
    Section("firefox sync", "gunicorn", "host = 127.0.0.1\nport = 5000\nworkers = 2\ntimeout = 60", "timeout"),
    Section(
        "firefox sync, a container",
        "gunicorn",
        "host = 0.0.0.0\nport = 5000\nworkers = 1\ntimeout = 30\nerrorlog = -\nloglevel = warning\nforwarded_allow_ips = *",
        "timeout errorlog loglevel forwarded_allow_ips",
    ),
    Section(
        "firefox sync, a container without a log",
        "gunicorn",
        "host = 0.0.0.0\nport = 5000\nworkers = 1\naccesslog = None",
    ),
    Section(
        "hypothesis, gunicorn",
        "gunicorn",
        "host: localhost\nport: 5000\ngraceful_timeout: 0\ntimeout: 0\nerrorlog: -\nreload: True",
        "timeout errorlog reload",
    ),
    Section(
        "sockjs of sanic",
        "gunicorn",
        "host = 0.0.0.0\nport = 8080\nworker = sanic.worker.GunicornWorker",
        "worker",
    ),
    Section(
        "kallithea, gunicorn",
        "gunicorn",
        "host = 0.0.0.0\nport = 5000\nworkers = 4\nproc_name = kallithea\nworker_class = sync\nmax_requests = 1000\n"
        "timeout = 3600",
        "worker_class timeout",
    ),
    Section(
        "a cookbook's unix socket",
        "cherrypy",
        "host = /tmp/shop.sock\nnumthreads = 10\ntimeout = 180\nrequest_queue_size = 200",
        "host timeout",
    ),
    Section(
        "turbogears, threads", "gearbox", "host = 0.0.0.0\nport = 8080\nwsgiref.threaded = true", "wsgiref.threaded"
    ),
    Section(
        "turbogears, certificates",
        "gearbox",
        "port = 8443\nwsgiref.certfile = /a.pem\nwsgiref.keyfile = /b.pem",
        "wsgiref.certfile wsgiref.keyfile",
    ),
    Section(
        "zope 2 by repoze",
        "paste",
        "host = 127.0.0.1\nport = 8080\nthreadpool_workers = 1\nthreadpool_spawn_if_under = 1",
    ),
    Section("popiview's buildout", "paste", "host = ${settings.ini:host}\nport = ${settings.ini:port}", "host port"),
    Section("a chart of kubernetes", "gunicorn", "host = 0.0.0.0\nport = {{.Values.port}}\nworkers = 4", "port"),
    Section("a cookiecutter behind a path", "waitress", "listen = localhost:6543\nurl_prefix = /app"),
    Section(
        "a guide with comments",
        "waitress",
        "listen = 127.0.0.1:6543         # bind localhost; nginx proxies to it\ntrusted_proxy = 127.0.0.1",
        "listen",
    ),
    Section(
        "aiohttp's worker",
        "gunicorn",
        "host = 0.0.0.0\nport = 8080\nworker_class = aiohttp.worker.AsyncGunicornWorker",
        "worker_class",
    ),
)


@pytest.mark.parametrize("section", CORPUS, ids=lambda section: section.project)
def test_a_section_of_a_public_file_starts_or_says_what_stops_it(section: Section, tmp_path: Path) -> None:
    """What stops the start is told all at once, each with an answer of its own."""
    factory = "main" if section.server == "waitress" else "http"
    path = tmp_path / "shop.ini"
    path.write_text(f"[server:main]\nuse = egg:pastepool#{factory}\n{section.lines}\n", encoding="utf-8")
    if not section.refused:
        assert callable(loadserver(f"config:{path}", global_conf={"http_port": "5001"}))
        return
    with pytest.raises(SettingsError) as caught:
        loadserver(f"config:{path}", global_conf={"http_port": "5001"})
    assert {mistake.key for mistake in caught.value.errors} == set(section.refused.split())
    assert all(mistake.line for mistake in caught.value.errors)
    assert "the nearest one" not in str(caught.value)


def test_the_corpus_is_large_and_has_every_server() -> None:
    """Forty sections and more, of five servers."""
    assert len(CORPUS) >= 40
    assert {section.server for section in CORPUS} == {"paste", "waitress", "cherrypy", "gearbox", "gunicorn"}
