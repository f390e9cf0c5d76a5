"""The four forms of a request target, taken apart."""

from __future__ import annotations

import pytest

from pastepool.errors import PeerError
from pastepool.http1.target import is_host, split_target


@pytest.mark.parametrize(
    ("method", "target", "expected"),
    [
        ("GET", b"/", (b"/", b"", None)),
        ("GET", b"/a/b?c=d?e", (b"/a/b", b"c=d?e", None)),
        ("GET", b"//a//../b", (b"//a//../b", b"", None)),
        ("GET", b"/http://b/", (b"/http://b/", b"", None)),
        ("OPTIONS", b"*", (b"*", b"", None)),
        ("GET", b"http://b", (b"/", b"", "b")),
        ("GET", b"HTTPS://B:8443/c%20d?e", (b"/c%20d", b"e", "B:8443")),
        ("GET", b"http://[::1]:80?q", (b"/", b"q", "[::1]:80")),
        ("OPTIONS", b"http://b/", (b"/", b"", "b")),
    ],
)
def test_target_is_split(method: str, target: bytes, expected: tuple[bytes, bytes, str | None]) -> None:
    """Path and query are raw bytes; the authority is there only in absolute form."""
    assert split_target(method, target) == expected


@pytest.mark.parametrize(
    ("method", "target", "words"),
    [
        ("GET", b"/a#b", "fragment"),
        ("GET", b"http://b#c", "fragment"),
        ("GET", b"*", "neither a path"),
        ("OPTIONS", b"**", "neither a path"),
        ("GET", b"b/c", "neither a path"),
        ("GET", b"b:80", "neither a path"),
        ("GET", b"ftp://b/", "neither a path"),
        ("GET", b"http:/b/", "neither a path"),
        ("GET", b"", "neither a path"),
        ("GET", b"http:///c", "no valid host"),
        ("GET", b"http://?c", "no valid host"),
        ("GET", b"http://:80/", "no valid host"),
        ("GET", b"http://u@b/", "no valid host"),
        ("GET", b"http://b\\c/", "no valid host"),
        ("GET", b"http://\xe9/", "no valid host"),
    ],
)
def test_target_of_another_form_is_refused(method: str, target: bytes, words: str) -> None:
    """A form that its method does not allow, a fragment, a host that is none: 400 with the reason."""
    with pytest.raises(PeerError, match=words) as refused:
        split_target(method, target)
    assert refused.value.status == 400


@pytest.mark.parametrize(
    ("value", "good"),
    [
        ("", True),
        ("a", True),
        ("a.b-c_d~e", True),
        ("a:80", True),
        ("a:", True),
        (":80", True),
        ("127.0.0.1:65536", True),
        ("[::1]", True),
        ("[v6::1]", False),
        ("[fe80::1%25eth0]:80", True),
        ("[fe80::1%eth0]", False),
        ("%C3%A9", True),
        ("!$&'()*+,;=", True),
        ("a b", False),
        ("a\t", False),
        ("a\n", False),
        ("é", False),
        ("a/b", False),
        ("a?b", False),
        ("a#b", False),
        ("u@a", False),
        ("a:b", False),
        ("a:8 0", False),
        ("a:٣", False),
        ("::1", False),
        ("[]", False),
        ("[::1]x", False),
    ],
)
def test_host_is_judged(value: str, good: bool) -> None:
    """A Host is a name or an address in brackets, with an optional port, in ASCII."""
    assert is_host(value) is good
