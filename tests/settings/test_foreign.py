"""Files that were written for gunicorn, CherryPy and gearbox: what is taken, and what each other line is told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from paste.deploy import loadserver

from pastepool.errors import SettingsError
from pastepool.settings import Settings, read
from pastepool.settings.dialect import PASTE, WAITRESS, Dialect
from pastepool.settings.endpoint import Endpoint
from pastepool.settings.options import BY_NAME

GUNICORN_SETTINGS = """
config wsgi_app reload reload_engine reload_extra_files accesslog disable_redirect_access_to_syslog access_log_format
errorlog loglevel capture_output logger_class logconfig logconfig_dict logconfig_json syslog_addr syslog syslog_prefix
syslog_facility enable_stdio_inheritance statsd_host dogstatsd_tags statsd_prefix enable_backlog_metric proc_name
default_proc_name keyfile certfile ssl_version cert_reqs ca_certs suppress_ragged_eofs do_handshake_on_connect ciphers
limit_request_line limit_request_fields limit_request_field_size preload_app sendfile reuse_port chdir daemon raw_env
pidfile worker_tmp_dir user group umask initgroups tmp_upload_dir secure_scheme_headers forwarded_allow_ips pythonpath
paste proxy_protocol proxy_allow_ips permit_obsolete_folding strip_header_spaces permit_unconventional_http_method
permit_unconventional_http_version casefold_http_method forwarder_headers header_map root_path bind backlog workers
worker_class threads worker_connections max_requests max_requests_jitter timeout graceful_timeout keepalive
""".split()
"""The settings of gunicorn that a Paste Deploy file may have."""


def settings(dialect: Dialect = PASTE, **local: Any) -> Settings:
    """Read a section."""
    return read(local, {}, dialect=dialect)


def complaint(**local: Any) -> SettingsError:
    """Read a section that must be refused."""
    with pytest.raises(SettingsError) as caught:
        settings(**local)
    return caught.value


@pytest.mark.parametrize("dialect", [PASTE, WAITRESS], ids=["http", "main"])
@pytest.mark.parametrize(
    ("local", "field", "value"),
    [
        ({"numthreads": "7"}, "pool.workers", 7),
        ({"workers": "3"}, "processes.processes", 3),
        ({"workers": "3", "max_requests": "500"}, "processes.max_requests", 500),
        ({"workers": "3", "proc_name": "shop"}, "display_name", "shop"),
        ({"graceful_timeout": "3600"}, "timeouts.shutdown", 3600.0),
        ({"keepalive": "2"}, "timeouts.keep_alive", 2.0),
        ({"accesslog": "-"}, "access_log", True),
        ({"bind": "127.0.0.1:9000"}, "listen", (Endpoint("127.0.0.1", 9000),)),
        ({"bind": "127.0.0.1:9000,[::1]:9001"}, "listen", (Endpoint("127.0.0.1", 9000), Endpoint("::1", 9001))),
        ({"bind": "shop.example"}, "listen", (Endpoint("shop.example", 8000),)),
        ({"bind": ":9000"}, "listen", (Endpoint("0.0.0.0", 9000),)),
        ({"bind": "tcp://127.0.0.1:9000"}, "listen", (Endpoint("127.0.0.1", 9000),)),
        ({"bind": "unix:///run/a,unix:/run/b"}, "listen", (Endpoint(path="/run/a"), Endpoint(path="/run/b"))),
        ({"accesslog": "None"}, "access_log", False),
    ],
)
def test_what_has_an_equivalent_is_taken(dialect: Dialect, local: dict[str, str], field: str, value: object) -> None:
    """The old name goes on working, in both kinds of section."""
    found: Any = settings(dialect, **local)
    for part in field.split("."):
        found = getattr(found, part)
    assert found == value


@pytest.mark.parametrize("name", GUNICORN_SETTINGS)
def test_every_setting_of_gunicorn_is_taken_or_has_an_answer_of_its_own(name: str) -> None:
    """No setting of gunicorn is told the nearest name, or to be moved to the application."""
    if name in PASTE.options or name in BY_NAME:
        return
    sentence = str(complaint(**{name: "1"}))
    assert "the nearest one" not in sentence
    assert "section of the application" not in sentence


@pytest.mark.parametrize(
    ("name", "not_meant"),
    [
        ("timeout", "called 'socket_timeout'"),
        ("max_requests_jitter", "max_request_target"),
        ("threadpool_hung_limit", "threadpool_dying_limit"),
        ("trusted_proxy", "section of the application"),
        ("max", "threadpool_max"),
    ],
)
def test_a_hint_is_given_only_where_the_meaning_fits(name: str, not_meant: str) -> None:
    """These hints misled."""
    assert not_meant not in str(complaint(**{name: "1"}))


def test_a_timeout_is_told_both_meanings() -> None:
    """With ``timeout: 0`` a client timeout of 0 would be wrong; gunicorn's line speaks of requests."""
    sentence = str(complaint(timeout="0"))
    assert sentence == (
        "[server:main]: 'timeout' (value '0') is not an option of pastepool but of gunicorn or CherryPy; a request that"
        " runs too long (gunicorn) is ended by threadpool_kill_thread_limit here, and a client that is silent too long"
        " (CherryPy) by socket_timeout, so use the one that is meant; 0 means never for both."
    )


