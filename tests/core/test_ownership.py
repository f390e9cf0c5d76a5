"""Whose code a source file is."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

import pastepool
from pastepool.core.ownership import (
    PACKAGE_ROOT,
    Owner,
    below,
    calls_application,
    claim,
    is_at_home,
    is_framework,
    is_installed,
    is_unknown_library,
    must_not_be_hit,
    own_file,
    owner_of,
)

SITE = "/venv/lib/python3.11/site-packages"


@pytest.mark.parametrize(
    ("file", "app_root", "owner"),
    [
        ("/srv/shop/shop/db.py", "", Owner.OWN),
        ("/elsewhere/tool.py", "/srv/shop", Owner.OWN),
        (f"{SITE}/pyramid/router.py", "", Owner.LIBRARY),
        (f"{SITE}/shop/db.py", f"{SITE}/shop", Owner.OWN),
        ("/srv/shop/env/lib/python3.11/site-packages/shop.py", "/srv/shop/", Owner.LIBRARY),
        ("/usr/lib/python3/dist-packages/webob/dec.py", "", Owner.LIBRARY),
        ("/usr/lib/python3.12/threading.py", "", Owner.STDLIB),
        ("<frozen importlib._bootstrap>", "", Owner.STDLIB),
        ("C:\\Python312\\Lib\\queue.py", "", Owner.STDLIB),
        (own_file("wsgi/call.py"), "", Owner.SERVER),
        (own_file("wsgi/call.py"), str(Path(PACKAGE_ROOT).parent), Owner.SERVER),
        (own_file("entrypoints.py"), "", Owner.SERVER),
        ("/srv/pastepool_shop/db.py", "", Owner.OWN),
        ("/srv/pastepool/wsgi/shop.py", "", Owner.OWN),
    ],
)
def test_files_have_an_owner(file: str, app_root: str, owner: Owner) -> None:
    """Ours is what lies in this installation; everything else is judged by where Python installs such files."""
    assert owner_of(file, app_root) is owner


def test_package_root_is_the_package() -> None:
    """The folder is that of the package, wherever the module that says so lies in it."""
    assert list(pastepool.__path__) == [PACKAGE_ROOT]


def test_every_module_of_ours_is_the_servers_but_the_demonstration() -> None:
    """A module may move from one room to another without changing its owner."""
    modules = sorted(Path(PACKAGE_ROOT).rglob("*.py"))
    assert len(modules) > 100
    others = [module for module in modules if owner_of(str(module)) is not Owner.SERVER]
    assert {module.relative_to(PACKAGE_ROOT).parts[0] for module in others} <= {"demo"}


@pytest.mark.parametrize(
    ("file", "root", "name"),
    [
        ("/srv/shop/db.py", "/srv/shop", "db.py"),
        ("/srv/shop/db.py", "/srv/shop/", "db.py"),
        ("C:\\shop\\db.py", "C:\\shop", "db.py"),
        ("/srv/shopping/db.py", "/srv/shop", "/srv/shopping/db.py"),
        ("/srv/shop/db.py", "", "/srv/shop/db.py"),
    ],
)
def test_names_below_a_folder(file: str, root: str, name: str) -> None:
    """A file is named from the folder it lies in, and from no folder whose name only begins in the same way."""
    assert below(file, root) == name


def code_in(file: str) -> object:
    """A code object of one instruction, compiled as if it stood in that file."""
    return compile("pass", file, "exec")


@pytest.mark.parametrize(
    ("file", "spared"),
    [
        (own_file("core/states.py"), True),
        (own_file("a/room/that/is/new.py"), True),
        (own_file("wsgi/call.py"), True),
        (own_file("watch/app.py"), False),
        (own_file("demo/hanging.py"), False),
        ("/srv/shop/db.py", False),
        (threading.__file__, False),
    ],
)
def test_our_bookkeeping_must_not_be_hit(file: str, spared: bool) -> None:
    """Every room is spared except those that are applications; code that is not ours is judged by other rules."""
    assert must_not_be_hit(code_in(file)) is spared  # type: ignore[arg-type]


def test_what_calls_the_application_may_be_hit() -> None:
    """A function of ours may be the innermost one while the application is inside a callable written in C."""
    scope: dict[str, object] = {}
    exec(compile("def ours(): pass", own_file("wsgi/call.py"), "exec"), scope)
    ours = scope["ours"]
    assert must_not_be_hit(ours.__code__)  # type: ignore[attr-defined]
    assert calls_application(ours) is ours  # type: ignore[type-var]
    assert not must_not_be_hit(ours.__code__)  # type: ignore[attr-defined]


def test_claimed_file_is_the_applications_wherever_it_lies() -> None:
    """What the server calls is the application, also among the libraries; its neighbours stay libraries."""
    claimed, neighbour = f"{SITE}/acme/shop/db.py", f"{SITE}/acme/core/db.py"
    assert owner_of(claimed) is Owner.LIBRARY and not is_at_home(claimed) and is_unknown_library(claimed)
    claim([claimed, own_file("wsgi/call.py")])
    assert owner_of(claimed) is owner_of(claimed, "/srv/shop") is Owner.OWN
    assert is_at_home(claimed) and not is_unknown_library(claimed)
    assert owner_of(neighbour) is Owner.LIBRARY and not is_at_home(neighbour)
    assert owner_of(own_file("wsgi/call.py")) is Owner.SERVER


def test_folder_of_the_configuration_is_home() -> None:
    """As long as it is known."""
    assert is_at_home("/srv/shop/db.py", "/srv/shop")
    assert not is_at_home("/srv/shop/db.py") and not is_at_home("/srv/other/db.py", "/srv/shop")


@pytest.mark.parametrize(
    ("file", "unknown"),
    [
        (f"{SITE}/shop/db.py", True),
        (f"{SITE}/shop.py", True),
        ("C:\\Python\\Lib\\site-packages\\shop\\db.py", True),
        (f"{SITE}/django/db/models.py", False),
        (f"{SITE}/Paste/x.py", False),
        (f"{SITE}/six.py", False),
        ("/usr/lib/python3.12/socket.py", False),
        ("/srv/shop/db.py", False),
        (own_file("wsgi/call.py"), False),
    ],
)
def test_installed_package_may_be_the_application_unless_it_is_known(file: str, unknown: bool) -> None:
    """Frameworks, drivers and clients are known by name."""
    assert is_unknown_library(file) is unknown
    assert is_installed(file) is ("site-packages" in file)


def test_distributions_are_known_as_they_are_written() -> None:
    """Case and dashes differ between a distribution and its package."""
    assert is_framework("SQLAlchemy") and is_framework("Paste") and is_framework("typing-extensions")
    assert not is_framework("shop")
