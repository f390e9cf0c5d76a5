"""
Read from a certificate until when it is valid. Pure: takes the bytes of one certificate (DER, X.509, RFC 5280 4.1).

The standard library tells the date of a peer's certificate only after it has checked that certificate, and never that of
the server's own.
"""

from __future__ import annotations

from datetime import datetime, timezone

from pastepool.types import Seconds

_SEQUENCE, _VERSION = 0x30, 0xA0
_UTC_TIME, _GENERALIZED_TIME = 0x17, 0x18


def valid_until(der: bytes) -> float:
    """
    Return the end of the validity of a certificate, in seconds of POSIX time (``time.time``).

    Raises: ValueError: it is not a certificate.
    """
    try:
        content, _ = _element(der, _SEQUENCE)
        body, _ = _element(content, _SEQUENCE)
        rest = _element(body, _VERSION)[1] if body[0] == _VERSION else body
        for _ in range(3):  # serial number, algorithm, issuer
            rest = _element(rest)[1]
        validity, _ = _element(rest, _SEQUENCE)
        return _instant(_element(validity)[1])
    except IndexError:
        raise ValueError("the certificate ends too soon") from None


def _element(data: bytes, tag: int = 0) -> tuple[bytes, bytes]:
    """Return the content of the first element, and what is behind it. ``tag``: that it must have; 0 for any."""
    if tag and data[0] != tag:
        raise ValueError(f"an element of a certificate has the tag {data[0]:#x}, not {tag:#x}")
    size, begin = data[1], 2
    if size & 0x80:
        begin += size & 0x7F
        size = int.from_bytes(data[2:begin], "big")
    return data[begin : begin + size], data[begin + size :]


def _instant(data: bytes) -> float:
    text = _element(data)[0].decode("ascii")
    if data[0] == _UTC_TIME:
        text = ("20" if text < "50" else "19") + text  # RFC 5280 4.1.2.5.1
    elif data[0] != _GENERALIZED_TIME:
        raise ValueError("a date of a certificate is of an unknown kind")
    return datetime.strptime(text, "%Y%m%d%H%M%SZ").replace(tzinfo=timezone.utc).timestamp()


WARN_BEFORE_DAYS = (14, 7, 3, 1)
"""How many days before its end a certificate is warned of."""

_DAY: Seconds = 86400.0


def days_to_warn_of(valid_to: float, now: float) -> int | None:
    """
    Return which warning is due: a number of ``WARN_BEFORE_DAYS``, 0 if the certificate has expired, None for none.

    ``valid_to``, ``now``: POSIX time.
    """
    if now >= valid_to:
        return 0
    return min((days for days in WARN_BEFORE_DAYS if valid_to - now <= days * _DAY), default=None)