@pytest.mark.parametrize("dialect", [PASTE, WAITRESS], ids=["http", "main"])
def test_processes_of_gunicorn_are_told_to_have_threads(dialect: Dialect) -> None:
    """Its workers run one request at a time. A file that says how many threads it wants is told nothing."""
    (note,) = settings(dialect, workers="3").notes
    assert "workers = 3 is taken as processes = 3, and each of them runs several requests at once in threads" in note
    assert settings(dialect, workers="3", threadpool_workers="7").notes == ()
    assert settings(dialect, workers="0").notes == ()


@pytest.mark.parametrize(
    ("bind", "told"),
    [("unix:/run/a.sock,127.0.0.1:8000", 1), ("unix:/a mode=666", 0), ("unix:/a owner=:www", 0), ("unix:@a", 0)],
)
def test_who_may_connect_to_a_unix_socket_of_gunicorn_is_told(bind: str, told: int) -> None:
    """Everybody there, and not here; an operator who says who may is told nothing."""
    notes = settings(bind=bind).notes
    assert len(notes) == told
    assert all(
        "bind = unix:/run/a.sock: its user and its group may connect, and not everybody" in note for note in notes
    )


@pytest.mark.parametrize(("threads", "most"), [("1", 1), ("4", 16)])
def test_threads_of_gunicorn_are_workers_of_the_pool(threads: str, most: int) -> None:
    """In each process; with 1 two requests never run at once in it."""
    found = settings(workers="2", threads=threads, backlog="2048")
    assert (found.pool.workers, found.pool.max_workers) == (int(threads), most)
    assert (found.processes.processes, found.listen_backlog, found.notes) == (2, 2048, ())


def test_options_of_processes_without_processes_are_told_to_have_no_effect() -> None:
    """All of them in one note; an option that is set to its default is no surprise."""
    (note,) = settings(maximum_requests="500", memory_limit="1g", restart_interval="0").notes
    assert note == (
        "[server:main]: maximum_requests, memory_limit: no effect without processes; set processes, or delete the line."
    )
    assert settings(maximum_requests="500", processes="1").notes == ()


@pytest.mark.parametrize(("number", "meaning"), [("0", "off"), ("1", "optional"), ("2", "required")])
def test_certificates_of_clients_are_asked_for_as_in_gunicorn(number: str, meaning: str) -> None:
    """By the numbers of Python's ``ssl``."""
    row = PASTE.options["cert_reqs"]
    assert (row.parser(number), row.parser.show(meaning)) == (meaning, number)
    assert "cert_reqs = '3' is not 0 (clients need no certificate), 1" in str(complaint(cert_reqs="3"))


@pytest.mark.parametrize("name", ["timeout", "threadpool_options", "user", "wsgiref.certfile"])
def test_a_blank_line_of_another_server_asks_for_nothing(name: str) -> None:
    """Generated files have such lines. A blank line that nobody knows is still a mistake: it may be a typing error."""
    assert read({name: ""}) == read({})
    assert "'threadpool_worker' (value '')" in str(complaint(threadpool_worker=""))


@pytest.mark.parametrize("value", ["${settings.ini:port}", "{{.Values.port}}", "<%= @port %>", "$PORT"])
def test_a_value_that_nothing_has_filled_in_is_told_so(value: str) -> None:
    """Paste Deploy reads no environment and no template."""
    assert "it looks like what a template or a shell fills in; write it like port = 8080." in str(complaint(port=value))


def test_a_remedy_is_not_given_twice() -> None:
    """The sentence about a unix socket in ``host`` has its own."""
    assert str(complaint(host="/run/shop.sock")).count("write it like") == 1


def test_a_comma_between_places_is_told() -> None:
    """Blanks separate them."""
    assert "which ends with a comma; places are separated by blanks" in str(complaint(listen="a:1, b:2"))


