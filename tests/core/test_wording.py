"""Durations, counts, addresses and foreign texts."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pastepool.core.wording import counted, host_and_port, printable, spoken


@pytest.mark.parametrize(
    ("duration", "text"),
    [(0.0, "0.0 s"), (4.24, "4.2 s"), (9.9, "9.9 s"), (10, "10 s"), (42.3, "42 s"), (1800, "1800 s")],
)
def test_durations_are_spelled_with_tenths_below_ten_seconds(duration: float, text: str) -> None:
    """Tenths tell something below ten seconds and nothing above."""
    assert spoken(duration) == text


def test_one_is_singular() -> None:
    """A count of one has a noun in the singular, every other one in the plural."""
    assert [counted(number, "worker") for number in (0, 1, 2)] == ["0 workers", "1 worker", "2 workers"]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("GET /caf\u00e9", "GET /caf\u00e9"),
        ("a\r\nBcc: x", "a\\r\\nBcc: x"),
        ("\x1b[31m", "\\x1b[31m"),
        ("\u202egnp", "\\u202egnp"),
        ("\ud800", "\\ud800"),
        ("\x00", "\\x00"),
    ],
)
def test_what_does_not_print_is_escaped(text: str, shown: str) -> None:
    """Line breaks, terminal codes, direction marks and lone surrogates are shown, not obeyed."""
    assert printable(text) == shown


def test_what_is_too_long_is_cut_and_says_so() -> None:
    """A text of exactly the limit is whole; one character more is cut."""
    assert printable("x" * 20, 20) == "x" * 20
    assert printable("x" * 21, 20) == "x" * 17 + "..."


@given(st.text(), st.integers(3, 50))
def test_a_foreign_text_never_breaks_its_line_nor_its_bound(text: str, limit: int) -> None:
    """Whatever comes in, what comes out prints, and is no longer than asked."""
    shown = printable(text, limit)
    assert shown.isprintable()
    assert len(shown) <= limit


@pytest.mark.parametrize(
    ("host", "written"), [("localhost", "localhost:80"), ("0.0.0.0", "0.0.0.0:80"), ("::1", "[::1]:80"), ("*", "*:80")]
)
def test_host_and_port_are_joined_as_in_a_url(host: str, written: str) -> None:
    """An IPv6 address stands in brackets, so that the port can be told from it."""
    assert host_and_port(host, 80) == written
