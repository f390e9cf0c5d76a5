"""The server factory: what Paste Deploy gets, and what a program gets that calls it itself."""

from __future__ import annotations

import configparser
import sys
import threading
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from paste.deploy import loadserver

from pastepool.entrypoints import CommandExit, http
from pastepool.errors import SettingsError, StartError
from pastepool.settings import Settings
from pastepool.settings.endpoint import Endpoint

SERVED: list[tuple[Settings, object]] = []


class RecordingServer:
    """Stands for the server: notes what it was built from, and fails to start when the port is 1."""

    def __init__(self, settings: Settings, app: object, admin: object = None, membership: object = None) -> None:
        self.settings = settings
        self.app = app

    def serve(self) -> None:
        """Return at once, as after a drain."""
        if self.settings.listen[0].port == 1:
            raise StartError("cannot listen on 127.0.0.1:1: the port is taken.")
        SERVED.append((self.settings, self.app))


@pytest.fixture(autouse=True)
def recording_server(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Put the recorder where the factory looks for the server."""
    module = types.ModuleType("pastepool.server")
    module.Server = RecordingServer  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "pastepool.server", module)
    yield
    SERVED.clear()


@pytest.fixture
def load(tmp_path: Path) -> Callable[..., Any]:
    """Load a server section from a file through the real PasteDeploy."""

    def load(text: str, name: str = "main", **variables: str) -> Any:
        path = tmp_path / "app.ini"
        path.write_text(text)
        return loadserver(f"config:{path}", name=name, global_conf=variables or None)

    return load


def app(environ: Any, start_response: Any) -> list[bytes]:
    """Answer nothing; it is never called here."""
    raise AssertionError("nothing is requested")


USE = "use = call:pastepool.entrypoints:http\n"


def served(server: Any) -> Settings:
    """Serve and say with which settings."""
    assert server(app) is None
    ((settings, given),) = SERVED
    assert given is app
    return settings


def test_a_section_becomes_a_callable_that_serves_an_application(load: Callable[..., Any]) -> None:
    """The whole of Paste Deploy's contract: load the section, call the result with the application."""
    settings = served(load(f"[server:main]\n{USE}host = 0.0.0.0\nport = 0\nthreadpool_workers = 20 \n"))
    assert (settings.listen, settings.pool.workers) == ((Endpoint("0.0.0.0", 0),), 20)
    assert settings.config_file.endswith("app.ini")


def test_a_bad_option_is_refused_while_the_section_is_loaded(load: Callable[..., Any], tmp_path: Path) -> None:
    """Before the application is loaded, and naming the section that was asked for, not the first one."""
    with pytest.raises(SettingsError) as caught:
        load(f"[server:main]\n{USE}port = 1\n[server:web2]\n{USE}port = http\n", "web2")
    where = f"[server:web2] of {tmp_path}/app.ini, line 6"
    assert str(caught.value).startswith(f"{where}: port = 'http' is not a whole number")


def test_any_keyword_reaches_the_table(load: Callable[..., Any]) -> None:
    """A key that is also a word of Python's or of the factory's own gets our sentence, not a TypeError."""
    for key in ("self", "local_conf", "global_conf", "class", "app"):
        with pytest.raises(SettingsError, match=f"{key!r} .value '1'. is not an option"):
            load(f"[server:main]\n{USE}{key} = 1\n")


def test_default_hides_a_server_option_and_the_notes_say_so(load: Callable[..., Any]) -> None:
    """Real PasteDeploy drops ``port`` from the section because [DEFAULT] names it too."""
    settings = served(load(f"[DEFAULT]\nport = 9999\n[server:main]\n{USE}port = 18080\n"))
    assert settings.listen[0].port == 8080
    (note,) = settings.notes
    assert "port = '9999' stands in [DEFAULT]" in note and "write 'get port = port' into [server:main]" in note


def test_a_command_line_variable_hides_a_server_option_too(load: Callable[..., Any]) -> None:
    """``paster serve app.ini port=18099`` does not set the port, and is told."""
    settings = served(load(f"[server:main]\n{USE}port = 18080\n", port="18099"))
    assert settings.listen[0].port == 8080
    assert "port = '18099' stands in [DEFAULT], on the command line" in settings.notes[0]


def test_the_way_out_that_the_note_names_works(load: Callable[..., Any]) -> None:
    """``get port = port`` pulls the hidden value in, and silences the note."""
    settings = served(load(f"[DEFAULT]\nport = 9999\n[server:main]\n{USE}get port = port\n"))
    assert (settings.listen[0].port, settings.notes) == (9999, ())


MAIN = """\
[server:main]
use = call:pastepool.entrypoints:http
port = 0
"""

FACTORIES = {
    # what makes the application: the section and the line that are named
    "[app:main]\npaste.app_factory = shop.wsgi:make\n": ("app:main", "paste.app_factory = shop.wsgi:make"),
    "[app:main]\nuse = egg:shop\n": ("app:main", "use = egg:shop"),
    "[application:main]\nuse = egg:shop\n": ("application:main", "use = egg:shop"),
    "[app]\nuse = egg:shop\n": ("app", "use = egg:shop"),
    "[app:main]\nuse = shop\n[app:shop]\nuse = call:shop:make\n": ("app:shop", "use = call:shop:make"),
    "[app:main]\nuse = egg:shop\nfilter-with = f\n[filter:f]\nuse = egg:f\n": ("filter:f", "use = egg:f"),
    "[pipeline:main]\npipeline = f shop\n[filter:f]\nuse = egg:f\n[app:shop]\nuse = egg:shop\n": (
        "filter:f",
        "use = egg:f",
    ),
    "[pipeline:main]\npipeline = shop\n[app:shop]\nuse = egg:shop\n": ("app:shop", "use = egg:shop"),
    "[pipeline:main]\npipeline = egg:f shop\n": ("pipeline:main", "pipeline = egg:f shop"),
    "[pipeline:main]\npipeline =\n": ("pipeline:main", "pipeline = "),
    "[filter-app:main]\nuse = f\nnext = shop\n[app:f]\nuse = egg:no\n[filter:f]\nuse = egg:f\n": (
        "filter:f",
        "use = egg:f",
    ),
    "[app:main]\nuse = main\n": ("app:main", "use = main"),
    "[app:main]\n": ("app:main", ""),
    "[app:other]\nuse = egg:shop\n": ("", ""),
}


@pytest.mark.parametrize(("sections", "named"), FACTORIES.items())
def test_factory_that_returns_none_is_named(
    sections: str, named: tuple[str, str], load: Callable[..., Any], tmp_path: Path
) -> None:
    """One sentence before anything is served: the section, the line with the factory, what it returned, the remedy."""
    section, line = named
    with pytest.raises(SettingsError) as caught:
        load(MAIN + sections)(None)
    place = f"[{section}] of {tmp_path}/app.ini: " if section else ""
    factory = f"the application factory ({line})" if line else "the application factory"
    rest = "returned None; a WSGI application is a callable, so let the factory return one."
    assert str(caught.value) == f"{place}{factory} {rest}"
    assert SERVED == []


class NoApplication:
    """An object like many that factories return by mistake."""


class Asgi:
    """An application for another kind of server."""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Never called."""


async def coroutine(scope: Any, receive: Any, send: Any) -> None:
    """The same as a function."""


@pytest.mark.parametrize(
    ("returned", "said"),
    [
        (NoApplication(), "returned an object of type NoApplication, which cannot be called"),
        ({"secret": "word"}, "returned an object of type dict, which cannot be called"),
        (Asgi(), r"returned an asynchronous application \(ASGI\); this server calls WSGI"),
        (coroutine, r"returned an asynchronous application \(ASGI\); this server calls WSGI"),
    ],
)
def test_what_is_no_application_is_refused(returned: object, said: str, load: Callable[..., Any]) -> None:
    """Not only None: nothing that cannot be called, and no application of another protocol."""
    with pytest.raises(SettingsError, match=said):
        load(MAIN)(returned)
    assert SERVED == []


def test_variables_are_interpolated(load: Callable[..., Any]) -> None:
    """``port = %(http_port)s`` with the number from the command line is how reddit did it."""
    assert served(load(f"[server:main]\n{USE}port = %(http_port)s\n", http_port="18099")).listen[0].port == 18099


def test_mail_is_inherited_from_default_through_paste_deploy(load: Callable[..., Any]) -> None:
    """Contract P12 with the real loader: recipients in [DEFAULT], or set by the section itself."""
    text = f"[DEFAULT]\nerror_email = a@example.com, b@example.com\nsmtp_server = mail:2525\n[server:main]\n{USE}"
    mail = served(load(text)).mail
    assert (mail.recipients, mail.host, mail.port) == (("a@example.com", "b@example.com"), "mail", 2525)


def test_set_in_the_section_reaches_the_mail_options(load: Callable[..., Any]) -> None:
    """``set error_email`` in a server section overrides [DEFAULT] for it."""
    text = f"[DEFAULT]\nerror_email = a@example.com\n[server:main]\n{USE}set error_email = b@example.com\n"
    assert served(load(text)).mail.recipients == ("b@example.com",)


def test_a_section_may_build_on_another(load: Callable[..., Any]) -> None:
    """``use = base`` merges the options, and a complaint names the section that was asked for."""
    text = f"[server:base]\n{USE}threadpool_workers = 3\n[server:main]\nuse = base\nport = "
    assert served(load(text + "0\n")).pool.workers == 3
    with pytest.raises(SettingsError, match=r"^\[server:main\] of "):
        load(text + "x\n")


def test_a_start_error_reaches_a_program_as_it_is() -> None:
    """A program that calls the factory itself catches StartError; nothing is printed and no exit is arranged."""
    before = sys.excepthook
    with pytest.raises(StartError, match="the port is taken"):
        http({}, port=1)(app)
    assert sys.excepthook is before


def test_the_factory_needs_no_configuration_at_all() -> None:
    """A program may leave everything out, or give Python values."""
    assert served(http()).listen[0].port == 8080
    SERVED.clear()
    assert served(http(None, port=0, access_log=True)).access_log


def test_within_a_command_the_error_travels_to_the_top(monkeypatch: pytest.MonkeyPatch) -> None:
    """With a serve command on the stack of the main thread the error becomes one no command's handler catches."""
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    command: dict[str, Any] = {"__name__": "gearbox.commands.serve", "http": http}
    exec("def serve(**options): return http({}, **options)", command)
    with pytest.raises(CommandExit, match="port = 'x' is not") as caught:
        command["serve"](port="x")
    assert not isinstance(caught.value, (Exception, SystemExit))
    assert caught.value.status == 1


def test_within_a_thread_of_a_command_the_error_stays_what_it_is() -> None:
    """An exception in another thread ends no process, so its owner gets the plain one."""
    command: dict[str, Any] = {"__name__": "gearbox.commands.serve", "http": http}
    exec("def serve(**options): return http({}, **options)", command)
    caught: list[BaseException] = []

    def run() -> None:
        try:
            command["serve"](port="x")
        except BaseException as error:
            caught.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join(5)
    assert [type(error) for error in caught] == [SettingsError]


def test_the_hook_speaks_for_our_exception_alone(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Any other exception goes to the hook that was there before."""
    passed: list[BaseException] = []
    monkeypatch.setattr(sys, "excepthook", lambda kind, value, trace: passed.append(value))
    command: dict[str, Any] = {"__name__": "paste.script.serve", "http": http}
    exec("def serve(**options): return http({}, **options)", command)
    with pytest.raises(CommandExit) as caught:
        command["serve"](port="x")
    other = configparser.Error("something else")
    sys.excepthook(type(other), other, None)
    assert passed == [other]
    with pytest.raises(SystemExit) as exit_:
        sys.excepthook(CommandExit, caught.value, None)
    assert exit_.value.code == 1
    assert capsys.readouterr().err == f"{caught.value}\n"
