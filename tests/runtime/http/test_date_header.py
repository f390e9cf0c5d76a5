"""The Date and Server fields: right, and rendered once a second."""

from __future__ import annotations

import time
from email.utils import parsedate_to_datetime

import pytest

from pastepool.runtime.http.date_header import DateHeader


class Clocks:
    """Both clocks of ``time``, moved by hand."""

    def __init__(self, wall: float) -> None:
        self.wall = wall
        self.steady = 1000.0
        self.asked = 0

    def time(self) -> float:
        self.asked += 1
        return self.wall

    def monotonic(self) -> float:
        return self.steady

    def advance(self, seconds: float) -> None:
        self.wall += seconds
        self.steady += seconds


@pytest.fixture
def clocks() -> Clocks:
    """Saturday, 21 November 2026, 0:54:15.25."""
    return Clocks(1795222455.25)


def stamp_with(clocks: Clocks, server: str = "s") -> DateHeader:
    """Return one with these clocks."""
    return DateHeader(server, clocks.monotonic, clocks.time)


def current(stamp: DateHeader) -> tuple[bytes, bytes, bytes]:
    """Return its fields of this instant."""
    return stamp.fields_at(stamp.now())


def test_fields_are_whole_lines_in_the_form_of_http(clocks: Clocks) -> None:
    """IMF-fixdate (RFC 9110 5.6.7), the server's name, and both together."""
    stamp = stamp_with(clocks, "pastepool")
    date, server, both = current(stamp)
    assert date == b"Date: Sat, 21 Nov 2026 00:54:15 GMT\r\n"
    assert server == b"Server: pastepool\r\n"
    assert both == stamp.joined() == date + server


def test_no_server_header_means_none(clocks: Clocks) -> None:
    """An operator who wants to say nothing says nothing."""
    date, server, both = current(stamp_with(clocks, ""))
    assert (server, both) == (b"", date)


def test_date_changes_with_the_wall_clocks_second_and_is_not_rendered_more_often(clocks: Clocks) -> None:
    """A thousand responses in a second cost one look at the time of day."""
    stamp = stamp_with(clocks)
    first = current(stamp)
    for _ in range(740):
        clocks.advance(0.001)
        assert current(stamp) is first
    assert clocks.asked == 1
    clocks.advance(0.011)
    assert b" 00:54:16 " in current(stamp)[0]
    assert clocks.asked == 2


def test_step_of_the_wall_clock_is_followed_within_a_second(clocks: Clocks) -> None:
    """When the administrator sets the clock, the next second tells it; the field never stands still."""
    stamp = stamp_with(clocks)
    current(stamp)
    clocks.wall -= 3600
    clocks.advance(1.0)
    assert b" 23:54:16 " in current(stamp)[0]


def test_it_tells_the_real_time() -> None:
    """Unmodified, the field is now."""
    told = parsedate_to_datetime(current(DateHeader(""))[0].decode("ascii").removeprefix("Date: ").strip())
    assert abs(told.timestamp() - time.time()) < 5
