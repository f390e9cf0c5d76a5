"""From mappings to Settings: what is read, from where, what gives way, and every sentence of complaint."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from pastepool.errors import SettingsError
from pastepool.settings import mask, read
from pastepool.settings.endpoint import Endpoint
from pastepool.settings.options import OPTIONS

FILE = {"__file__": "/srv/app/production.ini", "here": "/srv/app"}
WHERE = "[server:main] of /srv/app/production.ini"


def complaint(local: dict[str, Any], global_conf: dict[str, Any] | None = None) -> SettingsError:
    """Read a section that must be refused."""
    with pytest.raises(SettingsError) as caught:
        read(local, {**FILE, **(global_conf or {})})
    return caught.value


def test_an_empty_section_is_a_whole_configuration() -> None:
    """Every option has a default, and a configuration without any needs no word of warning."""
    settings = read({})
    assert (settings.listen, settings.listen_backlog) == ((Endpoint("127.0.0.1", 8080),), 1024)
    assert (settings.body_memory, settings.output_high_watermark) == (512 * 1024, 1024 * 1024)
    assert (settings.body_memory_total, settings.output_spool, settings.spool_total) == (2**26, 2**26, 2**32)
    assert (settings.server_header, settings.protocol_version) == ("pastepool", "HTTP/1.1")
    assert (settings.logger, settings.health_path) == ("paste.httpserver.ThreadPool", "")
    assert (settings.config_file, settings.section, settings.notes) == ("", "server:main", ())


def test_settings_know_where_they_came_from() -> None:
    """File and section are kept for the start line and for later complaints."""
    settings = read({}, FILE, "server:second")
    assert (settings.config_file, settings.section) == ("/srv/app/production.ini", "server:second")


@pytest.mark.parametrize("blank", ["", "   ", None])
def test_blank_means_not_set(blank: object) -> None:
    """A key left empty, as some manuals advise for commenting out, keeps its default, for every option."""
    assert read({name: blank for option in OPTIONS for name in option.names}) == read({})


def test_blanks_around_a_value_do_not_count() -> None:
    """Trailing blanks stand in real files."""
    assert read({"threadpool_workers": " 20 \t"}).pool.workers == 20


def test_python_values_are_taken_as_they_are() -> None:
    """A program may pass numbers and truth values."""
    settings = read({"port": 0, "access_log": True, "queue_timeout": 0.5, "header_timeout": 20})
    assert (settings.listen, settings.access_log) == ((Endpoint("127.0.0.1", 0),), True)
    assert (settings.overload.queue_timeout, settings.timeouts.header) == (0.5, 20.0)


@pytest.mark.parametrize(
    ("local", "host", "port"),
    [
        ({"host": "[::1]:9000"}, "::1", 9000),
        ({"host": "example.com:9000"}, "example.com", 9000),
        ({"host": "::1", "port": "9000"}, "::1", 9000),
        ({"host": "h:9000", "port": "9000"}, "h", 9000),
        ({"host": "*:0"}, "*", 0),
    ],
)
def test_a_host_may_bring_its_port(local: dict[str, str], host: str, port: int) -> None:
    """``host:port`` sets both, as in Paste; named twice, the port must be the same."""
    assert read(local).listen == (Endpoint(host, port),)


def test_socket_timeout_sets_the_client_timeouts_that_are_not_given() -> None:
    """Contract P18: one option for all four; one that is given itself stands."""
    timeouts = read({"socket_timeout": "7", "send_timeout": "9"}).timeouts
    assert (timeouts.header, timeouts.body, timeouts.keep_alive, timeouts.send) == (7.0, 7.0, 7.0, 9.0)
    assert timeouts.shutdown == 10.0


def test_the_cap_follows_the_workers() -> None:
    """Without a cap of its own the pool may grow to four times its size, and never beyond what the option allows."""
    assert read({"threadpool_workers": "25"}).pool.max_workers == 100
    assert read({"threadpool_workers": "10000"}).pool.max_workers == 10000


@pytest.mark.parametrize(
    ("local", "field", "value", "note"),
    [
        (
            {"threadpool_workers": "1"},
            "spawn_if_under",
            1,
            "threadpool_spawn_if_under is moved from its default 5 to 1, to fit threadpool_workers = 1.",
        ),
        (
            {"threadpool_max_workers": "6"},
            "workers",
            6,
            "threadpool_workers is moved from its default 10 to 6, to fit threadpool_max_workers = 6.",
        ),
        (
            {"threadpool_spawn_if_under": "15"},
            "workers",
            15,
            "threadpool_workers is moved from its default 10 to 15, to fit threadpool_spawn_if_under = 15.",
        ),
        (
            {"threadpool_hung_thread_limit": "1h"},
            "kill_after",
            3600.0,
            (
                "threadpool_kill_thread_limit is moved from its default 1800s to 3600s, to fit"
                " threadpool_hung_thread_limit = 3600s."
            ),
        ),
        (
            {"threadpool_kill_thread_limit": "20"},
            "hung_after",
            20.0,
            (
                "threadpool_hung_thread_limit is moved from its default 30s to 20s, to fit"
                " threadpool_kill_thread_limit = 20s."
            ),
        ),
    ],
)
def test_a_default_gives_way_to_what_is_given_and_says_so(
    local: dict[str, str], field: str, value: float, note: str
) -> None:
    """One option given without the other never makes a contradiction."""
    settings = read(local, FILE)
    assert getattr(settings.pool, field) == value
    assert settings.notes == (f"{WHERE}: {note}",)


def test_a_longer_target_makes_room_in_the_header() -> None:
    """The target is counted among the header bytes too."""
    assert read({"max_request_target": "100k"}).limits.header_bytes == 100 * 1024


def test_what_one_may_take_all_together_may_take() -> None:
    """A bound over all temporary files moves with the largest upload, and moves the largest of each; 0 is no bound."""
    settings = read({"max_body_bytes": "10g"})
    assert (settings.spool_total, settings.output_spool) == (10 * 2**30, 2**26)
    settings = read({"spool_total": "10m"})
    assert (settings.limits.body_bytes, settings.output_spool) == (10 * 2**20, 10 * 2**20)
    settings = read({"spool_total": "0", "max_body_bytes": "10g", "output_spool": "10g"})
    assert (settings.spool_total, settings.output_spool, settings.notes) == (0, 10 * 2**30, ())


def test_never_killing_contradicts_no_hung_limit() -> None:
    """A kill limit of 0 means never, so it is no bound for anything."""
    pool = read({"threadpool_kill_thread_limit": "0", "threadpool_hung_thread_limit": "5"}).pool
    assert (pool.kill_after, pool.hung_after) == (0.0, 5.0)
    assert read({"threadpool_kill_thread_limit": "0"}).notes == ()


@pytest.mark.parametrize(
    ("local", "sentence"),
    [
        (
            {"threadpool_workers": "4", "threadpool_max_workers": "2"},
            (
                "threadpool_workers = 4 contradicts threadpool_max_workers = 2; the cap is below the"
                " pool it caps, so lower the first or raise the second."
            ),
        ),
        (
            {"threadpool_hung_thread_limit": "60", "threadpool_kill_thread_limit": "20"},
            (
                "threadpool_hung_thread_limit = 60s contradicts threadpool_kill_thread_limit = 20s; a worker would be"
                " killed before it counts as hung, so lower the first, raise the second, or set it to 0 to never kill."
            ),
        ),
        (
            {"threadpool_spawn_if_under": "5", "threadpool_workers": "3"},
            (
                "threadpool_spawn_if_under = 5 contradicts threadpool_workers = 3; the first says"
                " how many of the second should be busy at least, so lower the first or raise the second."
            ),
        ),
        (
            {"threadpool_spawn_if_under": "8", "threadpool_max_workers": "5"},
            (
                "threadpool_spawn_if_under = 8 contradicts threadpool_max_workers = 5; so many can"
                " never be busy at once, so lower the first or raise the second."
            ),
        ),
        (
            {"max_request_target": "64k", "max_header_bytes": "8k"},
            (
                "max_request_target = 64k contradicts max_header_bytes = 8k; the target is part of the header bytes, so"
                " lower the first or raise the second."
            ),
        ),
        (
            {"output_spool": "2g", "spool_total": "1g"},
            (
                "output_spool = 2g contradicts spool_total = 1g; one response may not take more than all together, so"
                " lower the first, raise the second, or set it to 0 for no limit."
            ),
        ),
        (
            {"max_body_bytes": "2g", "spool_total": "1g"},
            (
                "max_body_bytes = 2g contradicts spool_total = 1g; the largest body would never fit on the disk, so"
                " lower the first, raise the second, or set it to 0 for no limit."
            ),
        ),
        (
            {"host": "localhost:81", "port": "80"},
            (
                "host = localhost:81 contradicts port = 80; both name a port, so leave it out of the"
                " first or delete the second."
            ),
        ),
        (
            {"host": "[::1]:81", "port": "80"},
            (
                "host = [::1]:81 contradicts port = 80; both name a port, so leave it out of the"
                " first or delete the second."
            ),
        ),
    ],
)
def test_two_given_options_that_exclude_each_other_are_refused(local: dict[str, str], sentence: str) -> None:
    """Either reading would surprise somebody, so the operator is asked."""
    assert str(complaint(local)) == f"{WHERE}: {sentence}"


POOL_CHOICES: tuple[tuple[str, tuple[int | None, ...]], ...] = (
    ("threadpool_spawn_if_under", (None, 0, 3, 12, 50)),
    ("threadpool_workers", (None, 1, 4, 20)),
    ("threadpool_max_workers", (None, 2, 4, 15, 60)),
)


def test_whatever_is_given_the_pool_is_consistent_or_refused() -> None:
    """Over all combinations: given values stand, nothing contradicts, and only given pairs are ever refused."""
    for numbers in itertools.product(*(choices for _, choices in POOL_CHOICES)):
        spawn, workers, cap = numbers
        local = {name: number for (name, _), number in zip(POOL_CHOICES, numbers, strict=True)}
        excluded = [
            (low, high)
            for low, high in ((spawn, workers), (spawn, cap), (workers, cap))
            if low is not None and high is not None and low > high
        ]
        if excluded:
            complaint(local)
            continue
        pool = read(local).pool
        assert pool.spawn_if_under <= pool.workers <= pool.max_workers, numbers
        for asked, got in zip(numbers, (pool.spawn_if_under, pool.workers, pool.max_workers), strict=True):
            assert asked is None or asked == got, numbers


@pytest.mark.parametrize(
    ("local", "note"),
    [
        ({"use_threadpool": "false"}, "use_threadpool = false has no effect: requests always run in the pool."),
        (
            {"daemon_threads": "true"},
            "daemon_threads has no effect: shutdown_timeout bounds the exit of the process.",
        ),
        (
            {"daemon_threads": "no"},
            "daemon_threads has no effect: shutdown_timeout bounds the exit of the process.",
        ),
        (
            {"socket_timeout": "0"},
            (
                "socket_timeout = 0 switches off every client timeout that is not set itself, so"
                " that a silent client may hold its connection for ever."
            ),
        ),
    ],
)
def test_what_is_accepted_without_effect_is_noted(local: dict[str, str], note: str) -> None:
    """An accepted option that does nothing, or much, says so at start."""
    assert read(local, FILE).notes == (f"{WHERE}: {note}",)


def test_what_happens_anyway_is_not_noted() -> None:
    """``use_threadpool = true`` and ``start_loop = true`` ask for nothing special."""
    assert read({"use_threadpool": "true", "start_loop": "true"}).notes == ()


@pytest.mark.parametrize(
    ("local", "sentence"),
    [
        (
            {"threadpool_worker": "10"},
            (
                "'threadpool_worker' (value '10') is not an option of pastepool; the nearest one is"
                " 'threadpool_workers', so correct the name or delete the line."
            ),
        ),
        (
            {"channel_timeout": "4"},
            (
                "'channel_timeout' (value '4') is not an option of egg:pastepool#http; a section with use = egg:pastepool#main"
                " takes it, so change the line with use or write 'socket_timeout' in place of 'channel_timeout'."
            ),
        ),
        (
            {"sqlalchemy.url": "sqlite://"},
            (
                "'sqlalchemy.url' (value 'sqlite://') is not an option of pastepool; delete the line, or move it to the"
                " section of the application if it belongs there."
            ),
        ),
        (
            {"port": "http"},
            "port = 'http' is not a whole number from 0 to 65535; write it like port = 8080.",
        ),
        (
            {"port": "18080 ; the public one"},
            (
                "port = '18080 ; the public one' is not a whole number from 0 to 65535; a value runs to the end of its"
                " line, so put the comment on a line of its own."
            ),
        ),
        (
            {"host": "127.0.0.1 # local"},
            (
                "host = '127.0.0.1 # local' is not a host such as localhost, 127.0.0.1, ::1,"
                " [::1]:8080, name:8080 or * for all addresses; a value runs to the end of its line, so put the"
                " comment on a line of its own."
            ),
        ),
        (
            {"threadpool_hung_thread_limit": "none"},
            (
                "threadpool_hung_thread_limit = 'none' is not a duration of at least 0.001s such as 30, 30s, 5m, 1h or"
                " 500ms; write it like threadpool_hung_thread_limit = 30s."
            ),
        ),
        (
            {"health_path": "x" * 200},
            (
                f"health_path = '{'x' * 80}...' is not a path that begins with / and holds no blank,"
                " ? or #; write it like health_path = /healthz."
            ),
        ),
        (
            {"port": [8080]},
            (
                "port = '[8080]' is of type list, and a setting is text, a number or true or false; write it like"
                " port = 8080."
            ),
        ),
        (
            {"ssl_pem": "/etc/ssl/"},
            (
                "ssl_pem = '/etc/ssl/' is not the path of a file such as /etc/ssl/shop.pem; write it like"
                " ssl_pem = /etc/ssl/shop.pem."
            ),
        ),
        (
            {"start_loop": "false"},
            "start_loop = 'false' cannot be served: the server is started where it serves; leave the line out.",
        ),
        (
            {"handler": "my.Handler"},
            (
                "handler = 'my.Handler' cannot be served: request handlers are no part of this"
                " server; wrap the application in middleware instead."
            ),
        ),
        (
            {"threadpool_dying_limit": "60", "threadpool_dying_thread_limit": "90"},
            (
                "threadpool_dying_limit = '60' and threadpool_dying_thread_limit = '90' are two names of one option and"
                " differ; delete one of the lines."
            ),
        ),
        (
            {"error_email": "ü@example.com"},
            (
                "error_email = 'ü@example.com' is not addresses separated by commas or blanks; write it like"
                " error_email = ops@example.com."
            ),
        ),
    ],
)
def test_every_complaint_is_one_sentence_with_place_key_value_and_remedy(local: dict[str, Any], sentence: str) -> None:
    """Issue 2: one sentence names the section, the key, the value, the nearest known key and the remedy."""
    assert str(complaint(local)) == f"{WHERE}: {sentence}"


def test_the_parts_of_a_complaint_can_be_read_by_a_program() -> None:
    """A checker can point at the line without taking the sentence apart."""
    error = complaint({"prot": "80"})
    assert (error.section, error.key, error.value, error.nearest) == ("server:main", "prot", "80", "port")


def test_without_a_file_the_section_alone_is_named() -> None:
    """A program that calls the factory has no file."""
    with pytest.raises(SettingsError, match=r"^\[server:main\]: port = 'x' is not"):
        read({"port": "x"})


def test_two_spellings_that_agree_are_fine() -> None:
    """A file with both names, that of the manual of Paste and that of its code, is served."""
    settings = read({"threadpool_dying_limit": "60", "threadpool_dying_thread_limit": "1m"})
    assert settings.pool.dying_for == 60.0


def test_mail_comes_from_default() -> None:
    """Contract P12: ``error_email`` and its companions are inherited from [DEFAULT]."""
    mail = read(
        {},
        {
            "error_email": "a@example.com b@example.com",
            "error_from_address": "app@example.com",
            "error_subject_prefix": "[shop] ",
            "smtp_server": "mail.example.com",
            "smtp_port": "587",
            "smtp_username": "app",
            "smtp_password": "hunter2",
            "smtp_use_tls": "True",
        },
    ).mail
    assert mail.recipients == ("a@example.com", "b@example.com")
    assert (mail.sender, mail.subject_prefix) == ("app@example.com", "[shop]")
    assert (mail.host, mail.port, mail.use_tls) == ("mail.example.com", 587, True)
    assert (mail.username, mail.password) == ("app", "hunter2")


@pytest.mark.parametrize(
    ("local", "global_conf", "recipients"),
    [
        ({}, {}, ()),
        ({"error_email": "s@x"}, {"error_email": "g@x"}, ("s@x",)),
        ({"threadpool_error_email": "s@x"}, {"error_email": "g@x", "email_to": "p@x"}, ("s@x",)),
        ({}, {"error_email": "g@x", "email_to": "p@x"}, ("g@x",)),
        ({}, {"error_email": "", "email_to": "p@x"}, ("p@x",)),
        ({"error_email": ""}, {"error_email": "g@x"}, ("g@x",)),
    ],
)
def test_the_section_wins_and_the_pylons_name_comes_last(
    local: dict[str, str], global_conf: dict[str, str], recipients: tuple[str, ...]
) -> None:
    """Recipients: the section, then ``error_email`` in [DEFAULT], then ``email_to``; nobody switches mail off."""
    assert read(local, global_conf).mail.recipients == recipients


def test_the_pylons_name_of_the_sender_is_known() -> None:
    """``error_email_from`` is what Pylons files call the sender."""
    assert read({}, {"email_to": "p@x", "error_email_from": "shop@x"}).mail.sender == "shop@x"


def test_a_mail_server_may_bring_its_port() -> None:
    """``smtp_server = host:port`` is common; with a different ``smtp_port`` in the section it is a contradiction."""
    mail = read({}, {"error_email": "a@x", "smtp_server": "mail.example.com:2525"}).mail
    assert (mail.host, mail.port) == ("mail.example.com", 2525)
    error = complaint({"smtp_server": "mail:2525", "smtp_port": "25", "error_email": "a@x"})
    assert "smtp_server = mail:2525 contradicts smtp_port = 25" in str(error)


def test_a_mail_server_and_its_port_contradict_in_default_too() -> None:
    """The rule is the same wherever the two stand together."""
    error = complaint({}, {"error_email": "a@x", "smtp_server": "mail:2525", "smtp_port": "25"})
    assert str(error).startswith("[DEFAULT] of /srv/app/production.ini: smtp_server = mail:2525 contradicts smtp_port")


@pytest.mark.parametrize(
    ("local", "global_conf", "address"),
    [
        ({"smtp_server": "mail:2525"}, {"smtp_port": "587"}, ("mail", 2525)),
        ({"smtp_port": "587"}, {"smtp_server": "mail:2525"}, ("mail", 587)),
        ({"smtp_server": "mail"}, {"smtp_port": "587"}, ("mail", 587)),
    ],
)
def test_the_port_of_the_section_wins_over_that_of_default(
    local: dict[str, str], global_conf: dict[str, str], address: tuple[str, int]
) -> None:
    """Between the two places there is no contradiction: the section is the nearer one."""
    mail = read({"error_email": "a@x", **local}, global_conf).mail
    assert (mail.host, mail.port) == address


@pytest.mark.parametrize(
    ("more", "warned"),
    [
        ({"smtp_server": "mail.example.com"}, True),
        ({"smtp_server": "192.0.2.1:587"}, True),
        ({"smtp_server": "mail.example.com", "smtp_use_tls": "true"}, False),
        ({"smtp_server": "localhost"}, False),
        ({"smtp_server": "[::1]:25"}, False),
        ({"smtp_server": "mail.example.com", "error_email": ""}, False),
    ],
)
def test_password_in_plain_text_to_another_machine_is_warned_of(more: dict[str, str], warned: bool) -> None:
    """The start goes on, because a private network may be safe; the sentence names the remedy."""
    login = {"error_email": "a@x", "smtp_username": "shop", "smtp_password": "secret"}
    notes = read({**login, **more}).notes
    assert [note for note in notes if "as plain text; set smtp_use_tls = true" in note] == list(notes)
    assert len(notes) == warned


@pytest.mark.parametrize(("key", "value"), [("smtp_port", "smtp"), ("smtp_server", ["a"]), ("error_email_from", "ü@x")])
def test_bad_mail_options_in_default_do_not_stop_the_start(key: str, value: object) -> None:
    """Paste does not read them there, and other programs do. The note names the place where the line stands."""
    settings = read({}, {**FILE, "error_email": "a@x", key: value})
    (note,) = settings.notes
    assert note.startswith(f"[DEFAULT] of /srv/app/production.ini: {key} = ")
    assert note.endswith(" is used.")
    assert settings.mail == read({}, {"error_email": "a@x"}).mail


def test_bad_recipients_in_default_stop_the_start() -> None:
    """Paste reads these there. A server that tells nobody would be found out too late."""
    error = complaint({}, {"error_email": "<"})
    assert str(error).startswith("[DEFAULT] of /srv/app/production.ini: error_email = '<' is not addresses")


def test_none_of_python_means_that_a_mail_option_is_not_set() -> None:
    """Generated files write it for an option without a value."""
    none = {"smtp_port": "None", "smtp_use_tls": "None", "smtp_username": "None"}
    assert read({}, {"error_email": "a@x", **none}) == read({}, {"error_email": "a@x"})
    assert read({"error_email": "a@x", **none}) == read({"error_email": "a@x"})


def test_mail_options_of_somebody_else_are_not_judged() -> None:
    """Without recipients the companions in [DEFAULT] belong to the application, whatever they hold."""
    assert read({}, {"smtp_port": "smtp", "smtp_use_tls": "starttls"}).mail == read({}).mail


def test_mail_options_of_the_section_are_judged_without_recipients() -> None:
    """In our own section a bad value is ours to refuse."""
    assert "smtp_port = 'smtp' is not" in str(complaint({"smtp_port": "smtp"}))


def test_a_server_option_that_default_hides_is_noted_with_the_way_out() -> None:
    """PasteDeploy drops from the section whatever [DEFAULT] names too; the operator learns how to pull it in."""
    assert read({}, {**FILE, "port": "9999"}).notes == (
        (
            f"{WHERE}: port = '9999' stands in [DEFAULT], on the command line or in a 'set' line, which hides port"
            " from the server, so 8080 is used; write 'get port = port' into [server:main] to pull it in."
        ),
    )


def test_a_hidden_option_without_a_value_of_its_own_has_no_effect() -> None:
    """For an option that lives nowhere there is no value to name."""
    (note,) = read({}, {"use_threadpool": "false"}).notes
    assert "hides use_threadpool from the server, so it has no effect;" in note


@pytest.mark.parametrize(
    ("local", "global_conf"),
    [
        ({"port": "80"}, {"port": "80"}),
        ({"threadpool_dying_limit": "5"}, {"threadpool_dying_thread_limit": "9"}),
        ({}, {"port": ""}),
        ({}, {"debug": "true", "http_port": "80", "error_email": "a@x", "smtp_port": "25"}),
    ],
)
def test_nothing_is_noted_where_nothing_is_hidden(local: dict[str, str], global_conf: dict[str, str]) -> None:
    """A value pulled in, a blank one, a foreign one and an inherited one are no surprise."""
    assert read(local, global_conf).notes == ()


def test_secrets_are_masked_wherever_settings_are_shown() -> None:
    """The password is in the value and nowhere else: not in the list, not in repr, not in a complaint."""
    settings = read({"smtp_password": "hunter2"})
    assert settings.mail.password == "hunter2"
    assert dict(settings.shown)["smtp_password"] == "***"
    assert "hunter2" not in repr(settings)
    error = complaint({"smtp_password": "hunter2\nhunter3"})
    assert "hunter" not in str(error) and error.value == "***"
    assert "hunter2" not in str(complaint({"smtp_pasword": "hunter2"}))


def test_a_missing_secret_is_seen_to_be_missing() -> None:
    """Only a secret that is there is masked."""
    assert dict(read({}).shown)["smtp_password"] == "no login"
    assert mask("smtp_password", "") == ""


@pytest.mark.parametrize(
    ("key", "shown"),
    [("smtp_password", "***"), ("api_token", "***"), ("my_secret", "***"), ("port", "x"), ("zzz", "x")],
)
def test_what_sounds_like_a_secret_is_masked(key: str, shown: str) -> None:
    """Also under a key that is none of ours."""
    assert mask(key, "x") == shown


def test_shown_settings_are_the_effective_ones_in_the_order_of_the_table() -> None:
    """What is shown is what holds, after defaults gave way."""
    shown = read({"threadpool_workers": "2", "max_body_bytes": "1m", "queue_timeout": "500ms"}).shown
    assert [name for name, _ in shown] == [option.name for option in OPTIONS if option.field]
    effective = dict(shown)
    assert (effective["threadpool_spawn_if_under"], effective["threadpool_max_workers"]) == ("2", "8")
    assert (effective["max_body_bytes"], effective["queue_timeout"]) == ("1m", "0.5s")
    assert (effective["health_path"], effective["access_log"]) == ("off", "false")


@pytest.mark.parametrize(
    ("local", "sentence"),
    [
        ({"admin_listen": "127.0.0.1:8080"}, "port = 8080 contradicts admin_listen = 127.0.0.1:8080; only one of them"),
        (
            {"host": "0.0.0.0", "port": "8081", "admin_listen": "localhost"},
            "port = 8081 contradicts admin_listen = local",
        ),
        ({"listen": "*:80 127.0.0.1:80"}, "listen = *:80 contradicts listen = 127.0.0.1:80; only one of them can have"),
        ({"admin_listen": "8081"}, "admin_listen = '8081' is a port without a host; write it like 127.0.0.1:8081, or"),
        ({"host": "8080"}, "host = '8080' is a port without a host; write it like 127.0.0.1:8080, or *:8080"),
    ],
)
def test_a_clash_of_our_own_addresses_names_the_options(local: dict[str, str], sentence: str) -> None:
    """The kernel would only say that the port is taken."""
    assert str(complaint(local)).startswith(f"{WHERE}: {sentence}")


def test_an_address_with_proxy_names_who_may_connect() -> None:
    """A unix socket needs nothing: the rights of its file say who may connect."""
    sentence = f"{WHERE}: listen = 127.0.0.1:80 proxy contradicts proxy_from = none; any client could take any address"
    assert str(complaint({"listen": "127.0.0.1:80 proxy 127.0.0.1:81 proxy"})).startswith(sentence)
    rules = read({"listen": "127.0.0.1:80 proxy", "proxy_from": "10.0.0.0/8", "proxy_timeout": "1"}).proxy_headers
    assert (str(rules.allowed[0]), rules.timeout) == ("10.0.0.0/8", 1.0)
    assert read({"listen": "unix:/a proxy"}).listen == (Endpoint(path="/a", proxy=True),)
