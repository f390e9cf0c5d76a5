"""
Applications that write with the libraries themselves, as their manuals show it. One class for each way of using one.

Each module of a library is imported where it is used: a process runs one application only.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from tests.slow.databases.killing import ROWS, Application

PATIENCE = 30.0
"""Seconds for which SQLite waits for a lock. A lock that a kill leaves taken lasts longer."""


def descriptors(path: Path) -> int:
    """Count the descriptors of this process that mean a file, its journal included."""
    return sum(_target(number).startswith(str(path)) for number in os.listdir("/proc/self/fd"))


def _target(number: str) -> str:
    try:
        return os.readlink(f"/proc/self/fd/{number}")
    except OSError:
        return ""


def is_locked(path: Path) -> int:
    """Return 1 if the database is locked for another connection that wants to write."""
    connection = sqlite3.connect(path, timeout=0, isolation_level=None)
    try:
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("ROLLBACK")
    except sqlite3.OperationalError:
        return 1
    finally:
        connection.close()
    return 0


def counted(rows: Any) -> dict[int, int]:
    """Make a dictionary of pairs of a number and a count."""
    return {int(number): int(count) for number, count in rows}


class PlainSqlite:
    """The module ``sqlite3``: a connection for each request, which commits or rolls back as a context manager."""

    name = "sqlite3"

    def __init__(self, folder: Path, address: str) -> None:
        self.path = folder / "plain.sqlite"
        with sqlite3.connect(self.path) as connection:
            connection.execute("CREATE TABLE note (number INTEGER, text TEXT)")
        connection.close()

    def write(self, number: int) -> None:
        connection = sqlite3.connect(self.path, timeout=PATIENCE)
        with connection:
            for row in range(ROWS):
                connection.execute("INSERT INTO note VALUES (?, ?)", (number, f"row {row}"))
        connection.close()

    def left(self) -> Mapping[str, int]:
        return {"database is locked": is_locked(self.path), "connections open": descriptors(self.path)}

    def written(self) -> Mapping[int, int]:
        connection = sqlite3.connect(self.path)
        try:
            return counted(connection.execute("SELECT number, count(*) FROM note GROUP BY number"))
        finally:
            connection.close()


class CarelessSqlite(PlainSqlite):
    """``sqlite3`` in an application that rolls back after an Exception only, and keeps its connection in a cycle."""

    name = "sqlite3, rolled back on except Exception"

    def write(self, number: int) -> None:
        request = Request()
        request.connection = connection = sqlite3.connect(self.path, timeout=PATIENCE)
        try:
            for row in range(ROWS):
                connection.execute("INSERT INTO note VALUES (?, ?)", (number, f"row {row}"))
            connection.commit()
            connection.close()
        except Exception:
            connection.rollback()
            raise


class Request:
    """A request of a framework, which knows itself: only the garbage collector ends it."""

    def __init__(self) -> None:
        self.itself = self
        self.connection: Any = None


class Note:
    """A row."""

    number: int
    text: str


class _WithSqlalchemy:
    """What the applications on SQLAlchemy have in common."""

    def _set_up(self, engine: Any) -> None:
        import sqlalchemy as sa
        from sqlalchemy.orm import registry

        mappings = registry()
        columns = (sa.Column("number", sa.Integer), sa.Column("text", sa.String))
        self._table = sa.Table("note", mappings.metadata, sa.Column("id", sa.Integer, primary_key=True), *columns)
        mappings.map_imperatively(Note, self._table)
        self.engine = engine
        mappings.metadata.drop_all(engine)
        mappings.metadata.create_all(engine)

    def add(self, session: Any, number: int) -> None:
        for row in range(ROWS):
            note = Note()
            note.number, note.text = number, f"row {row}"
            session.add(note)
            session.flush()

    def written(self) -> Mapping[int, int]:
        import sqlalchemy as sa

        with self.engine.connect() as connection:
            number = self._table.c.number
            return counted(connection.execute(sa.select(number, sa.func.count()).group_by(number)))

    def checked_out(self) -> int:
        return int(self.engine.pool.checkedout())


class _SqlalchemySqlite(_WithSqlalchemy):
    def __init__(self, folder: Path, address: str) -> None:
        import sqlalchemy as sa

        self.path = folder / "alchemy.sqlite"
        self._set_up(sa.create_engine(f"sqlite:///{self.path}", connect_args={"timeout": PATIENCE}))

    def left(self) -> Mapping[str, int]:
        return {"connections checked out": self.checked_out(), "database is locked": is_locked(self.path)}


class SqlalchemySqlite(_SqlalchemySqlite):
    """SQLAlchemy on SQLite: ``with Session.begin()``."""

    name = "SQLAlchemy on SQLite"

    def write(self, number: int) -> None:
        from sqlalchemy.orm import Session

        with Session(self.engine) as session, session.begin():
            self.add(session, number)


def write_carelessly(application: Any, number: int) -> None:
    """Write with a session that is rolled back and closed after an Exception only."""
    from sqlalchemy.orm import Session

    request = Request()
    request.connection = session = Session(application.engine)
    try:
        application.add(session, number)
        session.commit()
        session.close()
    except Exception:
        session.rollback()
        session.close()
        raise


class CarelessSqlalchemySqlite(_SqlalchemySqlite):
    """SQLAlchemy on SQLite, as in a framework that knows Exception only."""

    name = "SQLAlchemy on SQLite, rolled back on except Exception"
    write = write_carelessly


class PyramidTm(_SqlalchemySqlite):
    """``pyramid_tm`` with ``zope.sqlalchemy``: a session of the request, and a manager of the request."""

    name = "pyramid_tm on SQLite"
    _settings: Mapping[str, Any] = {"tm.manager_hook": "pyramid_tm.explicit_manager"}

    def __init__(self, folder: Path, address: str) -> None:
        super().__init__(folder, address)
        from pyramid.config import Configurator
        from pyramid.response import Response

        def view(request: Any) -> Any:
            self.add(self._session(request), int(request.matchdict["number"]))
            return Response("written")

        with Configurator(settings=dict(self._settings)) as config:
            config.include("pyramid_tm")
            config.add_route("write", "/{number}")
            config.add_view(view, route_name="write")
            self._application = config.make_wsgi_app()

    def _session(self, request: Any) -> Any:
        import zope.sqlalchemy
        from sqlalchemy.orm import sessionmaker

        session = sessionmaker(self.engine)()
        zope.sqlalchemy.register(session, transaction_manager=request.tm)
        request.session_of_database = session
        return session

    def write(self, number: int) -> None:
        from webob import Request as Blank

        answered: list[str] = []
        environ = Blank.blank(f"/{number}").environ
        list(self._application(environ, lambda status, headers, exc_info=None: answered.append(status)))
        assert answered == ["200 OK"], answered


class PyramidTmScoped(PyramidTm):
    """``pyramid_tm`` with the manager of the thread and a ``scoped_session``, as older applications have it (Kotti)."""

    name = "pyramid_tm on SQLite, manager and session of the thread"
    _settings: Mapping[str, Any] = {}

    def __init__(self, folder: Path, address: str) -> None:
        super().__init__(folder, address)
        import zope.sqlalchemy
        from sqlalchemy.orm import scoped_session, sessionmaker

        self._sessions = scoped_session(sessionmaker(self.engine))
        zope.sqlalchemy.register(self._sessions)

    def _session(self, request: Any) -> Any:
        return self._sessions


class _Postgres:
    """What the applications on PostgreSQL have in common. ``address``: of the database."""

    address: str

    def asked(self, question: str) -> list[Any]:
        """Ask the database over a connection of its own."""
        import psycopg2

        connection = psycopg2.connect(self.address)
        try:
            connection.autocommit = True
            cursor = connection.cursor()
            cursor.execute(question)
            return list(cursor.fetchall())
        finally:
            connection.close()

    def transactions(self) -> dict[str, int]:
        others = "datname = current_database() AND pid <> pg_backend_pid()"
        [(open_ones,)] = self.asked(f"SELECT count(*) FROM pg_stat_activity WHERE {others} AND xact_start IS NOT NULL")
        [(locks,)] = self.asked(
            "SELECT count(*) FROM pg_locks WHERE database = (SELECT oid FROM pg_database WHERE datname ="
            " current_database()) AND pid <> pg_backend_pid()"
        )
        return {"transactions open": open_ones, "locks held": locks}


class _SqlalchemyPostgres(_WithSqlalchemy, _Postgres):
    def __init__(self, folder: Path, address: str) -> None:
        import psycopg2
        import sqlalchemy as sa

        self.address = address
        self._set_up(sa.create_engine("postgresql+psycopg2://", creator=lambda: psycopg2.connect(address)))

    def left(self) -> Mapping[str, int]:
        return {"connections checked out": self.checked_out(), **self.transactions()}


class SqlalchemyPostgres(_SqlalchemyPostgres):
    """SQLAlchemy on PostgreSQL: ``with Session.begin()``."""

    name = "SQLAlchemy on PostgreSQL"

    def write(self, number: int) -> None:
        from sqlalchemy.orm import Session

        with Session(self.engine) as session, session.begin():
            self.add(session, number)


class CarelessSqlalchemyPostgres(_SqlalchemyPostgres):
    """SQLAlchemy on PostgreSQL, as in a framework that knows Exception only."""

    name = "SQLAlchemy on PostgreSQL, rolled back on except Exception"
    write = write_carelessly


class Psycopg2(_Postgres):
    """psycopg2 with its own pool of connections; they are given back in a ``finally``."""

    name = "psycopg2"

    def __init__(self, folder: Path, address: str) -> None:
        from psycopg2.pool import ThreadedConnectionPool

        self.address = address
        self._pool = ThreadedConnectionPool(1, 200, address)
        connection = self._pool.getconn()
        with connection, connection.cursor() as cursor:
            cursor.execute("DROP TABLE IF EXISTS plain; CREATE TABLE plain (number INTEGER, text TEXT)")
        self._pool.putconn(connection)

    def write(self, number: int) -> None:
        connection = self._pool.getconn()
        try:
            with connection, connection.cursor() as cursor:
                for row in range(ROWS):
                    cursor.execute("INSERT INTO plain VALUES (%s, %s)", (number, f"row {row}"))
        finally:
            self._pool.putconn(connection)

    def left(self) -> Mapping[str, int]:
        return {"connections checked out": len(self._pool._used), **self.transactions()}

    def written(self) -> Mapping[int, int]:
        return counted(self.asked("SELECT number, count(*) FROM plain GROUP BY number"))


class Zodb:
    """ZODB with a FileStorage: ``with db.transaction()``."""

    name = "ZODB"

    def __init__(self, folder: Path, address: str) -> None:
        import transaction
        import ZODB
        from BTrees.OOBTree import OOBTree
        from ZODB.FileStorage import FileStorage

        self._conflict = transaction.interfaces.TransientError
        self._tree = OOBTree
        self._storage = FileStorage(str(folder / "zodb.fs"))
        self._db = ZODB.DB(self._storage, pool_size=50)
        with self._db.transaction() as connection:
            for part in range(_PARTS):
                connection.root()[part] = OOBTree()

    def write(self, number: int) -> None:
        while True:
            try:
                with self._db.transaction() as connection:
                    notes = connection.root()[number % _PARTS][number] = self._tree()
                    for row in range(ROWS):
                        notes[row] = f"row {row}"
                return
            except self._conflict:
                continue

    def left(self) -> Mapping[str, int]:
        pool = self._db.pool
        busy = len(list(pool.all)) - len(pool.available)
        return {"connections checked out": busy, "commit lock taken": _is_taken(self._storage._commit_lock)}

    def written(self) -> Mapping[int, int]:
        with self._db.transaction() as connection:
            trees = [connection.root()[part] for part in range(_PARTS)]
            return {number: len(rows) for tree in trees for number, rows in tree.items()}


_PARTS = 97
"""In how many trees ZODB's notes are, so that requests seldom write to the same one at once."""


