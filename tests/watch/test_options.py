"""The options of the application and of the admin listener: read as the table says, refused in one sentence."""

from __future__ import annotations

import ipaddress

import pytest

from pastepool.entrypoints import watch_threads
from pastepool.errors import SettingsError
from pastepool.settings import read
from pastepool.settings.endpoint import Endpoint
from pastepool.settings.networks import LOOPBACK
from pastepool.settings.place import SettingsPlace
from pastepool.watch.app import WatchApp
from pastepool.watch.options import OPTIONS, WatchOptions, read_options

PLACE = SettingsPlace("app:watch", "site.ini")
SECRET = "correct-horse-battery"


def test_defaults_are_safe() -> None:
    """Nothing set means: this machine alone, and no kill."""
    assert read_options({}, PLACE) == WatchOptions(False, "", LOOPBACK)
    assert read_options({"allow_kill": "", "token": None}, PLACE) == WatchOptions()


def test_every_option_is_read() -> None:
    """Each option in the words of an INI file."""
    options = read_options({"allow_kill": "true", "token": SECRET, "allow_from": "10.0.0.0/8 ::1"}, PLACE)
    assert options.allow_kill and options.token == SECRET
    assert options.allow_from == (ipaddress.ip_network("10.0.0.0/8"), ipaddress.ip_network("::1"))
    assert SECRET not in repr(options)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (
            {"alow_kill": "true"},
            "'alow_kill' (value 'true') is not an option of watch_threads; the nearest one is 'allow_kill'",
        ),
        ({"colour": "red"}, "it has allow_kill, token, allow_from"),
        ({"allow_kill": "perhaps"}, "allow_kill = 'perhaps' is not true or false"),
        ({"token": "short"}, "token = '***' is not at least 16 printable ASCII characters without blanks"),
        ({"tokken": SECRET}, "'tokken' (value '***')"),
        (
            {"allow_from": "10.0.0.1/8"},
            "allow_from = '10.0.0.1/8' is an address with the length of a network; write 10.0.0.0/8",
        ),
        ({"allow_from": "0.0.0.0/0"}, "allow_from = 0.0.0.0/0 contradicts token = none"),
    ],
)
def test_mistake_is_told_in_one_sentence(given: dict[str, object], words: str) -> None:
    """The section, the key, the value unless it is secret, and the remedy."""
    with pytest.raises(SettingsError) as caught:
        watch_threads({"__file__": "site.ini"}, **given)
    text = str(caught.value)
    assert words in text and text.endswith(".") and "\n" not in text
    assert "site.ini" in text and SECRET not in text


def test_factory_makes_the_application() -> None:
    """What Paste Deploy calls gives a WSGI application."""
    assert isinstance(watch_threads({}, allow_kill="true"), WatchApp)


def test_every_row_is_told_in_sentences() -> None:
    """Each row has its sentences, and a default in words."""
    for option in OPTIONS:
        assert option.doc.endswith(".") and option.why.endswith(".") and option.show(option.default)


def test_admin_listener_is_off_and_read_whole() -> None:
    """Off by default; an address with a port sets both."""
    assert read({}).admin.listen == ()
    admin = read({"admin_listen": "0.0.0.0:9000", "admin_token": SECRET, "admin_allow_from": "10.0.0.0/8"}).admin
    assert (admin.listen, admin.token, admin.allow_kill) == ((Endpoint("0.0.0.0", 9000),), SECRET, False)
    assert SECRET not in repr(admin)


def test_admin_listener_is_not_opened_to_others_without_a_token() -> None:
    """Private data is shown to other machines only behind a secret (contract P17)."""
    with pytest.raises(SettingsError, match=r"admin_allow_from = 10\.0\.0\.0/8 contradicts admin_token = none"):
        read({"admin_listen": "0.0.0.0:9000", "admin_allow_from": "10.0.0.0/8"})


OWN_NAMES = ("127.0.0.1", "127.8.9.1:9000", "localhost", "LOCALHOST.:9000", "shop.localhost", "::1", "[::1]:9000")
OTHERS = ("0.0.0.0", "*", "::", "[::]:9000", "10.0.0.5:9000", "2001:db8::1", "shop.example", "localhost.example")


@pytest.mark.parametrize("listen", OTHERS)
def test_admin_listener_elsewhere_needs_a_token(listen: str) -> None:
    """Only a loopback address proves that who connects is on this machine."""
    with pytest.raises(SettingsError, match=r"admin_listen = .* contradicts admin_token = none; .*so set admin_token"):
        read({"admin_listen": listen})
    assert read({"admin_listen": listen, "admin_token": SECRET}).admin.token == SECRET


@pytest.mark.parametrize("listen", OWN_NAMES)
def test_admin_listener_on_loopback_needs_no_token(listen: str) -> None:
    """What was safe goes on working."""
    assert read({"admin_listen": listen}).admin.token == ""


def test_admin_option_without_listener_is_noted() -> None:
    """A setting that does nothing is told at start."""
    assert any("admin_token has no effect" in note for note in read({"admin_token": SECRET}).notes)
