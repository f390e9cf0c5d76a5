"""What of a request an operator may read."""

from __future__ import annotations

from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pastepool.core.telling.masking import looks_secret, masked_path, masked_query, masked_url, request_facts


@pytest.mark.parametrize(
    "name",
    [
        "token", "access_token", "csrfmiddlewaretoken", "api_key", "apikey", "key", "password", "passwd", "pass", "pwd",
        "secret", "client_secret", "code", "sig", "signature", "auth", "Authorization", "session", "sessionid",
        "PHPSESSID", "credential", "cred", "jwt", "otp", "PIN", "sid", "state", "nonce", "ticket", "SAMLResponse",
        "user[password]", "p%61ss", "p%2561ss", " pin ",
    ],
)  # fmt: skip
def test_names_that_promise_a_secret(name: str) -> None:
    """However they are spelled, encoded or wrapped."""
    assert looks_secret(name)


@pytest.mark.parametrize("name", ["page", "q", "lang", "id", "sort", "limit", "user", "email", "spinner", "inside"])
def test_names_that_promise_none(name: str) -> None:
    """What an operator needs to see stays."""
    assert not looks_secret(name)


@pytest.mark.parametrize(
    ("query", "shown"),
    [
        ("", ""),
        ("page=2&sort=name", "page=2&sort=name"),
        ("page=2&token=abc&sort=x", "page=2&token=***&sort=x"),
        ("a=1;password=x;b=2", "a=1;password=***;b=2"),
        ("token=", "token="),
        ("token", "token"),
        ("debug", "debug"),
        ("&&", "&&"),
        ("=x", "=x"),
        ("p%61ssword=x", "p%61ssword=***"),
        ("token=a=b=c", "token=***"),
        ("next=%2Flogin%3Ftoken%3Dabc", "next=***"),
        ("next=%252Flogin%253Ftoken%253Dabc", "next=***"),
        ("next=%2Flogin%3Fpage%3D2", "next=%2Flogin%3Fpage%3D2"),
        ("url=http%3A%2F%2Fme%3Apw%40host%2F", "url=***"),
        ("filter=%7B%22password%22%3A%221%22%7D", "filter=***"),
        ("t=5f4dcc3b5aa765d61d8327deb882cf99", "t=***"),
        ("t=eyJhbGciOiJ9.x", "t=***"),
        ("5f4dcc3b5aa765d61d8327deb882cf99", "***"),
        ("dG9rZW4tb2Ytc29tZWJvZHkx==", "***"),
        ("t=abc%2Bdef%2B5f4dcc3b5aa765d61d83", "t=***"),
        ("id=0b7c9a52-5f0e-4c1e-9d51-1f1f6c1e0f00", "id=***"),
        ("q=a+perfectly+ordinary+search", "q=a+perfectly+ordinary+search"),
        ("slug=how-to-survive-a-hung-database", "slug=how-to-survive-a-hung-database"),
        ("next=/shop/shoes/winter/2024/page/2", "next=/shop/shoes/winter/2024/page/2"),
        (f"q={quote('поиск')}", f"q={quote('поиск')}"),
    ],
)
def test_queries_are_masked_where_they_look_secret(query: str, shown: str) -> None:
    """By name, or by looks where the name tells nothing; order, names and separators stay."""
    assert masked_query(query) == shown


@pytest.mark.parametrize(
    ("path", "shown"),
    [
        ("/cart;jsessionid=ABC/x", "/cart;jsessionid=***/x"),
        ("/cart;color=red", "/cart;color=red"),
        ("/cart;v=5f4dcc3b5aa765d61d8327deb882cf99", "/cart;v=***"),
        ("/cart;5f4dcc3b5aa765d61d8327deb882cf99/x;y", "/cart;***/x;y"),
        ("/plain", "/plain"),
    ],
)
def test_path_parameters_are_masked_too(path: str, shown: str) -> None:
    """Java's habit of putting the session into the path."""
    assert masked_path(path) == shown


JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln"
RANDOM = "Zk3vT9qLw0XyB7nR2mPdHsUe"
UUID = "123e4567-e89b-12d3-a456-426614174000"


