"""One line for each request: every field in its place, whatever is missing or malicious."""

from __future__ import annotations

import logging
import re
from types import SimpleNamespace
from typing import Any

import pytest

from pastepool.runtime.http.access_log import access_line


def line(caplog: pytest.LogCaptureFixture, now: float = 110.0, target: bytes = b"/", **facts: Any) -> str:
    """The line of an exchange with these facts, without the time of day in it."""
    exchange = SimpleNamespace(
        method="GET",
        target=target,
        version=facts.pop("version", "1.1"),
        environ=facts.pop("environ", {}),
        connection=SimpleNamespace(peer=facts.pop("peer", "192.0.2.7")),
        **{
            "arrived_at": 0.0,
            "started_at": 109.5,
            "code": 200,
            "code_sent": 0,
            "content_sent": 12,
            "worker_name": "pastepool worker 3",
            "fate": "",
            **facts,
        },
    )
    caplog.clear()
    caplog.set_level(logging.INFO, "pastepool.access")
    access_line(exchange, now)()  # type: ignore[arg-type]
    text = caplog.records[0].getMessage()
    bare, found = re.subn(r"\[\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d \+0000\]", "[T]", text)
    assert found == 1
    return bare


def test_plain_line(caplog: pytest.LogCaptureFixture) -> None:
    """The combined format, then duration, wait and worker."""
    environ = {"HTTP_REFERER": "http://h/", "HTTP_USER_AGENT": "UA", "REMOTE_USER": "ann"}
    assert line(caplog, environ=environ) == (
        '192.0.2.7 - ann [T] "GET / HTTP/1.1" 200 12 "http://h/" "UA" 0.500000 0.000000 pastepool worker 3'
    )


def test_dashes_where_there_is_nothing(caplog: pytest.LogCaptureFixture) -> None:
    """No status, no content, no referer, no agent, no user, no worker, no address."""
    bare = line(caplog, code=0, content_sent=0, worker_name="", started_at=0.0, peer="", version="1.0")
    assert bare == '- - - [T] "GET / HTTP/1.0" - - "-" "-" 0.000000 0.000000 -'


def test_status_of_ours_goes_before_the_applications(caplog: pytest.LogCaptureFixture) -> None:
    """The client was told 504, whatever the application had meant to say."""
    assert ' 504 12 "-" "-" 0.500000 0.000000 pastepool worker 3 killed' in line(caplog, code_sent=504, fate="killed")


def test_wait_and_duration_are_told_apart(caplog: pytest.LogCaptureFixture) -> None:
    """Waited from its arrival to its start; lasted from there, or from its arrival if it never started."""
    assert " 0.500000 9.500000 " in line(caplog, arrived_at=100.0)
    assert " 10.000000 0.000000 " in line(caplog, arrived_at=100.0, started_at=0.0)


def test_text_of_a_class_of_the_application_is_not_remembered(caplog: pytest.LogCaptureFixture) -> None:
    """It may be equal to the text of another client and be spelled in another way, or have no hash at all."""

    class Loud(str):
        def __getitem__(self, part: Any) -> str:
            return super().__getitem__(part).upper()

    class NoHash(str):
        __hash__ = None  # type: ignore[assignment]

    assert '"QUIET 1.0"' in line(caplog, environ={"HTTP_USER_AGENT": Loud("quiet 1.0")})
    assert '"quiet 1.0"' in line(caplog, environ={"HTTP_USER_AGENT": "quiet 1.0"})
    assert '"no hash"' in line(caplog, environ={"HTTP_USER_AGENT": NoHash("no hash")})


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ('"', '\\"'),
        ("\\", "\\\\"),
        ('\\"', '\\\\\\"'),
        ("a\nb", "a\\nb"),
        ("\x1b[31m", "\\x1b[31m"),
        ("\u202e", "\\u202e"),
        ("\x85", "\\x85"),
    ],
)
def test_no_value_leaves_its_field(caplog: pytest.LogCaptureFixture, value: str, shown: str) -> None:
    """Quotation marks and backslashes are escaped, what does not print is spelled out."""
    bare = line(caplog, environ={"HTTP_USER_AGENT": value, "HTTP_REFERER": value})
    assert f'"{shown}" "{shown}" 0.5' in bare
    assert bare.isprintable()


def test_user_is_one_word(caplog: pytest.LogCaptureFixture) -> None:
    """The one field without quotation marks that others fill in: blanks cannot make two of it."""
    assert line(caplog, environ={"REMOTE_USER": 'a b - [x] "'}).startswith('192.0.2.7 - a%20b%20-%20[x]%20\\" [T] ')


@pytest.mark.parametrize("environ", [{}, {"HTTP_USER_AGENT": 1, "HTTP_REFERER": None, "REMOTE_USER": object()}])
def test_environ_may_hold_anything(caplog: pytest.LogCaptureFixture, environ: dict[str, Any]) -> None:
    """It was the application's to change; what is no text is passed over."""
    assert '- [T] "GET / HTTP/1.1" 200 12 "-" "-" ' in line(caplog, environ=environ)


@pytest.mark.parametrize(
    ("target", "shown"),
    [
        (b"/a?b=c", "/a?b=c"),
        (b"/a?", "/a"),
        (b"/a?token=t&b=c", "/a?token=***&b=c"),
        (b"/a;jsessionid=1?b", "/a;jsessionid=***?b"),
        (b"*", "*"),
        (b"/\xe4", "/\xe4"),
        (b"/" + b"x" * 400, "/" + "x" * 296 + "..."),
    ],
)
def test_target_as_it_came_but_for_its_secrets(caplog: pytest.LogCaptureFixture, target: bytes, shown: str) -> None:
    """Percent-encoded, masked, and cut where it is too long."""
    assert f'"GET {shown} HTTP/1.1"' in line(caplog, target=target)
