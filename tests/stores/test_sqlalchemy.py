"""What SQLAlchemyStore alone has, on each database."""

from __future__ import annotations

import itertools
import os
import re
import subprocess
import sys
import time
import traceback
from contextlib import ExitStack, closing
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import make_url
from sqlalchemy.pool import StaticPool

from tests.support.owners import listed
from tests.support.patience import patient_url
from wsgi_sessions.errors import ConfigurationError, StoreUnavailable
from wsgi_sessions.stores.sqlalchemy.store import SQLAlchemyStore
from wsgi_sessions.testing import StoreContract
from wsgi_sessions.testing.contract import new_key
from wsgi_sessions.testing.forks import forked

numbers = itertools.count()
SERVERS = ["postgresql", "mariadb"]


@pytest.fixture(params=[*SERVERS, "sqlite"])
def url(request, tmp_path) -> str:
    """The URL of a place where the store has no tables yet."""
    if request.param == "sqlite":
        return f"sqlite+pysqlite:///{tmp_path}/sessions.db"
    return request.getfixturevalue(f"{request.param}_server").new_place(f"test_{next(numbers)}")


def ordinary_engine(url: str, **options) -> sa.Engine:
    """An engine as an application makes it."""
    url = make_url(url)
    drivers = {"postgresql": "postgresql+psycopg", "mysql": "mysql+pymysql"}
    name = drivers.get(url.drivername, url.drivername)
    return sa.create_engine(url.set(drivername=name, query={}), **options)


def at(url: str) -> dict[str, str]:
    """Where an application names the schema that is in *url*."""
    schema = make_url(url).query.get("schema")
    return {"schema": schema} if schema else {}


@pytest.fixture
def later() -> float:
    return time.time() + 3600


@pytest.fixture
def open_store():
    """Opens stores, and closes them at the end. The limits of time are for the tests of faults."""
    opened = []

    def open_store(url, **options):
        for name, value in options.items():
            url += f"{'&' if '?' in url else '?'}{name}={value}"
        if "answer_timeout" not in url:
            url = patient_url(url)
        opened.append(SQLAlchemyStore.from_url(url))
        return opened[-1]

    yield open_store
    for store in opened:
        store.close()


@pytest.fixture
def store(open_store, url):
    return open_store(url)


class Contract(StoreContract):
    @pytest.fixture
    def soon(self, clock):
        return clock() + 0.5  # the databases keep microseconds


class TestContract(Contract):
    """The rules of every store, over an engine of the store's own."""


class TestContractOnAnEngineHandedIn(Contract):
    """The rules of every store, over an engine made without a thought of the store."""

    @pytest.fixture
    def store(self, postgresql_server):
        schema = f"test_{next(numbers)}"
        url = postgresql_server.new_place(schema)
        engine = ordinary_engine(url)
        yield SQLAlchemyStore(engine, schema=schema)
        engine.dispose()


def statements(server, connection, since) -> list[str]:
    """What the server has logged after *since* bytes of a connection, and not of any other."""
    if hasattr(connection, "info"):  # psycopg's
        client = rf" \[{connection.info.backend_pid}\] "
    else:
        client = rf"\s{connection.thread_id()} Query\t"
    return [line for line in server.statements(since) if re.search(client, line)]


@pytest.mark.parametrize("server", SERVERS)
def test_each_operation_is_one_statement(request, open_store, later, server):
    """No BEGIN, COMMIT, ROLLBACK or ping beside it, in the server's own log."""
    server = request.getfixturevalue(f"{server}_server")
    store = open_store(server.new_place(f"test_{next(numbers)}"))
    key = new_key()
    version = store.save(key, b"", expires_at=later, replacing=None)
    with closing(store._database.engine.raw_connection()) as pooled:
        connection = pooled.dbapi_connection  # the only one, for what follows too
    operations = {
        "SELECT .*data": lambda: store.load(key),
        r"UPDATE \S+ SET version": lambda: store.save(
            key, b"new", expires_at=later, replacing=version
        ),
        "DELETE": lambda: store.delete(key),
        "INSERT": lambda: store.save(key, b"", expires_at=later, replacing=None),
    }
    for beginning, operation in operations.items():
        for _ in range(7):  # psycopg prepares a statement after five
            logged = server.log.stat().st_size
            operation()
            (statement,) = statements(server, connection, logged)
            assert re.search(beginning, statement)