@pytest.mark.parametrize(
    ("path", "shown"),
    [
        (f"/reset/{RANDOM}", "/reset/***"),
        (f"/reset/{RANDOM}/confirm", "/reset/***/confirm"),
        (f"GET /a/{JWT}/b", "GET /a/***/b"),
        (f"/orders/{UUID}", "/orders/***"),
        ("/bot110201543:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw/sendMessage", "/bot110201543:***/sendMessage"),
        ("/x/5f4dcc3b5aa765d61d8327deb882cf99.json", "/x/***"),
        (f"/x/{RANDOM[:12]}%5F{RANDOM[12:]}", "/x/***"),
        (f"/x%2F{RANDOM}/y", "/***/y"),
        (f"//{RANDOM}//{RANDOM}", "//***//***"),
        ("/token/4f9a", "/token/***"),
        ("/reset-password/MTIz/bx7", "/reset-password/***/bx7"),
        ("/api_key/Ab", "/api_key/***"),
        ("/API-Key/x1/y1", "/API-Key/***/y1"),
        ("/otp/483920", "/otp/***"),
        ("/token;v=1/4f9a;color=red", "/token;v=1/***;color=red"),
        ("/token=hunter2/x", "/token=***/x"),
        ("/session:hunter2/x", "/session:***/x"),
        (f"/v={RANDOM}", "/v=***"),
        (f"/{RANDOM}=1", "/***"),
        ("/password/reset", "/password/reset"),
        ("/token/refresh-all", "/token/refresh-all"),
        ("/key/12", "/key/12"),
        ("/code/how-to-2024", "/code/how-to-2024"),
        ("/authors/Tolkien/monkeys/7", "/authors/Tolkien/monkeys/7"),
        ("/blog/2026-11-29-how-to-survive-a-Hung-database", "/blog/2026-11-29-how-to-survive-a-Hung-database"),
        ("/page=2/color:red", "/page=2/color:red"),
        ("background task shop.jobs.Rebuild_the_whole_index_1", "background task shop.jobs.Rebuild_the_whole_index_1"),
        ("", ""),
    ],
)
def test_segments_of_a_path_are_masked_like_values_of_a_query(path: str, shown: str) -> None:
    """By looks, or after a segment that names a secret. Words, slugs and small numbers stay, so that paths can be read."""
    assert masked_path(path) == shown
    assert masked_path(shown) == shown


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://shop.example/a?page=2&token=x#frag", "https://shop.example/a?page=2&token=***"),
        ("https://shop.example/#access_token=x", "https://shop.example/"),
        ("https://me:pw@shop.example/a", "https://***@shop.example/a"),
        ("http://[", "http://["),
        (f"https://{RANDOM}.example/a//{RANDOM}?b={RANDOM}", f"https://{RANDOM}.example/a//***?b=***"),
        (f"/a/{RANDOM}", "/a/***"),
        ("/a;jsessionid=X?b=1", "/a;jsessionid=***?b=1"),
        ("", ""),
    ],
)
def test_urls_lose_password_fragment_and_secrets(url: str, shown: str) -> None:
    """A referer is somebody else's URL, with somebody else's secrets."""
    assert masked_url(url) == shown


def environ(**more: object) -> dict[str, object]:
    """What a browser sends, secrets and all."""
    base: dict[str, object] = {
        "REQUEST_METHOD": "POST",
        "SCRIPT_NAME": "/shop",
        "PATH_INFO": "/caf\u00c3\u00a9",
        "QUERY_STRING": "page=2&token=hunter2",
        "HTTP_HOST": "shop.example",
        "HTTP_USER_AGENT": "Mozilla/5.0",
        "HTTP_REFERER": "https://other.example/?code=hunter2",
        "REMOTE_ADDR": "192.0.2.7",
        "CONTENT_TYPE": "application/json",
        "CONTENT_LENGTH": "12",
        "HTTP_X_REQUEST_ID": "r-1",
        "HTTP_COOKIE": "sid=hunter2",
        "HTTP_AUTHORIZATION": "Basic hunter2",
        "HTTP_PROXY_AUTHORIZATION": "Basic hunter2",
        "HTTP_X_API_KEY": "hunter2",
        "REMOTE_USER": "hunter2",
        "wsgi.input": object(),
    }
    return {**base, **more}


