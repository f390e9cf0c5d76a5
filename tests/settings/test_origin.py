"""Which of several server sections a set of options came from."""

from __future__ import annotations

from pathlib import Path

import pytest

from pastepool.settings import named_in, section_of
from pastepool.settings.origin import UNKNOWN

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


def test_section_that_cannot_be_told_is_not_guessed(tmp_path: Path) -> None:
    """No section matches: the only one is meant, or main, or it is not known; never just the first."""
    path = tmp_path / "app.ini"
    conf = {"__file__": str(path)}
    path.write_text("[server:one]\nport = 1\n[server:two]\nport = 2\n")
    assert section_of({"port": "3"}, conf) == UNKNOWN
    assert section_of({"port": "2"}, conf) == "server:two"
    path.write_text("[server:one]\nport = 1\n[server:main]\nport = 2\n")
    assert section_of({"port": "3"}, conf) == "server:main"
    path.write_text("[server:one]\nport = 1\n")
    assert section_of({"port": "3"}, conf) == "server:one"
    path.write_text("[server:one]\nport = 1\n[server:two]\nport = 1\n")
    assert section_of({"port": "1"}, conf) == "server:one"


APPLICATIONS = """
[DEFAULT]
debug = true
[composite:main]
use = egg:Paste#urlmap
/ = pages
/call = call:shop.calls:make
[pipeline:pages]
pipeline = egg:Filter-One filter2 egg:shop.pages#main
[filter:filter2]
paste.filter_factory = shop.filters:make
[app:other]
use = config:%(here)s/sub/other.ini#name
[app:self]
use = config:app.ini
[server:main]
use = egg:pastepool#http
[handler_x]
class = call:no.handler
"""


def test_names_of_applications_are_read_from_the_file(tmp_path: Path) -> None:
    """Each way of Paste Deploy to name one, also in another file; servers and handlers of the log are none."""
    (tmp_path / "app.ini").write_text(APPLICATIONS)
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "other.ini").write_text("[app:name]\nuse = egg:other\n[app:back]\nuse = config:../app.ini\n")
    distributions, modules = named_in(str(tmp_path / "app.ini"))
    assert distributions == {"Paste", "Filter-One", "shop.pages", "other"}
    assert modules == {"shop.calls", "shop.filters"}


@pytest.mark.parametrize("file", ["", "/no/such/file.ini", "a\0b"])
def test_file_that_cannot_be_read_names_nothing(file: str) -> None:
    """A program has no file, and a broken one is no error here."""
    assert named_in(file) == (frozenset(), frozenset())