def test_an_engine_handed_in_costs_postgresql_nothing_more(postgresql_server, later):
    """psycopg is in autocommit mode meanwhile, and afterwards as it was. The application's own pool
    is not touched."""
    schema = f"test_{next(numbers)}"
    engine = ordinary_engine(postgresql_server.new_place(schema), pool_size=1, max_overflow=0)
    store = SQLAlchemyStore(engine, schema=schema)
    store.save(key := new_key(), b"", expires_at=later, replacing=None)
    logged = postgresql_server.log.stat().st_size
    store.load(key)
    with store.engine.connect() as connection:
        driver = connection.connection.dbapi_connection  # there is one in the store's pool
        assert driver.autocommit is False
        assert len(statements(postgresql_server, driver, logged)) == 1
    assert engine.pool.checkedin() == 0
    engine.dispose()


def test_the_transaction_of_the_application_is_not_touched(open_store, url, later):
    """What the store does is there after the application's rollback, and nothing else is."""
    engine = ordinary_engine(url)
    notes = sa.Table("notes", sa.MetaData(), sa.Column("text", sa.String(10)), **at(url))
    notes.metadata.create_all(engine)
    store = SQLAlchemyStore(engine, **at(url))
    key = new_key()
    store.load(key)  # makes the tables
    with engine.connect() as application:
        application.execute(sa.select(notes)).all()
        if engine.dialect.name != "sqlite":  # it has one writer at a time
            application.execute(notes.insert().values(text="mine"))
        version = store.save(key, b"1", expires_at=later, replacing=None)
        assert application.in_transaction()
        application.rollback()
    with engine.connect() as application:
        assert application.execute(sa.select(notes)).all() == []
    assert store.save(key, b"2", expires_at=later, replacing=version) is not None
    engine.dispose()
    assert store.load(key).data == b"2"
    engine.dispose()


def test_an_engine_handed_in_stays_open(postgresql_server):
    """close() is for what the store made itself."""
    engine = ordinary_engine(postgresql_server.url())
    store = SQLAlchemyStore(engine)
    with engine.connect():
        pass
    store.close()
    assert engine.pool.checkedin() == 1
    engine.dispose()


# -- tables


def test_ddl_makes_what_the_store_needs(open_store, url, later):
    """With create=False the printed statements are all that is missing."""
    store = open_store(url, create=False)
    with pytest.raises(StoreUnavailable, match=r"SQLAlchemyStore\.ddl"):
        store.load(new_key())
    engine = ordinary_engine(url)
    with engine.begin() as connection:
        for statement in store.ddl.split(";\n"):
            if statement:
                connection.exec_driver_sql(statement)
    key = new_key()
    version = store.save(key, b"data", expires_at=later, replacing=None)
    assert store.load(key) == (b"data", version)
    indexes = sa.inspect(engine).get_indexes("sessions", **at(url))
    columns = sorted(index["column_names"] for index in indexes)
    assert columns == [["expires_at"], ["owner", "listed_at"]]
    engine.dispose()


def test_a_table_of_an_earlier_shape_is_refused_with_the_statements_to_run(open_store, url, later):
    """Reading and replacing go on, so that nobody is logged out before they are run."""
    store = open_store(url)
    version = store.save(key := new_key(), b"data", expires_at=later, replacing=None)
    engine = ordinary_engine(url)
    table = store.table
    [index] = [index for index in table.indexes if index.columns[0].name == "owner"]
    with engine.begin() as connection:
        index.drop(connection)
        full = connection.dialect.identifier_preparer.format_table(table)
        for column in ("owner", "listed_at"):
            connection.exec_driver_sql(f"ALTER TABLE {full} DROP COLUMN {column}")
    assert store.load(key) == (b"data", version)
    assert store.save(key, b"new", expires_at=later, replacing=version)
    with pytest.raises(ConfigurationError, match="owner") as caught:
        store.save(new_key(), b"data", expires_at=later, replacing=None)
    with pytest.raises(ConfigurationError, match="owner"):
        store.keys_of("ann")
    _, _, statements = str(caught.value).partition(": run ")
    with engine.begin() as connection:
        for statement in statements.split("; "):
            connection.exec_driver_sql(statement)
    engine.dispose()
    assert listed(store, key := new_key())
    assert store.keys_of("ann") == [key]


