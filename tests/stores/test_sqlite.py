"""What SQLiteStore alone has."""

from __future__ import annotations

import multiprocessing
import os
import resource
import secrets
import signal
import sqlite3
import stat
import threading
import time
from contextlib import ExitStack, closing

import pytest

import wsgi_sessions.stores.sqlite.store as sqlite
from tests.support.owners import listed
from tests.support.patience import PATIENT, answered
from wsgi_sessions.errors import ConfigurationError, StoreUnavailable
from wsgi_sessions.stores.sqlite.store import BATCH, SQLiteStore
from wsgi_sessions.testing import ManualClock, StoreContract
from wsgi_sessions.testing.contract import together
from wsgi_sessions.testing.forks import forked

LATER = 9e9


class TestContract(StoreContract):
    """SQLiteStore keeps the rules of every store."""

    @pytest.fixture
    def clock(self):
        return ManualClock()

    @pytest.fixture
    def store(self, clock, tmp_path):
        store = SQLiteStore(tmp_path / "sessions.db", timeouts=PATIENT, clock=clock)
        yield store
        store.close()


@pytest.fixture
def path(tmp_path):
    return tmp_path / "sessions.db"


@pytest.fixture
def store(path):
    store = SQLiteStore(path, timeouts=PATIENT)
    yield store
    store.close()


def save(store, key="key", data=b"data", replacing=None, expires_at=LATER):
    return store.save(key, data, expires_at=expires_at, replacing=replacing)


def query(path, sql):
    with closing(sqlite3.connect(path)) as connection:
        rows = connection.execute(sql).fetchall()
        connection.commit()
        return rows


def open_files(path) -> int:
    """How many descriptors of this process are open on the database and its log."""
    links = []
    for name in os.listdir("/proc/self/fd"):
        try:
            links.append(os.readlink(f"/proc/self/fd/{name}"))
        except OSError:
            continue
    return sum(link.startswith(str(path)) for link in links)


# -- configuration


@pytest.mark.parametrize("path", [":memory:", "", "file::memory:", "file:a.db?mode=ro"])
def test_what_is_not_a_file_is_refused(path):
    """Every connection would have a database of its own; MemoryStore is the remedy."""
    with pytest.raises(ConfigurationError, match="MemoryStore"):
        SQLiteStore(path, timeouts=PATIENT)


@pytest.mark.parametrize("table", ["", "a b", 'a"b', "1a", "a;", "a.b", "é"])
def test_a_table_name_is_plain(path, table):
    """It becomes part of the statements."""
    with pytest.raises(ConfigurationError, match="table"):
        SQLiteStore(path, timeouts=PATIENT, table=table)


def test_purge_every_is_not_negative(path):
    """0 is never."""
    with pytest.raises(ConfigurationError, match="purge_every"):
        SQLiteStore(path, timeouts=PATIENT, purge_every=-1)


def test_building_does_nothing(path):
    """No file is made or opened."""
    SQLiteStore(path, timeouts=PATIENT)
    assert not path.exists()


def test_a_path_is_that_of_the_time_of_building(tmp_path, monkeypatch):
    """Relative, a str, with characters that mean something in a URI."""
    monkeypatch.chdir(tmp_path)
    store = SQLiteStore("a b?c#d%41.db")
    monkeypatch.chdir("/")
    save(store)
    store.close()
    assert os.listdir(tmp_path) == ["a b?c#d%41.db"]


def test_two_tables_in_one_file_are_two_stores(path, store):
    """Also with a name that is a word of SQL."""
    other = SQLiteStore(path, timeouts=PATIENT, table="select")
    save(store, data=b"one")
    save(other, data=b"two")
    assert store.load("key").data == b"one"
    assert other.load("key").data == b"two"
    other.close()


