"""Every message of the corpus, fed in every way it can arrive."""

from __future__ import annotations

import pytest

from tests.http1.cases import CORPUS, load, names
from tests.http1.feeding import Outcome, cut_at, dribbled, halves, outcome, whole

BEHIND = b"GET /behind HTTP/1.1\r\nHost: behind.example\r\n\r\n"


def agreed(data: bytes) -> Outcome:
    """What comes of the bytes, the same in one delivery, byte by byte, by threes, and in any two deliveries."""
    expected = outcome(whole(data))
    assert outcome(dribbled(data)) == expected
    assert outcome(dribbled(data, 3)) == expected
    for pieces in halves(data):
        assert outcome(pieces) == expected, pieces
    return expected


@pytest.mark.parametrize("name", names("valid"))
def test_valid_message_is_read_alike_however_it_arrives(name: str) -> None:
    """A valid message gives the requests beside it, whole or in any pieces."""
    case = load("valid", name)
    seen = agreed(case.data)
    assert seen.requests == case.requests
    assert seen.refused is None
    assert not seen.pending


@pytest.mark.parametrize("name", names("valid"))
def test_bytes_behind_a_message_belong_to_the_next(name: str) -> None:
    """What follows a valid message is the next request if the connection goes on, and left alone if not."""
    case = load("valid", name)
    seen = agreed(case.data + BEHIND)
    if case.requests[-1].keep_alive:
        assert [request.target for request in seen.requests[len(case.requests) :]] == [b"/behind"]
    else:
        assert seen.unread.endswith(BEHIND)
    assert seen.requests[: len(case.requests)] == case.requests


@pytest.mark.parametrize("name", names("valid"))
def test_message_cut_short_is_never_complete(name: str) -> None:
    """Without its last byte the last request of a message is not there."""
    case = load("valid", name)
    if case.requests[-1].keep_alive:
        seen = outcome(whole(case.data[:-1]))
        assert seen == Outcome(case.requests[:-1], None, b"", True)


@pytest.mark.parametrize("name", names("invalid"))
def test_invalid_message_is_refused_alike_however_it_arrives(name: str) -> None:
    """An invalid message is refused with its status and reason, whole or in any pieces; what came before it stands."""
    case = load("invalid", name)
    assert case.refused is not None
    status, words = case.refused
    seen = agreed(case.data)
    assert seen.refused is not None, seen
    assert seen.refused[0] == status
    assert words in seen.refused[1]
    assert seen.requests == case.requests


@pytest.mark.parametrize("name", names("invalid"))
def test_bytes_behind_an_invalid_message_change_nothing(name: str) -> None:
    """A refusal is the same with a valid request behind it, which is not read."""
    case = load("invalid", name)
    expected = outcome(whole(case.data))
    longer = case.data + BEHIND
    for pieces in (whole(longer), dribbled(longer), cut_at(longer, [len(case.data)])):
        assert outcome(pieces) == expected


def test_every_file_of_the_corpus_has_its_other_half() -> None:
    """Each message has an expectation and each expectation a message, and no number is used twice."""
    for kind in ("valid", "invalid"):
        found = sorted(path.stem for path in (CORPUS / kind).glob("*.expect"))
        assert found == names(kind)
        assert [name[:3] for name in found] == [f"{number:03d}" for number in range(1, len(found) + 1)]
    assert len(names("valid")) >= 70
    assert len(names("invalid")) >= 120
