"""
What must hold for any bytes whatever. The property tests and the fuzz target share it.

1. Nothing but a ``PeerError`` comes out, and it has a reason that is not one of ours gone astray.
2. How the bytes were cut makes no difference, except which of two faults in one message is told.
3. What was read, written down plainly and read again, is the same: the engine understood no more than it says.
"""

from __future__ import annotations

from collections.abc import Iterable

from pastepool.http1.limits import Limits
from tests.http1.feeding import Outcome, Seen, cut_at, outcome, whole

LIMITS = Limits(request_target=400, header_bytes=4096, header_count=30, body_bytes=2000)
"""Small, so that random messages come near them."""


def judge(data: bytes, places: Iterable[int]) -> Outcome:
    """
    Feed ``data`` whole and cut at ``places``.

    Raises: AssertionError where a promise is broken; whatever comes out of the engine beside PeerError.
    """
    expected = outcome(whole(data), LIMITS)
    otherwise = outcome(cut_at(data, places), LIMITS)
    assert otherwise._replace(refused=None) == expected._replace(refused=None)
    assert (otherwise.refused is None) == (expected.refused is None)
    for status, reason in filter(None, (expected.refused, otherwise.refused)):
        assert status in (400, 413, 414, 417, 431, 501, 505)
        assert "callback" not in reason
    for seen in expected.requests:
        again = outcome(whole(written(seen)))
        assert again == Outcome((plain(seen),), None, b"", False)
    return expected


def written(seen: Seen) -> bytes:
    """The request as a plain client would send it."""
    lines = [seen.method.encode() + b" " + seen.target + b" HTTP/" + seen.version.encode()]
    for key, value in plain(seen).fields.items():
        name = key.removeprefix("HTTP_").replace("_", "-")
        lines.append(f"{name}: {value}".encode("latin-1"))
    content = seen.content
    if "CONTENT_LENGTH" not in seen.fields and (content or seen.expects_continue):
        lines.append(b"Transfer-Encoding: chunked")
        content = (b"%x\r\n%b\r\n" % (len(content), content) if content else b"") + b"0\r\n\r\n"
    return b"\r\n".join(lines) + b"\r\n\r\n" + content


def plain(seen: Seen) -> Seen:
    """Without white space that lines joined to one value may end in."""
    return seen._replace(fields={key: value.strip(" \t") for key, value in seen.fields.items()})
