"""Until when a certificate is valid, and when to warn of its end."""

from __future__ import annotations

import ssl
from datetime import datetime, timezone

import pytest

from pastepool.core.certificate import days_to_warn_of, valid_until
from tests.certificates import issue

DAY = 86400


@pytest.mark.parametrize(
    "end", [datetime(2031, 2, 3, 4, 5, 6, tzinfo=timezone.utc), datetime(2999, 12, 31, tzinfo=timezone.utc)]
)
def test_the_end_is_found(end: datetime) -> None:
    """Up to 2049 it has another form than from then on."""
    pem = issue(not_after=end).cert_chain_pems[0].bytes().decode()
    assert valid_until(ssl.PEM_cert_to_DER_cert(pem)) == end.timestamp()


def certificate(date: bytes, tag: int) -> bytes:
    """The skeleton of a certificate of version 1, with only what is read."""

    def element(tag: int, content: bytes) -> bytes:
        return bytes([tag, len(content)]) + content

    validity = element(0x30, element(0x17, b"200101000000Z") + element(tag, date))
    body = element(2, b"1") + element(0x30, b"") + element(0x30, b"") + validity
    return element(0x30, element(0x30, body))


def test_the_last_century_and_version_1() -> None:
    """A year of two digits from 50 on is one of the 1900s."""
    expected = datetime(1999, 12, 31, 23, 59, 59, tzinfo=timezone.utc).timestamp()
    assert valid_until(certificate(b"991231235959Z", 0x17)) == expected


@pytest.mark.parametrize(
    "data",
    [b"", b"\x30", b"garbage", b"\x30\x02\x30\x00", certificate(b"x", 0x17), certificate(b"20991231235959Z", 0x16)],
)
def test_what_is_no_certificate(data: bytes) -> None:
    """It is an error, whatever is wrong."""
    with pytest.raises(ValueError, match=r"."):
        valid_until(data)


@pytest.mark.parametrize(
    ("left", "days"),
    [(15 * DAY, None), (14 * DAY, 14), (8 * DAY, 14), (7 * DAY, 7), (1.5 * DAY, 3), (1, 1), (0, 0), (-5, 0)],
)
def test_warnings(left: float, days: int | None) -> None:
    """Each number of days comes once, and then the end."""
    assert days_to_warn_of(1000.0 + left, 1000.0) == days
