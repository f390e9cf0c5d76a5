"""
The options of ``egg:Paste#http``, clause by clause: every name, spelling and default the manuals promise, and every
set of options seen in real configuration files, through the real PasteDeploy.
"""

from __future__ import annotations

from collections.abc import Callable
from operator import attrgetter
from pathlib import Path

import pytest
from paste.deploy import loadserver

from pastepool.errors import SettingsError
from pastepool.settings import Settings, read
from pastepool.settings.endpoint import Endpoint


@pytest.mark.parametrize(
    ("name", "text", "field", "value"),
    [
        ("host", "0.0.0.0", "listen", (Endpoint("0.0.0.0", 8080),)),
        ("port", "18080", "listen", (Endpoint("127.0.0.1", 18080),)),
        ("protocol_version", "HTTP/1.0", "protocol_version", "HTTP/1.0"),
        ("protocol_version", "HTTP/1.1", "protocol_version", "HTTP/1.1"),
        ("protocol_version", "HTTP/0.9", "protocol_version", "HTTP/1.0"),
        ("server_version", "MyServer/1.0", "server_header", "MyServer/1.0"),
        ("request_queue_size", "500", "listen_backlog", 500),
        ("threadpool_workers", "7", "pool.workers", 7),
        ("threadpool_max_requests", "10", "pool.max_requests", 10),
        ("threadpool_hung_thread_limit", "60", "pool.hung_after", 60.0),
        ("threadpool_kill_thread_limit", "10800", "pool.kill_after", 10800.0),
        ("threadpool_dying_limit", "60", "pool.dying_for", 60.0),
        ("threadpool_spawn_if_under", "3", "pool.spawn_if_under", 3),
        ("threadpool_max_zombie_threads_before_die", "20", "pool.max_zombies", 20),
        ("threadpool_hung_check_period", "10", "pool.check_every", 10),
        ("threadpool_logger", "my.pool", "logger", "my.pool"),
        ("threadpool_error_email", "a@x,b@x", "mail.recipients", ("a@x", "b@x")),
    ],
)
def test_p1_every_name_of_paste_is_accepted(name: str, text: str, field: str, value: object) -> None:
    """Contract P1: Paste's spelling, with Paste's meaning, lands in the value it controls."""
    assert attrgetter(field)(read({name: text})) == value


@pytest.mark.parametrize("name", ["use_threadpool", "daemon_threads", "start_loop", "socket_timeout"])
def test_p1_the_remaining_names_of_paste_are_accepted(name: str) -> None:
    """Contract P1: these have no value of their own here, and stand in real files all the same."""
    read({name: "1"})


@pytest.mark.parametrize(
    ("clause", "field", "default"),
    [
        ("P4", "spawn_if_under", 5),
        ("P6", "hung_after", 30.0),
        ("P7", "check_every", 100),
        ("P7", "kill_after", 1800.0),
        ("P9", "dying_for", 300.0),
        ("P10", "max_zombies", 0),
    ],
)
def test_the_defaults_the_manual_promises(clause: str, field: str, default: float) -> None:
    """The contract's numbers hold where nothing is set."""
    assert getattr(read({}).pool, field) == default, clause


@pytest.mark.parametrize(
    ("name", "text", "field", "value"),
    [
        ("threadpool_dying_thread_limit", "60", "dying_for", 60.0),
        ("threadpool_max_zombies_before_die", "4", "max_zombies", 4),
    ],
)
def test_p9_p10_the_names_of_the_manual_are_accepted(name: str, text: str, field: str, value: float) -> None:
    """The manual and the code of Paste disagree on two names, so both are known."""
    assert getattr(read({name: text}).pool, field) == value


def test_p12_the_recipient_in_default_is_found() -> None:
    """Contract P12: ``error_email`` may stand in [DEFAULT]."""
    assert read({}, {"error_email": "ops@example.com"}).mail.recipients == ("ops@example.com",)


def test_p18_socket_timeout_is_off_by_default_and_works() -> None:
    """Contract P18: without it each client timeout has its own default; with it, it sets them all."""
    plain, set_ = read({}).timeouts, read({"socket_timeout": "5"}).timeouts
    assert (plain.header, plain.keep_alive) == (15.0, 75.0)
    assert (set_.header, set_.body, set_.keep_alive, set_.send) == (5.0, 5.0, 5.0, 5.0)


