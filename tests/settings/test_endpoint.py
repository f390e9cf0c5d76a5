"""Endpoints as values: how they are written, and what requests that come in there are told."""

from __future__ import annotations

import pytest

from pastepool.settings.endpoint import Endpoint


@pytest.mark.parametrize(
    ("endpoint", "written", "environ"),
    [
        (Endpoint("127.0.0.1", 8080), "127.0.0.1:8080", ("http", "127.0.0.1", 8080)),
        (Endpoint("::1", 8080), "[::1]:8080", ("http", "::1", 8080)),
        (Endpoint("*", 0), "*:0", ("http", "*", 0)),
        (Endpoint(path="/run/shop.sock"), "/run/shop.sock", ("http", "localhost", 80)),
    ],
)
def test_endpoint_is_written_in_one_way_and_names_the_server(
    endpoint: Endpoint, written: str, environ: tuple[str, str, int]
) -> None:
    """IPv6 stands in brackets, a path stands for itself; a unix socket is called localhost and has HTTP's port."""
    assert str(endpoint) == written
    assert (endpoint.scheme, endpoint.server_name, endpoint.server_port) == environ
