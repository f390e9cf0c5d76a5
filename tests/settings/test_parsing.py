"""Shapes of values: what each parser reads, what it refuses, and that it reads back what it shows."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pastepool.settings.parsing import (
    Choice,
    Duration,
    Function,
    HostPort,
    Number,
    Refused,
    Size,
    Text,
    Truth,
    Unfit,
    UrlPath,
    plain_text,
)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0.0),
        ("30", 30.0),
        ("30s", 30.0),
        ("30 s", 30.0),
        ("5m", 300.0),
        ("1h", 3600.0),
        ("500ms", 0.5),
        ("2.5", 2.5),
        ("1.5H", 5400.0),
        ("999999999", 999999999.0),
    ],
)
def test_durations_take_units_and_decimals(text: str, seconds: float) -> None:
    """A duration is a number with or without one of ms, s, m and h."""
    assert Duration()(text) == seconds


@pytest.mark.parametrize("text", ["-1", "none", "1d", "5 minutes", "1e3", "inf", "nan", ".5", "٣", "30s ; x", "1 0"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    """Anything else is refused with the phrase that names the accepted forms."""
    with pytest.raises(Unfit, match="is not a duration such as 30, 30s, 5m, 1h or 500ms"):
        Duration()(text)


def test_a_duration_below_the_minimum_is_refused_with_the_minimum() -> None:
    """Zero is refused where it would make no sense."""
    with pytest.raises(Unfit, match=r"is not a duration of at least 0\.001s such as"):
        Duration(minimum=0.001)("0")


def test_a_duration_the_locks_of_python_cannot_take_is_refused() -> None:
    """Beyond the longest duration there is an error, not an overflow at three in the morning."""
    with pytest.raises(Unfit, match="is longer than the longest duration, 1000000000s"):
        Duration()("300000h")


@given(st.floats(min_value=0, max_value=1e9))
def test_a_shown_duration_reads_back_as_itself(value: float) -> None:
    """What is shown can be pasted into the file and means the same."""
    parser = Duration()
    seconds = parser(f"{value:.6f}")
    assert parser(parser.show(seconds)) == seconds


@pytest.mark.parametrize(
    ("text", "size"), [("0", 0), ("65536", 65536), ("512k", 524288), ("1 K", 1024), ("1m", 2**20), ("2G", 2**31)]
)
def test_sizes_take_binary_units(text: str, size: int) -> None:
    """k, m and g are powers of 1024, in either case."""
    assert Size(0, 2**40)(text) == size


@pytest.mark.parametrize("text", ["-1", "1.5m", "1t", "k", "many", "1048577"])
def test_what_is_no_size_or_out_of_bounds_is_refused(text: str) -> None:
    """A size outside its bounds is refused with the bounds."""
    with pytest.raises(Unfit, match="is not a size from 0 to 1m such as 65536, 512k, 1m or 1g"):
        Size(0, 2**20)(text)


@given(st.integers(min_value=0, max_value=2**45))
def test_a_shown_size_reads_back_as_itself(size: int) -> None:
    """What is shown can be pasted into the file and means the same."""
    parser = Size(0, 2**50)
    assert parser(parser.show(size)) == size


def test_numbers_are_whole_and_bounded() -> None:
    """Both bounds are included, a sign is allowed."""
    assert [Number(-1, 10)(text) for text in ("-1", "0", "+5", "10")] == [-1, 0, 5, 10]
    assert Number(0, 10).show(7) == "7"


@pytest.mark.parametrize("text", ["11", "-1", "5.0", "1_0", "٣", "", "none", "9" * 5000])
def test_what_is_no_such_number_is_refused(text: str) -> None:
    """Out of bounds, a fraction, Python's underscores and other digits are refused alike."""
    with pytest.raises(Unfit, match="is not a whole number from 0 to 10"):
        Number(0, 10)(text)


@pytest.mark.parametrize("text", ["true", "Yes", "ON", "y", "t", "1"])
def test_truth_in_the_words_of_asbool(text: str) -> None:
    """The words PasteDeploy takes for true."""
    assert Truth()(text) is True


@pytest.mark.parametrize("text", ["false", "No", "OFF", "n", "f", "0"])
def test_falsehood_in_the_words_of_asbool(text: str) -> None:
    """The words PasteDeploy takes for false."""
    assert Truth()(text) is False


def test_a_word_between_true_and_false_is_refused() -> None:
    """Paste answers with "String is not true/false"; so do we, with the words it takes."""
    with pytest.raises(Unfit, match="is not true or false"):
        Truth()("maybe")


def test_truth_is_shown_in_one_word() -> None:
    """Whatever was written, true and false are shown."""
    assert (Truth().show(True), Truth().show(False)) == ("true", "false")


