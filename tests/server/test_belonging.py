"""The files of the application are found from what the server calls; tests/server/test_own_line.py installs real ones."""

from __future__ import annotations

import functools
import importlib
import importlib.metadata
import logging
import sys
import types
from pathlib import Path
from typing import Any

import flask
import pytest
from paste.urlmap import URLMap

from pastepool.server.belonging import files_of_application


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Any, str]:
    """A module among installed packages that no distribution lists: its callable, and the path of its file."""
    folder = tmp_path / "site-packages" / "shop_of_nobody"
    folder.mkdir(parents=True)
    file = folder / "__init__.py"
    file.write_text("def application(environ, start_response): ...\n\nclass Wrapped:\n    def __call__(self): ...\n")
    (folder / "data.txt").touch()
    monkeypatch.syspath_prepend(str(folder.parent))
    sys.modules.pop("shop_of_nobody", None)
    importlib.invalidate_caches()
    return importlib.import_module("shop_of_nobody"), str(file)


class Wrapper:
    """Middleware that keeps what it wraps."""

    def __init__(self, app: Any) -> None:
        self.app = app

    def __call__(self, environ: Any, start_response: Any) -> Any:
        """Call it."""


def closing_over(app: Any) -> Any:
    """Middleware that is a function."""

    def call(environ: Any, start_response: Any) -> Any:
        return app(environ, start_response)

    return call


def mapped(app: Any) -> Any:
    """A composite of Paste."""
    composite = URLMap()
    composite["/x"] = app
    return composite


@pytest.mark.parametrize(
    "wrap",
    [
        lambda app: app,
        Wrapper,
        closing_over,
        mapped,
        lambda app: functools.partial(app, 1),
        lambda app: Wrapper(closing_over(mapped(Wrapper(app)))),
        lambda app: Wrapper({"/": app}),
        lambda app: Wrapper([None, app]),
        lambda app: Wrapper(app).__call__,
    ],
    ids=["alone", "object", "closure", "urlmap", "partial", "deep", "mapping", "list", "method"],
)
def test_application_is_found_below_middleware(shop: tuple[Any, str], wrap: Any) -> None:
    """However it is wrapped."""
    module, file = shop
    for app in (module.application, module.Wrapped()):
        assert files_of_application(wrap(app), (), ()) == {file}


def test_frameworks_and_files_elsewhere_are_not_claimed() -> None:
    """A framework stays one, and a module of these tests lies outside of the installed packages anyway."""
    assert files_of_application(flask.Flask("json"), ("Flask",), ("flask",)) == frozenset()
    assert files_of_application(closing_over(len), ("no-such-distribution", ""), ("no.such.module",)) == frozenset()


def test_distribution_that_is_named_is_found() -> None:
    """The list of its files comes from its installation."""
    files = files_of_application(None, ("hypothesis",), ())
    assert any(file.endswith("/hypothesis/core.py") for file in files)
    assert files == files_of_application(None, (), ("hypothesis.core",)) or "hypothesis.core" not in sys.modules


def test_lists_of_packages_are_read_once_at_most(shop: tuple[Any, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """To read them all takes up to a second. A module of a distribution that the configuration names needs none."""
    read: list[None] = []
    packages = importlib.metadata.packages_distributions

    def counting() -> Any:
        read.append(None)
        return packages()

    importlib.import_module("webtest.app")
    monkeypatch.setattr(importlib.metadata, "packages_distributions", counting)
    assert files_of_application(None, ("hypothesis",), ("hypothesis",)) and not read
    found = files_of_application(shop[0].application, (), ("webtest.app", "hypothesis"))
    assert shop[1] in found and len(read) == 1


def test_what_wraps_itself_comes_to_an_end() -> None:
    """A ring of callables, and more of them than any pipeline has."""
    ring = Wrapper(None)
    ring.app = ring
    chain: Any = ring
    for _ in range(500):
        chain = Wrapper(chain)
    assert files_of_application(chain, (), ()) == frozenset()


def test_variable_without_a_value_is_left_out() -> None:
    """A closure may be looked at before its variable has a value."""

    def make() -> Any:
        app: Any

        def call() -> Any:
            return app

        if call is None:
            app = call
        return call

    assert files_of_application(make(), (), ()) == frozenset()


def test_object_that_does_not_want_to_be_looked_at_costs_a_line(caplog: pytest.LogCaptureFixture) -> None:
    """The server starts all the same."""

    class Registry:
        @property
        def package_name(self) -> str:
            raise RuntimeError("not before the first request")

    app = types.SimpleNamespace(registry=Registry())
    with caplog.at_level(logging.WARNING):
        assert files_of_application(app, (), ()) == frozenset()
    assert "stacks may name a library instead of the application" in caplog.text
