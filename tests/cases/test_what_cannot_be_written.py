"""What may not be written closes nothing that can be read: pages that only read go on for as long
as their session lives, in every store, whatever keeps it from being written."""

from __future__ import annotations

import fcntl
import os
import secrets
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path

import pytest

from tests.servers.mariadb import MariaDB
from tests.servers.postgresql import PostgreSQL
from tests.servers.redis import RedisServer
from tests.support.other_limits import other_limits
from tests.support.patience import patient_url, with_options
from tests.support.recording import RecordingStore
from tests.support.visitor import Visitor
from wsgi_sessions import (
    MemoryStore,
    SessionManager,
    SessionTooLarge,
    Store,
    StoreUnavailable,
    open_store,
)
from wsgi_sessions.stores import close_store
from wsgi_sessions.testing import ManualClock

SECRET = "the signing secret of the tests"
HOUR = 3600.0

Blocked = Callable[[], AbstractContextManager[object]]
Place = Callable[[pytest.FixtureRequest], tuple[str, Blocked]]


@contextmanager
def sqlite_executing(path: Path, *statements: str) -> Iterator[None]:
    other = sqlite3.connect(path, isolation_level=None)
    for statement in statements:
        other.execute(statement)
    yield
    if other.in_transaction:
        other.execute("ROLLBACK")
    else:
        other.execute("DROP TRIGGER refused")
    other.close()


def sqlite_locked(request: pytest.FixtureRequest) -> tuple[str, Blocked]:
    path = request.getfixturevalue("tmp_path") / "s.db"
    return f"sqlite:///{path}", lambda: sqlite_executing(path, "BEGIN IMMEDIATE")


def sqlalchemy_sqlite_locked(request: pytest.FixtureRequest) -> tuple[str, Blocked]:
    path = request.getfixturevalue("tmp_path") / "s.db"
    return f"sqlite+pysqlite:///{path}", lambda: sqlite_executing(path, "BEGIN IMMEDIATE")


def sqlite_refusing(request: pytest.FixtureRequest) -> tuple[str, Blocked]:
    path = request.getfixturevalue("tmp_path") / "s.db"
    refused = (
        "CREATE TRIGGER refused BEFORE UPDATE ON sessions BEGIN SELECT RAISE(ABORT, 'full'); END"
    )
    return f"sqlite:///{path}", lambda: sqlite_executing(path, refused)


def file_locked(request: pytest.FixtureRequest) -> tuple[str, Blocked]:
    directory = request.getfixturevalue("tmp_path") / "sessions"

    @contextmanager
    def locked() -> Iterator[None]:
        with ExitStack() as stack:
            for shard in directory.iterdir():
                descriptor = os.open(shard, os.O_RDONLY)
                stack.callback(os.close, descriptor)
                fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield

    return f"file://{directory}", locked


def _row_locked(connect: Callable[[], AbstractContextManager], table: str) -> Blocked:
    @contextmanager
    def locked() -> Iterator[None]:
        with connect() as connection:
            cursor = connection.cursor()
            cursor.execute("BEGIN")
            cursor.execute(f"SELECT 1 FROM {table} FOR UPDATE")
            yield
            cursor.execute("ROLLBACK")

    return locked


def postgresql_row_locked(request: pytest.FixtureRequest) -> tuple[str, Blocked]:
    server: PostgreSQL = request.getfixturevalue("postgresql_server")
    schema = f"b{secrets.token_hex(4)}"
    return server.new_place(schema), _row_locked(server.connect, f"{schema}.sessions")


def postgresql_full(request: pytest.FixtureRequest) -> tuple[str, Blocked]:
    server: PostgreSQL = request.getfixturevalue("postgresql_server")
    schema = f"b{secrets.token_hex(4)}"

    @contextmanager
    def full() -> Iterator[None]:
        server.execute(
            f"CREATE FUNCTION {schema}.full() RETURNS trigger LANGUAGE plpgsql AS "
            "$$BEGIN RAISE EXCEPTION 'no space left on device' USING ERRCODE = '53100'; END$$"
        )
        server.execute(
            f"CREATE TRIGGER refused BEFORE INSERT OR UPDATE ON {schema}.sessions "
            f"FOR EACH ROW EXECUTE FUNCTION {schema}.full()"
        )
        yield
        server.execute(f"DROP TRIGGER refused ON {schema}.sessions")

    return server.new_place(schema), full


def mariadb_row_locked(request: pytest.FixtureRequest) -> tuple[str, Blocked]:
    server: MariaDB = request.getfixturevalue("mariadb_server")
    name = f"b{secrets.token_hex(4)}"
    return server.new_place(name), _row_locked(server.connect, f"{name}.sessions")


def mariadb_read_only(request: pytest.FixtureRequest) -> tuple[str, Blocked]:
    server: MariaDB = request.getfixturevalue("mariadb_server")

    @contextmanager
    def read_only() -> Iterator[None]:
        server.execute("SET GLOBAL read_only = 1")
        try:
            yield
        finally:
            server.execute("SET GLOBAL read_only = 0")

    return server.new_place(f"b{secrets.token_hex(4)}"), read_only


