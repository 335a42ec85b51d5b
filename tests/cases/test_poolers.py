"""Between us and the database stands a pooler, and the URL just works: a session of the server
belongs to nobody for longer than a transaction, or is one of few."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from psycopg import Connection, ConnectionInfo

from tests.servers.mariadb import MariaDB
from tests.servers.pgbouncer import PgBouncer
from tests.servers.postgresql import PASSWORD, PostgreSQL
from tests.support.patience import patient_url
from wsgi_sessions import ConfigurationError, SQLAlchemyStore
from wsgi_sessions.stores.sqlalchemy.limits import limits_of
from wsgi_sessions.stores.sqlalchemy.pooler import Pooler
from wsgi_sessions.stores.timeouts import DEFAULT_TIMEOUTS
from wsgi_sessions.testing.contract import increment, together

LATER = 4e9
IGNORING = "ignore_startup_parameters = options,extra_float_digits"
POOLERS = {
    "session": ("session",),
    "transaction": ("transaction",),
    "transaction, options ignored": ("transaction", IGNORING),
    "session, options ignored": ("session", IGNORING),
}


@pytest.fixture(params=POOLERS)
def pooler(request: pytest.FixtureRequest, postgresql_server: PostgreSQL) -> Iterator[PgBouncer]:
    with PgBouncer(postgresql_server.port, *POOLERS[request.param]) as pooler:
        yield pooler


def new_table() -> str:
    return f"p{secrets.token_hex(4)}"


def connections_to(port: int) -> int:
    """Those of this machine that are established."""
    lines = Path("/proc/self/net/tcp").read_text().splitlines()[1:]
    ends = [(line.split()[2], line.split()[3]) for line in lines]
    return ends.count((f"0100007F:{port:04X}", "01"))


def used_by_eight(store: SQLAlchemyStore) -> None:
    """More threads than there are connections to the server, with statements enough to be prepared
    in each; none fails."""
    keys = [secrets.token_urlsafe(16) for _ in range(8)]
    for key in keys:
        store.save(key, b"0", expires_at=LATER, replacing=None)
    together(8, lambda number: increment(store, keys[number], 15, LATER))
    assert [store.load(key).data for key in keys] == [b"15"] * 8  # type: ignore[union-attr]


@pytest.mark.parametrize("named", [False, True])
def test_it_works_through_a_pooler(
    pooler: PgBouncer, postgresql_server: PostgreSQL, named: bool
) -> None:
    """Noticed or named in the URL; nothing is prepared."""
    before = postgresql_server.log.stat().st_size
    url = patient_url(f"{pooler.url}?table={new_table()}")
    if named:
        url += f"&pooler={pooler.mode}"
    with closing(SQLAlchemyStore.from_url(url)) as store:
        used_by_eight(store)
        keeps = connections_to(pooler.port) > 0
    assert keeps == (named and pooler.mode == "transaction")
    executed = [line for line in postgresql_server.statements(before) if "_pg3_" in line]
    assert executed == []


@pytest.mark.parametrize(
    ("loads", "others"),
    [
        pytest.param(0, [f"PREPARE _pg3_{number} AS SELECT 1" for number in range(9)], id="taken"),
        pytest.param(8, ["DEALLOCATE ALL"], id="gone"),
    ],
)
def test_a_name_that_another_client_has_taken_or_dropped_is_noticed(
    postgresql_server: PostgreSQL, monkeypatch: pytest.MonkeyPatch, loads: int, others: list[str]
) -> None:
    """Should a pooler look like a server at first: the refused statement was not carried out, and
    is sent again without a name. Both clients are given the same connection to the server."""
    monkeypatch.setattr(ConnectionInfo, "backend_pid", 4711)
    key = secrets.token_urlsafe(16)
    with (
        PgBouncer(postgresql_server.port, "transaction", IGNORING, server_connections=1) as pooler,
        closing(SQLAlchemyStore.from_url(patient_url(f"{pooler.url}?table={new_table()}"))) as one,
        Connection.connect(pooler.url, autocommit=True) as other,
    ):
        noticed = one._database._pooler
        assert noticed is not None
        one.save(key, b"0", expires_at=LATER, replacing=None)
        for _ in range(loads):
            one.load(key)
        assert not noticed.present
        for statement in others:
            other.execute(statement)
        for _ in range(8):  # what was sent five times is prepared
            assert one.load(key) is not None
        assert noticed.present


def test_without_a_pooler_nothing_changes(postgresql_server: PostgreSQL) -> None:
    """The limits are the server's too, statements are prepared, connections are kept."""
    url = postgresql_server.new_place(new_table())
    before = postgresql_server.log.stat().st_size
    with closing(SQLAlchemyStore.from_url(f"{url}&answer_timeout=20")) as store:
        key = secrets.token_urlsafe(16)
        store.save(key, b"0", expires_at=LATER, replacing=None)
        for _ in range(8):
            store.load(key)
        with store.engine.connect() as connection:
            assert connection.exec_driver_sql("SHOW statement_timeout").scalar() == "18s"
        assert store.engine.pool.checkedin() == 1
    assert any("_pg3_" in line for line in postgresql_server.statements(before))


def test_a_pooler_has_a_mode_that_exists() -> None:
    """Whatever else is a mistake that is reported when the store is built."""
    with pytest.raises(ConfigurationError, match="pooler='transactions': it is one of"):
        SQLAlchemyStore("postgresql://localhost/x?pooler=transactions")


def test_mysql_is_asked_for_no_session_where_a_pooler_is_named(mariadb_server: MariaDB) -> None:
    """ProxySQL would tie the client to one server for it."""
    url = mariadb_server.new_place(new_table())
    before = mariadb_server.log.stat().st_size
    with closing(SQLAlchemyStore.from_url(patient_url(f"{url}?pooler=transaction"))) as store:
        used_by_eight(store)
        assert store.engine.pool.checkedin() > 0
    said = mariadb_server.statements(before)
    assert said
    assert not any("SET SESSION" in line for line in said)


def test_mysql_that_refuses_our_settings_is_used_without_them(mariadb_server: MariaDB) -> None:
    """As a proxy does with variables that it does not know. Once in a process."""
    from wsgi_sessions.stores.sqlalchemy import pymysql

    pooler, limits = Pooler(), limits_of(DEFAULT_TIMEOUTS)
    before = mariadb_server.log.stat().st_size
    for _ in range(3):
        connection = pymysql.connect(
            limits,
            pooler,
            host="127.0.0.1",
            port=mariadb_server.port,
            user="tester",
            password=PASSWORD,
            init_command="SET SESSION no_such_variable = 1",
        )
        assert connection.open
        connection.close()
    assert pooler.present
    refused = [line for line in mariadb_server.statements(before) if "no_such_variable" in line]
    assert len(refused) == 1