def test_create_false_makes_nothing(path):
    """Neither file nor tables: both are the operator's, from the DDL that the store prints."""
    store = SQLiteStore(path, timeouts=PATIENT, create=False)
    with pytest.raises(StoreUnavailable, match="unable to open"):
        save(store)
    assert not path.exists()
    query(path, "SELECT 1")
    path.touch()
    with pytest.raises(StoreUnavailable, match="no such table"):
        store.load("key")
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(store.ddl)
    assert save(store) is not None
    assert store.keys_of("ann") == []
    assert store.load("key").data == b"data"
    store.close()


def test_a_table_of_an_earlier_shape_is_refused_with_the_statements_to_run(path):
    """Reading and replacing go on, so that nobody is logged out before they are run."""
    columns = "key TEXT PRIMARY KEY, version INTEGER, expires_at REAL, data BLOB"
    query(path, f"CREATE TABLE sessions ({columns})")
    query(path, f"INSERT INTO sessions VALUES ('key', 1, {LATER}, x'00')")
    path.chmod(0o600)
    store = SQLiteStore(path, timeouts=PATIENT)
    assert save(store, replacing=store.load("key").version) is not None
    with pytest.raises(ConfigurationError, match="owner") as caught:
        save(store, "new")
    with pytest.raises(ConfigurationError, match="owner"):
        store.keys_of("ann")
    _, _, statements = str(caught.value).partition(": run ")
    for statement in statements.split("; "):
        query(path, statement)
    assert save(store, "new") is not None
    assert listed(store, "other") is not None
    assert store.keys_of("ann") == ["other"]
    store.close()


def test_the_sessions_of_an_owner_are_found_by_the_index(path, store):
    save(store)
    statement = store._sql["keys_of"].replace("?", "'a'")
    [(*_, plan)] = query(path, f"EXPLAIN QUERY PLAN {statement}")
    assert "USING INDEX sessions_owner" in plan


# -- the file


def test_the_file_is_for_the_owner_alone(path, store):
    """0600 for the database, its log and the log's index."""
    before = os.umask(0)
    try:
        save(store)
    finally:
        os.umask(before)
    files = list(path.parent.iterdir())
    assert len(files) == 3
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}


def test_write_ahead_log_and_indexed_expiry(path, store):
    """Readers and writers do not wait for each other; purging does not read the table."""
    save(store)
    assert query(path, "PRAGMA journal_mode") == [("wal",)]
    plan = "EXPLAIN QUERY PLAN SELECT rowid FROM sessions WHERE expires_at <= 1 ORDER BY expires_at"
    assert "sessions_expires_at" in str(query(path, plan))
    assert "SCAN" not in str(query(path, plan))


def test_a_database_that_is_removed_is_made_again(path, store, tmp_path):
    """All processes move to the new one without a restart, and lose nothing there."""
    version = save(store)
    other = SQLiteStore(path, timeouts=PATIENT)
    other.load("key")
    for file in list(tmp_path.iterdir()):
        file.unlink()
    assert store.load("key") is None
    assert save(store, data=b"lost", replacing=version) is None
    assert save(store, data=b"new") is not None
    assert other.load("key").data == b"new"
    other.close()
    assert store.load("key").data == b"new"
    assert save(store, "two") is not None
    assert [key for (key,) in query(path, "SELECT key FROM sessions ORDER BY key")] == [
        "key",
        "two",
    ]


def test_closing_the_removed_database_spares_the_new_one(path, store, tmp_path):
    """SQLite would delete the new one's log by its name."""
    save(store)
    for file in list(tmp_path.iterdir()):
        file.unlink()
    other = SQLiteStore(path, timeouts=PATIENT)
    save(other, "new")
    store.close()
    assert path.with_name("sessions.db-wal").exists()
    assert other.load("new").data == b"data"
    other.close()
    assert query(path, "SELECT key FROM sessions") == [("new",)]


def test_a_table_that_is_dropped_is_made_again(path, store):
    """The sessions are gone, the store works."""
    save(store)
    query(path, "DROP TABLE sessions")
    assert store.load("key") is None
    assert save(store) is not None


# -- faults


