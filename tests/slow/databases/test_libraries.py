"""Two hundred kills of requests that write, with each of the libraries: no connection, transaction or lock is left."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest

from tests.slow.databases.killing import report
from tests.slow.databases.libraries import ON_POSTGRES, ON_SQLITE
from tests.slow.databases.postgres import postgres
from tests.slow.databases.running import check, run_apart

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]

KILLS = 200


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """A PostgreSQL that runs."""
    with postgres() as found:
        yield found


@pytest.mark.parametrize("library", [each.__name__ for each in ON_SQLITE])
def test_kills_leave_nothing_in_a_file(library: str) -> None:
    """SQLite and ZODB: connections, locks, and half-written transactions, each 0."""
    account = run_apart(library, KILLS)
    sys.stdout.write(report(account) + "\n")  # seen with -s
    check(account, KILLS)


@pytest.mark.parametrize("library", [each.__name__ for each in ON_POSTGRES])
def test_kills_leave_nothing_in_postgres(library: str, address: str) -> None:
    """PostgreSQL: connections checked out, transactions open, locks held, and half-written transactions, each 0."""
    account = run_apart(library, KILLS, address)
    sys.stdout.write(report(account) + "\n")
    check(account, KILLS)