def redis_told(begin: str, end: str) -> Place:
    """A Redis that refuses writes between these two commands."""

    def place(request: pytest.FixtureRequest) -> tuple[str, Blocked]:
        server: RedisServer = request.getfixturevalue("start_redis")()

        @contextmanager
        def told() -> Iterator[None]:
            server.ask(*begin.split())
            yield
            server.ask(*end.split())

        return server.url, told

    return place


LOCAL = "answer_timeout=0.5"
"""Where a lock is all that is waited for, and only the one that the test holds: short enough."""


def opened(place: str, url: str) -> Store:
    """The store, with time for a busy machine, but where a lock is waited for in vain: more would
    not leave five failures within ten seconds, which open a breaker."""
    if "row locked" in place:  # the server gives up by its own limit, and may say so late
        with other_limits(answer=30):
            return open_store(with_options(url, "connect_timeout=2&answer_timeout=1"))
    if "locked" in place:
        return open_store(with_options(url, LOCAL))
    return open_store(patient_url(url))


PLACES: dict[str, Place] = {
    "sqlite, locked": sqlite_locked,
    "sqlite, refusing": sqlite_refusing,
    "sqlalchemy, sqlite locked": sqlalchemy_sqlite_locked,
    "file, locked": file_locked,
    "postgresql, row locked": postgresql_row_locked,
    "postgresql, full": postgresql_full,
    "mariadb, row locked": mariadb_row_locked,
    "mariadb, read-only": mariadb_read_only,
    "redis, full": redis_told("CONFIG SET maxmemory 1", "CONFIG SET maxmemory 0"),
    "redis, read-only": redis_told("REPLICAOF 127.0.0.1 1", "REPLICAOF NO ONE"),
    "redis, too few replicas": redis_told(
        "CONFIG SET min-replicas-to-write 1", "CONFIG SET min-replicas-to-write 0"
    ),
}


@pytest.mark.parametrize("place", PLACES)
def test_pages_that_read_go_on_while_nothing_can_be_written(
    place: str, request: pytest.FixtureRequest
) -> None:
    """Also those whose renewal is due. Writes fail, say that they were not done, and do so at the
    next moment no more when they can be done."""
    url, blocked = PLACES[place](request)
    store = opened(place, url)
    clock = ManualClock(time.time())
    manager = SessionManager(store, secret=SECRET, clock=clock)
    visitor = Visitor(manager)
    with visitor.request() as session:
        session["user"] = "ann"
    clock.advance(3 * HOUR)
    with blocked():
        for _ in range(6):
            with pytest.raises(StoreUnavailable) as caught, visitor.twin().request() as session:
                session["at"] = "now"
            assert caught.value.applied is False
            assert caught.value.busy
            with visitor.request() as session:
                assert session["user"] == "ann"
            assert visitor.set_cookie is None
    clock.advance(2)
    with visitor.request() as session:
        session["at"] = "later"
    assert visitor.set_cookie
    assert visitor.read() == {"user": "ann", "at": "later"}
    close_store(store)


def test_a_limit_that_was_lowered_closes_no_page_for_as_long_as_the_session_lives(
    clock: ManualClock,
) -> None:
    """A record over the new ``max_bytes`` can be read to its end, and made smaller."""
    store = MemoryStore(clock=clock)
    visitor = Visitor(SessionManager(store, secret=SECRET, clock=clock))
    with visitor.request() as session:
        session["x"], session["user"] = b"x" * 600_000, "ann"
    visitor.manager = SessionManager(store, secret=SECRET, clock=clock, max_bytes=500_000)
    for _ in range(23):
        clock.advance(HOUR)
        with visitor.request() as session:
            assert session["user"] == "ann"
    with pytest.raises(SessionTooLarge), visitor.request() as session:
        session["user"] = "eve"
    with visitor.request() as session:
        del session["x"]
    clock.advance(23 * HOUR)
    assert visitor.read() == {"user": "ann"}


def test_what_is_put_again_as_it_was_is_only_a_renewal(
    clock: ManualClock, store: RecordingStore, visitor: Visitor
) -> None:
    """A page that assigns the value that is stored already reads, as far as a full store goes."""
    with visitor.request() as session:
        session["user"] = "ann"
    clock.advance(3 * HOUR)
    store.failing = {"save"}
    with visitor.request() as session:
        session["user"] = "ann"
    assert visitor.set_cookie is None
    with pytest.raises(StoreUnavailable), visitor.request() as session:
        session["user"] = "eve"


def test_after_a_renewal_that_failed_none_is_tried_for_a_second(
    clock: ManualClock, store: RecordingStore, visitor: Visitor
) -> None:
    """Each might wait for the same lock. The first one later succeeds."""
    with visitor.request() as session:
        session["user"] = "ann"
    clock.advance(3 * HOUR)
    store.failing = {"save"}
    store.pop_calls()
    for _ in range(5):
        with visitor.request() as session:
            assert session["user"] == "ann"
    assert store.pop_calls() == ["load", "save"] + ["load"] * 4
    clock.advance(1)
    store.failing = set()
    with visitor.request() as session:
        assert session["user"] == "ann"
    assert store.pop_calls() == ["load", "save"]
    assert visitor.set_cookie