def _is_taken(lock: Any) -> int:
    if lock.acquire(False):
        lock.release()
        return 0
    return 1


class DjangoAtomic:
    """Django: a view in ``atomic``, through its handler for WSGI."""

    name = "Django, atomic, on SQLite"

    def __init__(self, folder: Path, address: str) -> None:
        import django
        from django.conf import settings

        self.path = folder / "django.sqlite"
        database = {"ENGINE": "django.db.backends.sqlite3", "NAME": str(self.path), "OPTIONS": {"timeout": PATIENCE}}
        settings.configure(DATABASES={"default": database}, ALLOWED_HOSTS=["*"], ROOT_URLCONF=self, SECRET_KEY="secret")
        django.setup()
        from django.core.wsgi import get_wsgi_application
        from django.db import connection
        from django.http import HttpResponse
        from django.urls import path

        def view(request: Any, number: int) -> Any:
            self._add(number)
            return HttpResponse("written")

        self.urlpatterns = [path("<int:number>", view)]
        with connection.cursor() as cursor:
            cursor.execute("CREATE TABLE note (number INTEGER, text TEXT)")
        connection.close()
        self._application = get_wsgi_application()

    def _add(self, number: int) -> None:
        from django.db import connection, transaction

        with transaction.atomic(), connection.cursor() as cursor:
            for row in range(ROWS):
                cursor.execute("INSERT INTO note VALUES (%s, %s)", [number, f"row {row}"])

    def write(self, number: int) -> None:
        from webob import Request as Blank

        answered: list[str] = []
        response = self._application(
            Blank.blank(f"/{number}").environ, lambda status, headers, exc_info=None: answered.append(status)
        )
        try:
            b"".join(response)
        finally:
            response.close()
        assert answered == ["200 OK"], answered

    def left(self) -> Mapping[str, int]:
        return {"database is locked": is_locked(self.path), "connections open": descriptors(self.path)}

    def written(self) -> Mapping[int, int]:
        connection = sqlite3.connect(self.path)
        try:
            return counted(connection.execute("SELECT number, count(*) FROM note GROUP BY number"))
        finally:
            connection.close()


ON_SQLITE: tuple[Callable[[Path, str], Application], ...] = (
    PlainSqlite,
    CarelessSqlite,
    SqlalchemySqlite,
    CarelessSqlalchemySqlite,
    PyramidTm,
    PyramidTmScoped,
    DjangoAtomic,
    Zodb,
)
ON_POSTGRES: tuple[Callable[[Path, str], Application], ...] = (
    Psycopg2,
    SqlalchemyPostgres,
    CarelessSqlalchemyPostgres,
)
