"""An application below a path: what becomes of SCRIPT_NAME and PATH_INFO."""

from __future__ import annotations

from typing import Any

import pytest

from pastepool.wsgi.prefix import under_prefix


def echo(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    """Return the two halves of the path."""
    return [environ["SCRIPT_NAME"].encode(), environ["PATH_INFO"].encode()]


@pytest.mark.parametrize(
    ("path", "info"),
    [
        ("/shop", ""),
        ("/shop/", "/"),
        ("/shop/a/b", "/a/b"),
        ("/", "/"),
        ("/a", "/a"),
        ("/shopping", "/shopping"),
        ("/shop/shop/a", "/shop/a"),
        ("*", "*"),
    ],
)
def test_prefix_is_taken_off_and_always_named(path: str, info: str) -> None:
    """Every request is told the prefix; the path loses it where it has it, as with waitress."""
    environ = {"SCRIPT_NAME": "", "PATH_INFO": path}
    assert under_prefix(echo, "/shop")(environ, lambda *ignored: None) == [b"/shop", info.encode()]


def test_no_prefix_costs_nothing() -> None:
    """Without a prefix, the application is called itself."""
    assert under_prefix(echo, "") is echo