def test_a_locked_database_is_a_fault(path):
    """After half a second of waiting for the other writer; loads go on."""
    store = SQLiteStore(path)
    version = save(store)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        began = time.monotonic()
        with pytest.raises(StoreUnavailable, match="locked"):
            save(store, data=b"new", replacing=version)
        assert time.monotonic() - began > 0.3
        assert store.load("key").data == b"data"
    connection = store._connections.acquire()
    assert connection.execute("PRAGMA busy_timeout").fetchone() == (500,)
    store._connections.release(connection)
    assert answered(lambda: save(store, data=b"new", replacing=version)) is not None
    store.close()


def test_what_is_no_database_is_a_fault(path, store):
    """It is neither overwritten nor taken for empty."""
    path.write_bytes(b"my diary " * 500)
    for operation in (lambda: store.load("key"), lambda: save(store)):
        with pytest.raises(StoreUnavailable, match="not a database"):
            operation()
    assert path.read_bytes() == b"my diary " * 500


@pytest.mark.parametrize("kind", ["no directory", "a directory"])
def test_a_path_that_cannot_be_opened_is_a_fault(tmp_path, kind):
    """Missing parents are not made."""
    path = tmp_path if kind == "a directory" else tmp_path / "missing" / "s.db"
    store = SQLiteStore(path, timeouts=PATIENT)
    for operation in (lambda: store.load("key"), lambda: save(store)):
        with pytest.raises(StoreUnavailable, match="unable to open"):
            operation()


def test_a_full_disk_leaves_the_old_record(path, store):
    """All or nothing, and the connection is good afterwards."""

    def child():
        version = save(store, data=b"old")
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        before = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, before[1]))
        with pytest.raises(StoreUnavailable):
            save(store, data=b"x" * 500_000, replacing=version)
        assert store.load("key").data == b"old"
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        assert save(store, data=b"y" * 500_000, replacing=version) is not None

    with forked(child):
        pass
    assert store.load("key").data == b"y" * 500_000


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")  # other tests' threads may run
def test_a_killed_writer_leaves_the_old_record_or_the_new(path, store):
    """At any point, also while the tables are made."""
    for _ in range(25):
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:
            try:
                os.write(writer, b"x")
                while True:
                    found = store.load("key")
                    data = secrets.token_bytes(1) * (1 + secrets.randbelow(60_000))
                    save(store, data=data, replacing=found and found.version)
            finally:
                os._exit(1)
        os.close(writer)
        assert os.read(reader, 1)
        os.close(reader)
        time.sleep(secrets.randbelow(10_000) / 1e6)
        os.kill(child, signal.SIGKILL)
        assert os.waitpid(child, 0)[1] == signal.SIGKILL
        found = store.load("key")
        if found is not None:
            assert found.data == found.data[:1] * len(found.data)
        assert save(store, data=b"!!", replacing=found and found.version) is not None
    assert query(path, "PRAGMA integrity_check") == [("ok",)]


# -- threads, processes, connections


def test_many_processes_make_the_tables_at_once(tmp_path):
    """Each starts with nothing there, and none fails."""
    for number in range(10):
        path = tmp_path / f"{number}.db"
        barrier = multiprocessing.get_context("fork").Barrier(4)

        def child(path=path, barrier=barrier):
            store = SQLiteStore(path, timeouts=PATIENT)
            barrier.wait()
            assert save(store, secrets.token_hex(8)) is not None

        with ExitStack() as processes:
            for _ in range(4):
                processes.enter_context(forked(child))
        assert query(path, "SELECT count(*) FROM sessions") == [(4,)]


def test_connections_are_kept_and_closed(path, store):
    """One thread after the other uses the same one; close leaves none open."""
    for _ in range(20):
        together(1, lambda _: save(store, secrets.token_hex(8)))
    assert len({*os.listdir(path.parent)}) == 3
    assert open_files(path) <= 3
    store.close()
    assert open_files(path) == 0
    assert save(store) is not None


def test_a_store_that_is_dropped_closes_its_connections(path):
    """Without a word from the application."""
    store = SQLiteStore(path, timeouts=PATIENT)
    save(store)
    assert open_files(path) > 0
    del store
    assert open_files(path) == 0


