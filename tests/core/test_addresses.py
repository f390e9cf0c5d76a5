"""Addresses of clients: spelt in one way."""

from __future__ import annotations

import pytest

from pastepool.core.addresses import client_address, named, same_address


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("::ffff:127.0.0.1", "127.0.0.1"),
        ("127.0.0.1", "127.0.0.1"),
        ("::1", "::1"),
        ("::ffff:1", "::ffff:1"),
        ("fe80::1%eth0", "fe80::1%eth0"),
        ("", ""),
    ],
)
def test_ipv4_client_of_an_ipv6_socket_has_its_ipv4_address(given: str, shown: str) -> None:
    """Only the form in which the kernel gives such a client is changed."""
    assert client_address(given) == shown


def test_every_client_has_a_name_in_the_log() -> None:
    """Its address, or what it came through."""
    assert (named("127.0.0.1"), named("")) == ("127.0.0.1", "a unix socket")


@pytest.mark.parametrize(
    ("given", "same"),
    [
        ("::ffff:10.0.0.1", "10.0.0.1"),
        ("2001:DB8:0::1", "2001:db8::1"),
        ("fe80::1%eth0", "fe80::1"),
        ("10.0.0.1:80", ""),
        ("unknown", ""),
    ],
)
def test_equal_addresses_are_spelt_equally(given: str, same: str) -> None:
    """Fields of proxies have the same address in several forms; a text that is no address names nobody."""
    assert same_address(given) == same
