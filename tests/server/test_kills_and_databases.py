"""Kills of requests that write to SQLite: the short form of ``tests/slow/databases``."""

from __future__ import annotations

import pytest

from tests.slow.databases.running import check, run_apart

KILLS = 10


@pytest.mark.parametrize("library", ["CarelessSqlite", "CarelessSqlalchemySqlite"])
def test_kills_leave_no_transaction_open(library: str) -> None:
    """An application that rolls back on ``except Exception`` only: no lock is left, no connection, no half of one."""
    if "Sqlalchemy" in library:
        pytest.importorskip("sqlalchemy", reason="SQLAlchemy is in the extra databases")
    check(run_apart(library, KILLS), KILLS)