def test_a_table_that_was_dropped_is_made_again(open_store, url, later):
    """The process goes on; the sessions in the table are gone."""
    store = open_store(url)
    store.save(key := new_key(), b"data", expires_at=later, replacing=None)
    engine = ordinary_engine(url)
    with engine.begin() as connection:
        sa.Table("sessions", sa.MetaData(), **at(url)).drop(connection)
    engine.dispose()
    assert store.load(key) is None
    assert store.save(key, b"new", expires_at=later, replacing=None) is not None


def test_many_processes_make_the_tables_at_once(url, later):
    """Each one's first session is saved."""
    starting_line, start = os.pipe()

    def first_session():
        os.close(start)
        store = SQLAlchemyStore.from_url(patient_url(url))
        os.read(starting_line, 1)  # returns when the parent closes its end
        key = new_key()
        assert store.save(key, b"data", expires_at=later, replacing=None) is not None
        assert store.load(key).data == b"data"

    with ExitStack() as processes:
        for _ in range(8):
            processes.enter_context(forked(first_session))
        os.close(start)
    os.close(starting_line)


def test_the_table_has_any_name(open_store, url, later):
    """Two tables are two stores."""
    one, two = open_store(url, table="Logins"), open_store(url, table="order")
    one.save(key := new_key(), b"data", expires_at=later, replacing=None)
    assert two.load(key) is None
    assert two.purge() == 0
    assert one.load(key).data == b"data"


# -- purge


def expired_rows(url, count):
    """That many rows that have expired, written by hand."""
    engine = ordinary_engine(url)
    names = "key", "version", "expires_at", "data"
    table = sa.table("sessions", *map(sa.column, names), **at(url))
    rows = [
        {"key": b"old%d" % number, "version": 1, "expires_at": number, "data": b""}
        for number in range(count)
    ]
    with engine.begin() as connection:
        connection.execute(table.insert(), rows)
    engine.dispose()


def test_purge_goes_in_batches(open_store, store, url, later):
    """Each a statement and a transaction of its own, up to the limit, and no live row."""
    store.save(key := new_key(), b"live", expires_at=later, replacing=None)
    expired_rows(url, 1100)
    assert store.purge() == 1000
    assert store.purge() == 100
    assert store.purge() == 0
    assert store.load(key).data == b"live"


def test_purge_uses_the_index(store, url, later):
    """Of a large table only the expired rows are looked at."""
    store.load(new_key())
    expired_rows(url, 3000)
    engine = ordinary_engine(url)
    statement = store._database.table.statements(engine.dialect)["purge"]
    with engine.connect() as connection:
        if engine.dialect.name == "postgresql":
            connection.exec_driver_sql(f"ANALYZE {at(url)['schema']}.sessions")
        elif engine.dialect.name == "mysql":
            connection.exec_driver_sql("ANALYZE TABLE sessions").all()
        explain = "EXPLAIN QUERY PLAN " if engine.dialect.name == "sqlite" else "EXPLAIN "
        plan = connection.exec_driver_sql(
            explain + statement.text, statement.parameters({"limit": 10})
        ).mappings()
        used = [str(row.get("key", row)) for row in plan]  # MySQL's "key" is the index it uses
    engine.dispose()
    assert any("sessions_expires_at" in step for step in used)


def test_purge_passes_over_locked_rows(open_store, postgresql_server):
    """A row that somebody holds is left for the next time, and nobody waits."""
    schema = f"test_{next(numbers)}"
    url = postgresql_server.new_place(schema)
    store = open_store(url)
    store.load(new_key())
    expired_rows(url, 3)
    with postgresql_server.connect() as other:
        other.execute("BEGIN")
        other.execute(f"SELECT FROM {schema}.sessions WHERE key = 'old1' FOR UPDATE")
        assert store.purge() == 2
    assert store.purge() == 1


# -- configuration


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("sqlite://", "MemoryStore"),
        ("sqlite+pysqlite:///:memory:", "MemoryStore"),
        ("postgresql+asyncpg://user:secret@host/db", r"postgresql\+psycopg://"),
        ("mysql+mysqldb://user:secret@host/db", r"mysql\+pymysql://"),
        ("oracle://user:secret@host/db", "Engine of your own"),
        ("user:secret@host", "no URL"),
        ("postgresql://user:secret@host:port/db", "no URL"),
        ("postgresql://user:secret@host/db?create=maybe", "true or false"),
        ("postgresql://user:secret@host/db?table=a-b", "letters, digits"),
        (42, "not int"),
    ],
)
def test_what_cannot_work_is_refused(url, message):
    """At construction, with the remedy and without the password."""
    make = SQLAlchemyStore.from_url if isinstance(url, str) else SQLAlchemyStore
    with pytest.raises(ConfigurationError, match=message) as caught:
        make(url)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("options", [{}, {"poolclass": StaticPool}], ids=["thread", "static"])