def test_the_facts_of_a_request() -> None:
    """Ten words at most, in a fixed order; a path in UTF-8 is readable."""
    assert request_facts(environ()) == (
        ("method", "POST"),
        ("path", "/shop/caf\u00e9"),
        ("query", "page=2&token=***"),
        ("host", "shop.example"),
        ("user agent", "Mozilla/5.0"),
        ("referer", "https://other.example/?code=***"),
        ("client", "192.0.2.7"),
        ("content type", "application/json"),
        ("content length", "12"),
        ("request id", "r-1"),
    )


def test_what_is_not_there_is_not_listed() -> None:
    """Missing, empty and not text are the same: nothing to show."""
    assert request_facts({}) == ()
    assert request_facts({"REQUEST_METHOD": "", "HTTP_HOST": None, "REMOTE_ADDR": 7, "PATH_INFO": "/"}) == (
        ("path", "/"),
    )


def test_our_own_request_id_comes_before_the_clients() -> None:
    """The one the log knows is the one to search for."""
    assert ("request id", "ours") in request_facts(environ(**{"pastepool.request_id": "ours"}))


@pytest.mark.parametrize(
    ("path", "shown"), [("/\xff\xfe", "/\u00ff\u00fe"), ("/\u20ac", "/\u20ac"), ("/a\nb", "/a\\nb")]
)
def test_a_path_that_is_not_utf8_is_shown_all_the_same(path: str, shown: str) -> None:
    """Neither bytes that are no UTF-8 nor an environ that is no latin-1 loses the mail."""
    assert ("path", shown) in request_facts({"PATH_INFO": path})


@pytest.mark.parametrize("before", ["/", "/a"])
def test_a_long_path_that_is_cut_stays_readable(before: str) -> None:
    """A cut between two bytes of one character does not make the whole path unreadable."""
    environ = {"PATH_INFO": (before + "\u0436" * 1000).encode().decode("latin-1")}
    assert dict(request_facts(environ))["path"].startswith(before + "\u0436" * 400)


@given(st.text(min_size=1), st.text("&;=%abc?# /", max_size=20))
def test_a_named_secret_is_never_shown(value: str, rest: str) -> None:
    """Whatever the value of a token is and whatever follows it, the value does not come out."""
    marked = f"HUSH{value}"
    query = f"a=1&token={quote(marked, safe='')}&{rest}"
    facts = request_facts(environ(QUERY_STRING=query, HTTP_REFERER=f"http://h/?{query}"))
    assert not any("HUSH" in text or "hunter2" in text for _, text in facts)


@given(st.dictionaries(st.sampled_from(sorted(environ())), st.text(max_size=3000)))
def test_facts_are_printable_and_bounded_whatever_comes(texts: dict[str, str]) -> None:
    """No header, however long or hostile, breaks or floods a mail."""
    for word, text in request_facts(texts):
        assert word.isprintable()
        assert text.isprintable()
        assert 0 < len(text) <= 500


@given(st.text(min_size=1), st.sampled_from(["/", "/a/", "//", "/a;b=c/", "/token=", "/x;"]))
def test_token_in_a_path_is_never_shown(around: str, before: str) -> None:
    """A long random text does not come out of any segment, whatever stands beside it."""
    assert RANDOM not in masked_path(f"{before}{RANDOM}{quote(around, safe='')}/b")
    assert RANDOM not in masked_path(f"{before}{quote(around, safe='')}{RANDOM}")


@given(st.text("ab=:;%2Ftoken1A/_-", max_size=60))
def test_masking_a_path_twice_masks_no_more(path: str) -> None:
    """A title is masked where it is made and again where it is shown."""
    assert masked_path(masked_path(path)) == masked_path(path)


@given(st.text("ab=&;%2Ftokn+./_", max_size=60))
def test_masking_twice_masks_no_more(query: str) -> None:
    """A masked query can be masked again, by the page that shows a mail's text."""
    assert masked_query(masked_query(query)) == masked_query(query)