def test_two_names_of_one_option_must_agree() -> None:
    """The old name and ours, or two old names."""
    assert settings(numthreads="4", threadpool_workers="4").pool.workers == 4
    assert "numthreads = '4' and threadpool_workers = '5'" in str(complaint(numthreads="4", threadpool_workers="5"))
    with pytest.raises(SettingsError, match="threads = '5' and numthreads = '4' are two names of one option"):
        settings(WAITRESS, numthreads="4", threads="5")


def test_a_descriptor_of_gunicorn_leads_to_systemd() -> None:
    """gunicorn numbers the sockets that systemd passes; here they have names."""
    assert "bind = 'fd://3' is a descriptor; sockets that systemd passes" in str(complaint(bind="fd://3"))


FILE = """\
[server:main]
use = egg:pastepool#main
bind = 127.0.0.1:9000
certfile = /nowhere.pem
threads = 8
max_request_body_size = 2g
port = 80
threadpool_max_workers = 4
spool_total = 1g
"""


def test_a_contradiction_names_the_lines_as_they_stand_in_the_file(tmp_path: Path) -> None:
    """An operator finds the old server's name and value, and the number of the line; not what we call it."""
    path = tmp_path / "shop.ini"
    path.write_text(FILE)
    with pytest.raises(SettingsError) as caught:
        loadserver(f"config:{path}")
    told = [str(mistake).partition("line ")[2].partition(";")[0] for mistake in caught.value.errors]
    assert told == [
        "3: bind = 127.0.0.1:9000 tls contradicts port = 80",
        "5: threads = 8 contradicts threadpool_max_workers = 4",
        "6: max_request_body_size = 2g contradicts spool_total = 1g",
    ]
    path.write_text(FILE.replace("port = 80", "").replace("= 4", "= 8").replace("= 1g", "= 2g"))
    with pytest.raises(SettingsError, match=r"line 4: certfile = /nowhere\.pem "):
        loadserver(f"config:{path}")


def test_a_factory_beside_use_has_no_effect() -> None:
    """Plone's generator writes both lines, and Paste Deploy hands the factory on to what ``use`` names."""
    given = {"paste.server_factory": "plone.recipe.zope2instance:main", "port": "8081"}
    (note,) = read(given, {}).notes
    assert note == "[server:main]: paste.server_factory = plone.recipe.zope2instance:main has no effect beside use."


def test_a_log_file_for_requests_is_refused() -> None:
    """Where the lines of requests go is said by the [loggers] sections."""
    assert "set in the [loggers] sections" in str(complaint(accesslog="/var/log/shop.log"))
    assert PASTE.options["accesslog"].sample() == PASTE.options["accesslog"].show(True) == "-"
    assert PASTE.options["accesslog"].show(False) == "None"


def test_the_file_of_rhodecode_needs_one_round() -> None:
    """Every line that the server does not take is told at the first start."""
    section = {
        "host": "0.0.0.0",
        "port": "10020",
        "workers": "2",
        "loglevel": "info",
        "proc_name": "gunicorn-web-1",
        "worker_class": "gevent",
        "worker_connections": "10",
        "max_requests": "2000",
        "max_requests_jitter": "100",
        "timeout": "21600",
        "limit_request_line": "0",
        "limit_request_fields": "32768",
        "limit_request_field_size": "0",
        "graceful_timeout": "3600",
        "keepalive": "2",
        "memory_max_usage": "2147483648",
        "memory_usage_check_interval": "60",
        "memory_usage_recovery_threshold": "0.8",
    }
    taken = {"host", "port", "graceful_timeout", "keepalive", "workers", "max_requests", "proc_name"}
    assert {mistake.key for mistake in complaint(**section).errors} == section.keys() - taken


@pytest.mark.parametrize(
    ("name", "remedy", "ours"),
    [
        ("forwarded_allow_ips", "only the proxies in trusted_proxies are believed", "trusted_proxies"),
        ("proxy_protocol", "the word proxy after an address of listen says that clients begin with", "proxy_from"),
        ("proxy_allow_ips", "proxy_from says who may connect there", "proxy_from"),
        ("trusted_proxy", "or write 'trusted_proxies' in place of 'trusted_proxy'", "trusted_proxies"),
    ],
)
def test_what_others_call_the_trust_in_a_proxy_leads_to_ours(name: str, remedy: str, ours: str) -> None:
    """These four said once that the server reads no such field or header."""
    error = complaint(**{name: "127.0.0.1"})
    assert remedy in str(error)
    assert [mistake.nearest for mistake in error.errors] == [ours]
