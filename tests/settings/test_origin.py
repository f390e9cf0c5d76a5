"""Which of several server sections a set of options came from."""

from __future__ import annotations

from pathlib import Path

import pytest

from pastepool.settings import section_of

FILE = """
[DEFAULT]
debug = true

[app:main]
use = egg:shop

[server:main]
use = egg:pastepool#http
port = 8080

[server:second]
use = egg:pastepool#http
set error_email = a@example.com
get threadpool_workers = workers
host = %(here)s
port = 8081
"""


@pytest.fixture
def ini(tmp_path: Path) -> dict[str, object]:
    """A file with two server sections, as PasteDeploy would name it."""
    path = tmp_path / "app.ini"
    path.write_text(FILE)
    return {"__file__": str(path)}


@pytest.mark.parametrize(
    ("local", "section"),
    [
        ({"port": "8080"}, "server:main"),
        ({"port": "8081", "threadpool_workers": "3", "host": "x"}, "server:second"),
        ({"port": "8081", "threadpool_workers": "3", "host": "x", "extra": "1"}, "server:second"),
        ({"port": "7"}, "server:main"),
        ({}, "server:main"),
    ],
)
def test_the_section_whose_lines_arrived_is_named(
    ini: dict[str, object], local: dict[str, object], section: str
) -> None:
    """Values tell sections apart; interpolation, ``get`` and ``set`` are seen through; in doubt it is main."""
    assert section_of(local, ini) == section


def test_a_section_built_on_another_is_named_instead_of_it(tmp_path: Path) -> None:
    """With ``use = base`` the lines of both arrive, and the one that was asked for is meant."""
    path = tmp_path / "app.ini"
    path.write_text("[server:base]\nhost = h\nworkers = 3\n[server:third]\nuse = base\nport = 1\n")
    conf = {"__file__": str(path)}
    assert section_of({"host": "h", "workers": "3", "port": "1"}, conf) == "server:third"
    assert section_of({"host": "h", "workers": "3"}, conf) == "server:base"


@pytest.mark.parametrize("text", ["no heading", "[app:main]\nx = 1\n"])
def test_a_file_that_says_nothing_means_main(tmp_path: Path, text: str) -> None:
    """The file only words a message, so a broken one is no error."""
    path = tmp_path / "app.ini"
    path.write_text(text)
    assert section_of({"port": "1"}, {"__file__": str(path)}) == "server:main"


@pytest.mark.parametrize("conf", [{}, {"__file__": "/no/such/file.ini"}])
def test_no_file_means_main(conf: dict[str, object]) -> None:
    """A program has no file."""
    assert section_of({"port": "1"}, conf) == "server:main"