def test_no_connection_crosses_a_fork(path, store):
    """Nor one that another thread is using at the moment."""
    save(store)
    stop = threading.Event()

    def keep_using():
        while not stop.is_set():
            store.load("key")

    threads = [threading.Thread(target=keep_using) for _ in range(3)]
    for thread in threads:
        thread.start()

    def child():
        assert open_files(path) == 0

    try:
        for _ in range(5):
            with forked(child):
                pass
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def test_a_child_holds_its_own_locks(path, store):
    """The parent closes and others open meanwhile: nothing that the child saves is lost.

    With a connection that was open at the fork SQLite believes in the child that the parent's
    locks are its own, the next process to open the file starts a new log, and the old is lost.
    """
    save(store, "parent")
    ready, go = os.pipe(), os.pipe()

    def child():
        save(store, "child 1")
        os.write(ready[1], b"x")
        os.read(go[0], 1)
        save(store, "child 2")

    with forked(child):
        os.read(ready[0], 1)
        store.load("parent")
        store.close()
        with forked(lambda: save(SQLiteStore(path, timeouts=PATIENT), "other")):
            pass
        os.write(go[1], b"x")
    for descriptor in (*ready, *go):
        os.close(descriptor)
    assert sorted(store.keys()) == ["child 1", "child 2", "other", "parent"]
    assert query(path, "PRAGMA integrity_check") == [("ok",)]


# -- purge


def test_saves_purge_now_and_then(path):
    """As many as keep the table from growing; what is alive stays."""
    clock = ManualClock()
    store = SQLiteStore(path, timeouts=PATIENT, purge_every=5, clock=clock)
    save(store, "alive")
    for _ in range(40):
        save(store, secrets.token_hex(8), expires_at=clock() + 1)
    clock.advance(2)
    version = store.load("alive").version
    for _ in range(20):
        version = save(store, "alive", replacing=version)
    store.close()
    assert query(path, "SELECT key FROM sessions") == [("alive",)]


def test_purge_every_zero_leaves_it_to_the_operator(path):
    """Nothing goes until purge is called."""
    clock = ManualClock()
    store = SQLiteStore(path, timeouts=PATIENT, purge_every=0, clock=clock)
    for _ in range(30):
        save(store, secrets.token_hex(8), expires_at=clock() + 1)
        clock.advance(2)
    assert query(path, "SELECT count(*) FROM sessions") == [(30,)]
    assert store.purge() == 30
    store.close()


def test_a_save_succeeds_though_its_purge_does_not(path):
    """What the save was asked for is done."""
    clock = ManualClock()
    store = SQLiteStore(path, timeouts=PATIENT, purge_every=1, clock=clock)
    save(store, "old", expires_at=clock() + 1)
    clock.advance(2)
    query(path, "CREATE TRIGGER no BEFORE DELETE ON sessions BEGIN SELECT RAISE(ABORT, 'no'); END")
    assert save(store) is not None
    with pytest.raises(StoreUnavailable, match="no"):
        store.purge()
    store.close()


def test_purge_works_in_small_transactions(path, store, monkeypatch):
    """What goes wrong in one does not undo those before; the lock is free in between."""
    monkeypatch.setattr(sqlite, "BATCH_SECONDS", 30)  # else a busy machine makes smaller ones
    save(store)
    numbers = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 500)"
    into = "sessions (key, version, expires_at, data)"
    query(path, f"INSERT INTO {into} {numbers} SELECT 'k' || i, i, 1.0, x'00' FROM n")
    query(
        path,
        "CREATE TRIGGER stop BEFORE DELETE ON sessions "
        "WHEN (SELECT count(*) FROM sessions) <= 100 BEGIN SELECT RAISE(ABORT, 'stop'); END",
    )
    with pytest.raises(StoreUnavailable, match="stop"):
        store.purge()
    assert query(path, "SELECT count(*) FROM sessions") == [(501 - 400 // BATCH * BATCH,)]
