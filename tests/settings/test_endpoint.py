"""Endpoints as values: how they are written, and what requests that come in there are told."""

from __future__ import annotations

import pytest

from pastepool.settings.endpoint import Endpoint, overlap


@pytest.mark.parametrize(
    ("endpoint", "written", "environ"),
    [
        (Endpoint("127.0.0.1", 8080), "127.0.0.1:8080", ("http", "127.0.0.1", 8080)),
        (Endpoint("::1", 8080), "[::1]:8080", ("http", "::1", 8080)),
        (Endpoint("*", 0), "*:0", ("http", "*", 0)),
        (Endpoint(path="/run/shop.sock"), "unix:/run/shop.sock", ("http", "localhost", 80)),
    ],
)
def test_endpoint_is_written_in_one_way_and_names_the_server(
    endpoint: Endpoint, written: str, environ: tuple[str, str, int]
) -> None:
    """IPv6 stands in brackets, a path stands for itself; a unix socket is called localhost and has HTTP's port."""
    assert str(endpoint) == written
    assert (endpoint.scheme, endpoint.server_name, endpoint.server_port) == environ


@pytest.mark.parametrize(
    ("one", "other", "both"),
    [
        (Endpoint("127.0.0.1", 80), Endpoint("127.0.0.1", 80), True),
        (Endpoint("127.0.0.1", 80), Endpoint("localhost", 80), True),
        (Endpoint("127.0.0.1", 80), Endpoint("127.0.0.2", 80), False),
        (Endpoint("127.0.0.1", 80), Endpoint("127.0.0.1", 81), False),
        (Endpoint("127.0.0.1", 0), Endpoint("127.0.0.1", 0), False),
        (Endpoint("0.0.0.0", 80), Endpoint("127.0.0.1", 80), True),
        (Endpoint("0.0.0.0", 80), Endpoint("::1", 80), False),
        (Endpoint("::", 80), Endpoint("127.0.0.1", 80), True),
        (Endpoint("::", 80, family=6), Endpoint("0.0.0.0", 80), False),
        (Endpoint("*", 80), Endpoint("shop.example", 80), True),
        (Endpoint("Shop.example.", 80), Endpoint("shop.example", 80), True),
        (Endpoint(path="/a"), Endpoint(path="/a"), True),
        (Endpoint(systemd="a"), Endpoint(systemd="b"), False),
        (Endpoint(systemd="a"), Endpoint("127.0.0.1", 80), False),
        (Endpoint(path="/a"), Endpoint("127.0.0.1", 80), False),
    ],
)
def test_two_addresses_that_cannot_both_be_listened_on(one: Endpoint, other: Endpoint, both: bool) -> None:
    """The kernel gives an address and port to one listener."""
    assert overlap(one, other) is overlap(other, one) is both


def test_place_is_what_the_kernel_binds() -> None:
    """Without the words that may stand after it; the IP family is no such word."""
    endpoint = Endpoint("::", 80, family=6, backlog=5, proxy=True, tls=True)
    assert endpoint.place == Endpoint("::", 80, family=6)
    assert Endpoint(path="/s", mode=0o600, owner="shop").place == Endpoint(path="/s")
    assert Endpoint(systemd="shop", tls=True).place == Endpoint(systemd="shop")
