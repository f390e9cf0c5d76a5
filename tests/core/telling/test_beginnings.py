"""What is looked at of a long text: as much as will be shown, and never a part of a secret."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pastepool.core.telling.beginnings import beginning, beginning_of_url
from pastepool.core.telling.masking import masked_path, masked_query, masked_url, request_facts
from pastepool.core.wording import printable

TOKEN = "Ab3" + "dEf9" * 30


def test_text_that_is_shown_whole_is_left_alone() -> None:
    """Up to the limit, and a little more, nothing is cut."""
    for text in ("", "/a?b=c", "x" * 364):
        assert beginning(text, 300) is text
        assert beginning_of_url(text, 300) is text


def test_long_text_is_cut_to_what_is_shown() -> None:
    """A long part stays, cut; one of which too little is left is not shown at all."""
    assert beginning("/" + "x" * 1000, 300) == "/" + "x" * 363
    assert beginning("/" + "x" * 330 + "/" + "y" * 1000, 300) == "/" + "x" * 330 + "/..."
    assert beginning("a=" + "x" * 330 + "&b=" + "y" * 1000, 300) == "a=" + "x" * 330 + "&b=..."


@given(st.integers(0, 400), st.integers(0, 24))
def test_cut_never_shows_a_part_of_a_token(before: int, more: int) -> None:
    """Wherever a token stands in a query or a path parameter, nothing of it comes out, whole or cut."""
    filling = "word&" * (before // 5) + "w" * (before % 5)
    for text in (
        f"{filling}&x={TOKEN}",
        f"{filling}&{TOKEN}",
        f"x={filling.replace('&', '-')}&token={'secret'[:more]}",
    ):
        assert "dEf9" not in printable(masked_query(beginning(text, 300)), 300)
    path = "/" + filling.replace("&", "/") + f";v={TOKEN}/" + "z" * 1000
    assert "dEf9" not in printable(masked_path(beginning(path, 300)), 300)


@given(st.integers(0, 400), st.integers(1, 400))
def test_cut_never_shows_a_password(user: int, password: int) -> None:
    """Also where the ``@`` that ends it is beyond the cut."""
    url = f"https://{'u' * user}:{'HUSH' * password}@host.example/" + "p" * 1000
    assert "HUSH" not in masked_url(beginning_of_url(url, 300))
    assert "HUSH" not in dict(request_facts({"HTTP_REFERER": url}))["referer"]


def test_url_without_a_user_is_shown() -> None:
    """An address with its host is no password, however long it is."""
    for url in ("https://host.example/" + "p" * 1000, "https://host.example?" + "p" * 1000, "/plain/" + "p" * 1000):
        assert beginning_of_url(url, 300) == url[:364]


@pytest.mark.parametrize(
    "text", ["&" * 60000, "/" * 60000, ";a=b" * 15000, "a=%41&" * 10000, "//a:b" * 12000, "x" * 60000, "%" * 60000]
)
def test_only_what_is_shown_is_looked_at(text: str) -> None:
    """Of 60,000 characters a few hundred are masked, in every fact."""
    for cut in (beginning, beginning_of_url):
        assert len(cut(text, 300)) <= 300 + 64 + 3
    facts = request_facts({"PATH_INFO": text, "QUERY_STRING": text, "HTTP_REFERER": text, "HTTP_USER_AGENT": text})
    assert all(len(shown) <= 500 for _, shown in facts)