@pytest.mark.parametrize(
    ("name", "text", "field", "value"),
    [
        ("threadpool_kill_thread_limit", "0", "kill_after", 0.0),
        ("threadpool_spawn_if_under", "0", "spawn_if_under", 0),
        ("threadpool_max_zombie_threads_before_die", "0", "max_zombies", 0),
        ("threadpool_hung_check_period", "0", "check_every", 0),
        ("threadpool_max_requests", "0", "max_requests", 0),
        ("threadpool_dying_limit", "0", "dying_for", 0.0),
    ],
)
def test_zero_means_what_it_means_in_paste(name: str, text: str, field: str, value: float) -> None:
    """Never, off, or at once: the value arrives as zero."""
    assert getattr(read({name: text}).pool, field) == value


@pytest.mark.parametrize(
    ("name", "text"),
    [("threadpool_hung_thread_limit", "0"), ("request_queue_size", "0"), ("threadpool_workers", "0")],
)
def test_zero_is_refused_where_paste_makes_no_sense_of_it(name: str, text: str) -> None:
    """Every request hung at once, a server that never listens, a pool of nobody: a sentence instead."""
    with pytest.raises(SettingsError, match=f"{name} = '0' is not"):
        read({name: text})


@pytest.mark.parametrize("workers", ["1", "2", "3", "4"])
def test_few_workers_alone_start(workers: str) -> None:
    """In Paste 1 to 4 workers die of an assertion unless ``spawn_if_under`` is lowered too."""
    pool = read({"threadpool_workers": workers}).pool
    assert (pool.workers, pool.spawn_if_under) == (int(workers), int(workers))


SEEN = {
    "galaxy": "host = 0.0.0.0\nport = 8080\nuse_threadpool = True\nthreadpool_kill_thread_limit = 10800\n"
    "threadpool_workers = 10",
    "reddit": "port = %(http_port)s\nthreadpool_workers = 1\nthreadpool_spawn_if_under = 0",
    "rhodecode": "threadpool_workers = 5\nthreadpool_max_requests = 10\nuse_threadpool = true\nhost = 127.0.0.1\n"
    "port = 5000",
    "kallithea": "threadpool_workers = 1\nthreadpool_max_requests = 100\nuse_threadpool = true",
    "commented out by emptying": "threadpool_workers = \nthreadpool_max_requests =\nhost = 127.0.0.1",
    "adhocracy": "use_threadpool = False \nthreadpool_workers = 20   ",
    "repoze.zope2": "threadpool_workers = 1\nthreadpool_spawn_if_under = 1",
    "pygasus": "threadpool_workers = 1\nthreadpool_spawn_if_under = 1\nthreadpool_max_requests = 0",
    "ocsmanager": "protocol_version = HTTP/1.1\nhost = hostname.example\nport = 5000",
    "ckan": "host = 0.0.0.0\nport = 5000",
    "pulsar": "host = 127.0.0.1\nport = 5004\n# ssl_pem = host.pem",
}


@pytest.mark.parametrize("project", SEEN)
def test_configurations_seen_in_the_wild_load_unchanged(project: str, tmp_path: Path) -> None:
    """Each set of options found in public repositories is accepted as it stands."""
    path = tmp_path / "app.ini"
    path.write_text(f"[server:main]\nuse = call:pastepool.entrypoints:http\n{SEEN[project]}\n")
    assert callable(loadserver(f"config:{path}", global_conf={"http_port": "5001"}))


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"host": ""}, lambda settings: settings.listen == (Endpoint("127.0.0.1", 8080),)),
        ({"host": "127.0.0.1:9091"}, lambda settings: settings.listen == (Endpoint("127.0.0.1", 9091),)),
        ({"host": "[::1]"}, lambda settings: settings.listen == (Endpoint("::1", 8080),)),
        ({"host": "::1"}, lambda settings: settings.listen == (Endpoint("::1", 8080),)),
        ({"port": 9090, "threadpool_workers": 32}, lambda settings: settings.pool.workers == 32),
    ],
)
def test_hosts_and_python_values_as_paste_takes_them(
    given: dict[str, object], expected: Callable[[Settings], bool]
) -> None:
    """The forms ``paste.httpserver.serve`` is called with."""
    assert expected(read(given))
