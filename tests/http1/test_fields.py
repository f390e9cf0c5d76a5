"""Names of request fields, as an environ spells them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from pastepool.http1 import fields
from pastepool.http1.fields import DROPPED, KEYS, environ_key, joined


@pytest.fixture(autouse=True)
def no_memory() -> Iterator[None]:
    """Begin with an empty cache, and give back the one that was there."""
    before = dict(KEYS)
    KEYS.clear()
    yield
    KEYS.clear()
    KEYS.update(before)


@pytest.mark.parametrize(
    ("name", "key"),
    [
        (b"Host", "HTTP_HOST"),
        (b"uSeR-aGeNt", "HTTP_USER_AGENT"),
        (b"Content-Type", "CONTENT_TYPE"),
        (b"content-length", "CONTENT_LENGTH"),
        (b"Content-Encoding", "HTTP_CONTENT_ENCODING"),
        (b"X", "HTTP_X"),
        (b"Proxy", DROPPED),
        (b"pROXY", DROPPED),
        (b"Proxy-Authorization", "HTTP_PROXY_AUTHORIZATION"),
        (b"X_Forwarded_For", DROPPED),
        (b"Content_Length", DROPPED),
        (b"_", DROPPED),
    ],
)
def test_name_becomes_its_environ_key(name: bytes, key: str) -> None:
    """Each name has one key; what could be mistaken for another field, or for a variable of CGI's, has none."""
    assert environ_key(name) == key
    assert KEYS[name] == key
    assert environ_key(name) == key


def test_names_are_remembered_up_to_a_limit() -> None:
    """Clients that think up names fill no memory: their number is bounded, and long ones are not kept at all."""
    for number in range(fields._CACHE_LIMIT + 10):
        environ_key(b"X-%d" % number)
    assert len(KEYS) == fields._CACHE_LIMIT
    assert environ_key(b"X-9999999") == "HTTP_X_9999999"
    KEYS.clear()
    assert environ_key(b"X" * 1000) == "HTTP_" + "X" * 1000
    assert not KEYS


def test_lines_of_one_field_join_with_a_comma_and_cookies_with_a_semicolon() -> None:
    """Repeated fields are one list (RFC 9110 5.3), repeated cookies one cookie string (RFC 6265 5.4)."""
    assert joined("HTTP_ACCEPT", "a", "b") == "a, b"
    assert joined("HTTP_COOKIE", "a=1", "b=2") == "a=1; b=2"