def test_a_choice_knows_other_spellings() -> None:
    """A word is found in any case, and a second spelling means the first."""
    parser = Choice(("HTTP/1.1", "HTTP/1.0"), also=(("http/0.9", "HTTP/1.0"),))
    assert [parser(text) for text in ("http/1.1", "HTTP/0.9")] == ["HTTP/1.1", "HTTP/1.0"]
    with pytest.raises(Unfit, match=r"is not HTTP/1\.1 or HTTP/1\.0"):
        parser("HTTP/2")


@pytest.mark.parametrize("text", ["two\nlines", "two\r\nlines", "tab\t", "naïve", "\x00"])
def test_text_that_could_break_a_header_is_refused(text: str) -> None:
    """A line end in a Server field or a subject would let a configuration forge header lines by accident."""
    with pytest.raises(Unfit, match="is not one line of printable ASCII"):
        Text()(text)


@pytest.mark.parametrize("text", ["shop", "shop:", ":start", "shop.start", "shop-1:start", "shop:start()", "a b:c"])
def test_what_names_no_function_is_refused(text: str) -> None:
    """A module, a colon and a function."""
    with pytest.raises(Unfit, match="is not module:function, such as"):
        Function()(text)


def test_function_is_taken_as_it_stands() -> None:
    """It is looked up when the application is loaded."""
    assert Function()("shop.start:Shop.open") == Function().show("shop.start:Shop.open") == "shop.start:Shop.open"


@pytest.mark.parametrize("text", ["healthz", "/a b", "/a?b", "/a#b", "/é"])
def test_what_is_no_path_is_refused(text: str) -> None:
    """A health path that no request line can hold would never be answered."""
    with pytest.raises(Unfit, match="is not a path that begins with /"):
        UrlPath()(text)


def test_a_path_is_taken_as_it_stands() -> None:
    """Every byte a request target may hold before the query is allowed."""
    assert UrlPath()('/-/health~z%20"$@') == '/-/health~z%20"$@'


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("localhost", "localhost", None),
        ("my_host.example.com", "my_host.example.com", None),
        ("0.0.0.0", "0.0.0.0", None),
        ("127.0.0.1:9091", "127.0.0.1", 9091),
        ("::1", "::1", None),
        ("::", "::", None),
        ("[::1]", "::1", None),
        ("[::1]:8080", "::1", 8080),
        ("fe80::1%eth0", "fe80::1%eth0", None),
        ("*", "*", None),
        ("*:80", "*", 80),
    ],
)
def test_every_form_of_a_host(text: str, host: str, port: int | None) -> None:
    """Names, IPv4, IPv6 with and without brackets, each with and without a port where that is unambiguous."""
    assert HostPort()(text) == (host, port)


@pytest.mark.parametrize(
    "text",
    ["[::1", "[localhost]", "[::1]8080", "::1::2", "a:b:c", ":8080", "-x", "a b", "http://x", "127.0.0.1 ; here", "é"],
)
def test_what_is_no_host_is_refused(text: str) -> None:
    """What cannot be a host is refused before the resolver sees it."""
    with pytest.raises(Unfit, match=r"is not a host such as localhost|has a port that"):
        HostPort()(text)


@pytest.mark.parametrize("text", ["localhost:http", "localhost:", "[::1]:99999"])
def test_a_host_with_a_bad_port_is_refused_for_the_port(text: str) -> None:
    """The complaint names the part that is wrong."""
    with pytest.raises(Unfit, match="has a port that is not a whole number from 0 to 65535"):
        HostPort()(text)


@pytest.mark.parametrize("text", ["/run/app.sock", "unix:/run/app.sock"])
def test_a_unix_socket_is_refused_by_name(text: str) -> None:
    """``host`` is an address of IP; the sentence says where a unix socket is written."""
    with pytest.raises(
        Unfit, match=r"is a unix socket, which only listen takes; write it like listen = unix:/run/app\.sock"
    ):
        HostPort()(text)


def test_a_host_is_shown_without_brackets() -> None:
    """The value is the bare address; brackets belong to URLs."""
    assert HostPort().show("::1") == "::1"


def test_a_refused_option_tells_why_and_lets_the_harmless_value_pass() -> None:
    """``start_loop = true`` asks for what happens anyway."""
    harmless = Refused("because", true_passes=True)
    harmless("yes")
    assert harmless.show(None) == ""
    for parser, text in ((Refused("because", true_passes=True), "false"), (Refused("because"), "true")):
        with pytest.raises(Unfit, match="cannot be served: because"):
            parser(text)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, ""),
        ("  x \t", "x"),
        ("", ""),
        (True, "true"),
        (False, "false"),
        (8080, "8080"),
        (30.0, "30"),
        (0.25, "0.25"),
        (float("inf"), "inf"),
    ],
)
def test_python_values_become_the_text_an_operator_would_write(value: object, text: str) -> None:
    """A program may give numbers, truth values and None where a file gives text."""
    assert plain_text(value) == text


def test_other_types_are_refused_by_name() -> None:
    """A list is not guessed at."""
    with pytest.raises(Unfit, match="is of type list, and a setting is text, a number or true or false"):
        plain_text([1])
