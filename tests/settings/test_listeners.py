"""Places to listen on: what each form and each word after it means, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from pastepool.settings.endpoint import Endpoint
from pastepool.settings.listeners import Listeners, UnixPath
from pastepool.settings.parsing import Unfit


@pytest.mark.parametrize(
    ("text", "endpoints"),
    [
        ("127.0.0.1:1", (Endpoint("127.0.0.1", 1),)),
        ("localhost *:80 [::1]", (Endpoint("localhost", 8080), Endpoint("*", 80), Endpoint("::1", 8080))),
        ("a:1 a:1", (Endpoint("a", 1),)),
        ("\n  127.0.0.1:1 backlog=5\n  shop\n", (Endpoint("127.0.0.1", 1, backlog=5), Endpoint("shop", 8080))),
        (
            "unix:/a mode=600 owner=www-data:www-data b:2",
            (Endpoint(path="/a", mode=0o600, owner="www-data:www-data"), Endpoint("b", 2)),
        ),
        ("unix:@shop", (Endpoint(path="@shop"),)),
        ("systemd", (Endpoint(systemd="*"),)),
        (
            "systemd:shop proxy a:1 systemd",
            (Endpoint(systemd="shop", proxy=True), Endpoint("a", 1), Endpoint(systemd="*")),
        ),
        ("a:1 proxy backlog=5 b:2", (Endpoint("a", 1, backlog=5, proxy=True), Endpoint("b", 2))),
        ("unix:/a=b", (Endpoint(path="/a=b"),)),
    ],
)
def test_places_to_listen_on(text: str, endpoints: tuple[Endpoint, ...]) -> None:
    """One place a line or several in one, each with its words; what is shown is read back to the same."""
    assert Listeners()(text) == endpoints
    assert Listeners()(Listeners().show(endpoints)) == endpoints


def test_a_relative_path_is_taken_from_the_present_directory(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The application may change the directory before the socket is made."""
    monkeypatch.chdir(tmp_path)
    assert UnixPath()("shop.sock") == UnixPath().show(str(tmp_path / "shop.sock"))


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (
            "127.0.0.1:1 mod=600",
            "has 'mod=600', which is no address, and no word that may stand after one; the nearest",
        ),
        (
            "127.0.0.1:1 prox",
            "has 'prox', which is no address, and no word that may stand after one; the nearest word is",
        ),
        ("proxy=1", "is no address, and no word that may stand after one; the nearest word is proxy"),
        ("127.0.0.1:1 zzzzz", "has 'zzzzz', which is no address, and no word that may stand after one; the words are"),
        (
            "a:1 backlog",
            "has 'backlog', which is no address, and no word that may stand after one; the nearest word is",
        ),
        ("mode=600", "stands before any address; write it after the address that it is about"),
        ("a:1 mode=600", "has 'mode=600', which has no meaning for a:1, which has no file; delete it"),
        ("systemd mode=660", "has 'mode=660', which has no meaning for systemd, which systemd opens; delete it"),
        ("systemd:shop backlog=5", "has 'backlog=5', which has no meaning for systemd:shop, which systemd opens"),
        ("systemd:a:b", "is not systemd, or systemd: and the name of a socket such as systemd:shop"),
        ("systemd:", "is not systemd, or systemd: and the name of a socket"),
        ("unix:@a mode=600", "has 'mode=600', which has no meaning for unix:@a, which has no file; delete it"),
        ("unix:/a mode=abc", "has 'mode=abc', which has a value that is not three octal digits such as 660"),
        ("unix:/a owner=a:b:c", "has 'owner=a:b:c', which has a value that is not a user and a group such as"),
        ("a:1 backlog=0", "has 'backlog=0', which has a value that is not a whole number from 1 to"),
        ("unix:", "is not a path such as /run/shop.sock, or an abstract name such as @shop"),
        ("unix:@", "is not a path such as /run/shop.sock"),
        ("unix:/a/", "is not a path such as /run/shop.sock"),
        ("unix:/" + "a" * 107, "is 108 bytes long, and the system takes at most 107; set a shorter path"),
        (" ", "is not one or more addresses such as 127.0.0.1:8080"),
    ],
)
def test_places_that_cannot_be_listened_on(text: str, problem: str) -> None:
    """The word is named, and the nearest one."""
    with pytest.raises(Unfit) as caught:
        Listeners()(text)
    assert caught.value.problem.startswith(problem)