def test_an_engine_with_one_connection_is_used_as_it_is(options: dict[str, Any]) -> None:
    """The application's tables in memory are in the same database, and stay after an error."""
    engine = sa.create_engine("sqlite://", **options)
    with engine.begin() as connection:
        connection.execute(sa.text("CREATE TABLE theirs (x)"))
    store = SQLAlchemyStore(engine)
    version = store.save("key", b"data", expires_at=4e9, replacing=None)
    assert store.save("key", b"more", expires_at=4e9, replacing=version)
    with engine.begin() as connection:
        connection.execute(sa.text("ALTER TABLE sessions RENAME TO away"))
    with pytest.raises(StoreUnavailable):
        SQLAlchemyStore(engine, create=False).load("key")
    with engine.begin() as connection:
        assert connection.execute(sa.text("SELECT * FROM theirs")).all() == []
        connection.execute(sa.text("ALTER TABLE away RENAME TO sessions"))
    found = store.load("key")
    assert found is not None
    assert found.data == b"more"
    store.close()
    assert store.load("key") == found
    engine.dispose()


@pytest.mark.parametrize(
    ("missing", "remedy"),
    [
        ("sqlalchemy", r"wsgi-sessions\[sqlalchemy\]"),
        ("psycopg", r"psycopg\[binary\]"),
        ("pymysql", "PyMySQL"),
    ],
)
def test_what_is_not_installed_is_named(missing, remedy):
    """Importing the module needs none of it; building the store says what to install."""
    program = f"""
import sys
sys.modules[{missing!r}] = None
from wsgi_sessions.stores.sqlalchemy.store import SQLAlchemyStore
assert not any(name.startswith("sqlalchemy") for name in sys.modules if sys.modules[name])
SQLAlchemyStore("{"mysql" if missing == "pymysql" else "postgresql"}://localhost/db")
"""
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert re.search(rf'ConfigurationError: .*pip install "{remedy}"', result.stderr), result.stderr


def test_neither_repr_nor_errors_show_the_password(open_store):
    """Where it is, without the way in."""
    store = open_store("postgresql://ann:secret@127.0.0.1:1/db?sslpassword=secret")
    with pytest.raises(StoreUnavailable, match=r"127\.0\.0\.1") as caught:
        store.load(new_key())
    assert "secret" not in f"{store!r} {caught.value!r} {caught.value.__cause__!r}"


def test_options_of_the_driver_are_kept(open_store, postgresql_server, later):
    """What is not the store's goes to the driver, beside the store's own settings."""
    url = f"{postgresql_server.url()}?application_name=shop&table=other_options"
    url += "&options=-c%20work_mem%3D123kB"
    open_store(url).save(new_key(), b"", expires_at=later, replacing=None)
    store = open_store(f"{url}&answer_timeout=20")
    with store._database.engine.connect() as connection:
        settings = [
            connection.exec_driver_sql(f"SHOW {name}").scalar()
            for name in ("application_name", "work_mem", "statement_timeout", "lock_timeout")
        ]
    assert settings == ["shop", "123kB", "18s", "16200ms"]


def test_a_row_that_the_server_quotes_is_not_in_the_traceback(postgresql_server, later) -> None:
    """PostgreSQL shows a row that violates a constraint, with record and owner, in its error."""
    place = f"quoting_{next(numbers)}"
    url = patient_url(postgresql_server.new_place(place))
    with closing(SQLAlchemyStore.from_url(url)) as store:
        store.save(new_key(), b"", expires_at=later, replacing=None)  # makes the tables
        with store.engine.begin() as connection:
            connection.exec_driver_sql(f"ALTER TABLE {place}.sessions ADD CHECK (data = '')")
        with pytest.raises(StoreUnavailable, match="CheckViolation") as caught:
            store.save(new_key(), b"s3cret", expires_at=later, replacing=None)

    shown = "".join(traceback.format_exception(caught.value))
    assert b"s3cret".hex() not in shown
    assert "Failing row" not in shown
