"""The server section is read again from the file, with the variables of the command line that it had at the start."""

from __future__ import annotations

from pathlib import Path

import pytest

from pastepool.errors import SettingsError
from pastepool.settings.again import factory_of, read_again, variables_of
from pastepool.settings.dialect import PASTE

FILE = """\
[DEFAULT]
workers = 7
name = shop

[server:main]
use = egg:pastepool#http
threadpool_workers = %(workers)s

[server:other]
use = main
port = 9000
"""


@pytest.fixture
def ini(tmp_path: Path) -> Path:
    """A file with two server sections."""
    path = tmp_path / "shop.ini"
    path.write_text(FILE)
    return path


def test_section_is_read_as_it_stands_now(ini: Path) -> None:
    """Also one that builds on another."""
    assert read_again(str(ini), "server:main", {}, PASTE).pool.workers == 7
    ini.write_text(FILE.replace("workers = 7", "workers = 8"))
    settings = read_again(str(ini), "server:other", {}, PASTE)
    assert (settings.pool.workers, settings.listen[0].port) == (8, 9000)
    assert settings.config_file == str(ini)


def test_variables_of_the_command_line_win_again(ini: Path) -> None:
    """They are what a factory was given and the file does not say."""
    ini.write_text(FILE.replace("workers = 7\n", "home = %(here)s/home\n"))
    given = {
        "workers": "9",
        "name": "shop",
        "extra": "1",
        "home": "/srv/home",
        "__file__": str(ini),
        "here": str(ini.parent),
    }
    variables = variables_of(given, str(ini))
    assert variables == {"workers": "9", "extra": "1"}
    assert read_again(str(ini), "server:main", variables, PASTE).pool.workers == 9


def test_file_that_cannot_be_read_is_a_mistake_of_the_settings(ini: Path) -> None:
    """The server that runs goes on with what it has."""
    ini.unlink()
    with pytest.raises(SettingsError, match=r"shop\.ini \[server:main\] cannot be read again: "):
        read_again(str(ini), "server:main", {}, PASTE)


def test_mistake_is_told_with_its_line(ini: Path) -> None:
    """As at the start."""
    ini.write_text(FILE + "threads = none\n")
    with pytest.raises(SettingsError, match="line 12"):
        read_again(str(ini), "server:other", {}, PASTE)


def test_another_server_in_use_needs_a_restart(ini: Path) -> None:
    """The factory that was called at the start is compared with what the file names now."""
    factory = factory_of(str(ini), "server:main", {})
    assert callable(factory)
    assert read_again(str(ini), "server:main", {}, PASTE, factory).pool.workers == 7
    ini.write_text(ini.read_text().replace("egg:pastepool#http", "egg:pastepool#main"))
    with pytest.raises(SettingsError, match="use names another server now; that needs a restart"):
        read_again(str(ini), "server:main", {}, PASTE, factory)


def test_factory_of_a_file_that_cannot_be_read_is_not_known(ini: Path) -> None:
    """A program may name a file that Paste Deploy does not know; then nothing is compared."""
    ini.write_text("no section\n")
    assert factory_of(str(ini), "server:main", {}) is None
