"""The table itself: complete, consistent, and every row of it does what it says."""

from __future__ import annotations

import re
from operator import attrgetter

import pytest

from pastepool.core.policy import OverloadPolicy, PoolPolicy, Timeouts
from pastepool.http1.limits import Limits
from pastepool.settings import read, reference_rows
from pastepool.settings.dialect import PASTE, WAITRESS
from pastepool.settings.endpoint import Endpoint
from pastepool.settings.foreign import BY_FOREIGN_NAME, FOREIGN
from pastepool.settings.option import Option
from pastepool.settings.options import BY_NAME, OPTIONS, nearest
from pastepool.settings.parsing import Refused
from pastepool.settings.tls_parsing import ContextObject
from tests.settings.companions import companions

SPELLINGS = [(name, option) for option in OPTIONS for name in option.names]
SERVED = [(name, option) for name, option in SPELLINGS if not isinstance(option.parser, (Refused, ContextObject))]


def test_no_spelling_stands_in_two_rows() -> None:
    """Each accepted key means one option."""
    assert len(BY_NAME) == len(SPELLINGS)


@pytest.mark.parametrize("option", OPTIONS, ids=lambda option: option.name)
def test_every_row_is_told_in_sentences(option: Option) -> None:
    """What it does, why its default, since when and under which heading: all are there, sentences as one line."""
    for sentence in (option.doc, option.why):
        assert sentence.endswith(".") and "\n" not in sentence and "  " not in sentence, sentence
    assert option.since and option.group and option.parser.expects


@pytest.mark.parametrize("option", OPTIONS, ids=lambda option: option.name)
def test_every_default_is_shown_in_words(option: Option) -> None:
    """The reference page has no empty cell."""
    assert option.show(option.default)


@pytest.mark.parametrize(("name", "option"), SERVED, ids=lambda value: value if isinstance(value, str) else "")
def test_every_spelling_reads_its_sample(name: str, option: Option) -> None:
    """The value a remedy recommends is accepted under every name of the row and arrives in the row's field."""
    settings = read({**companions(name), name: option.sample()})
    if option.field:
        shown = dict(settings.shown)[option.name]
        assert shown == ("***" if option.secret else option.sample())


@pytest.mark.parametrize("option", [option for option in OPTIONS if option.field], ids=lambda option: option.name)
def test_every_default_is_the_value_without_the_option(option: Option) -> None:
    """An empty section gives the table's defaults; the one that depends on another is four times the workers."""
    default = 40 if option.name == "threadpool_max_workers" else option.default
    settings = read({})
    assert dict(settings.shown)[option.name] == option.show(default)
    if "listen." not in option.field:
        assert attrgetter(option.field)(settings) == default


def test_host_and_port_become_one_endpoint() -> None:
    """The two rows of an address are one value in the settings; without a host there is none, and the port is shown."""
    settings = read({"host": "::1", "port": "9000", "admin_port": "9001"})
    assert (settings.listen, settings.admin.listen) == ((Endpoint("::1", 9000),), ())
    shown = dict(settings.shown)
    assert (shown["host"], shown["port"]) == ("::1", "9000")
    assert (shown["admin_listen"], shown["admin_port"]) == ("off", "9001")


def test_policies_keep_their_own_defaults() -> None:
    """The numbers are stored once, where the decisions are; the table only repeats them."""
    settings = read({})
    assert settings.pool == PoolPolicy()
    assert settings.overload == OverloadPolicy()
    assert settings.timeouts == Timeouts()
    assert settings.limits == Limits()


def test_the_reference_has_a_row_for_every_option() -> None:
    """Documentation is made from the table, in its order."""
    rows = reference_rows()
    assert [row.name for row in rows] == [option.name for option in OPTIONS]
    dying = next(row for row in rows if row.name == "threadpool_dying_limit")
    assert dying.aliases == ("threadpool_dying_thread_limit",)
    assert (dying.default, dying.unit, dying.group, dying.inherited) == ("300s", "seconds", "Pool", False)


def test_names_of_other_servers_lead_to_rows_of_ours() -> None:
    """The hint never names a key that does not exist, and never hides one that does."""
    assert {row.ours for row in FOREIGN} - {""} <= set(BY_NAME)
    assert not set(BY_FOREIGN_NAME) & {*BY_NAME, *PASTE.options, *WAITRESS.options}
    assert len(BY_FOREIGN_NAME) == sum(len(row.names) for row in FOREIGN)


def test_every_option_that_a_hint_names_exists() -> None:
    """A remedy that speaks of an option of ours spells it right."""
    words = {word for row in FOREIGN for word in re.findall(r"[a-z]+(?:_[a-z]+)+", row.remedy)}
    assert words <= {*BY_NAME, *WAITRESS.options, "watch_threads"}


@pytest.mark.parametrize(
    ("key", "near"),
    [
        ("Port", "port"),
        ("prot", "port"),
        ("threadpool-workers", "threadpool_workers"),
        ("threadpool_worker", "threadpool_workers"),
        ("hung_thread_limit", "threadpool_hung_thread_limit"),
        ("max_zombie_threads_before_die", "threadpool_max_zombie_threads_before_die"),
        ("threadpool_hung_limit", "threadpool_hung_thread_limit"),
        ("kill_thread_limit", "threadpool_kill_thread_limit"),
        ("bogus", ""),
    ],
)
def test_the_nearest_key(key: str, near: str) -> None:
    """Case, dashes, slips, a missing prefix and other servers' names are seen through; the rest is not guessed."""
    assert nearest(key) == near
