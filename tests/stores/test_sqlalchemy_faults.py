"""SQLAlchemyStore on a bad day: a fault is StoreUnavailable in time, never an answer, and it
passes.

A test that is about the limits of time runs with those of the store, so whatever else it asks for
may take too long on a busy machine: it is arranged and looked at without them, or asked for again.
The others run without them altogether.
"""

from __future__ import annotations

import itertools
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from sqlalchemy.engine import make_url

import wsgi_sessions.stores.sqlalchemy.engine as engine_module
from tests.servers.mariadb import MAX_ALLOWED_PACKET
from tests.servers.proxy import FaultProxy
from tests.stores.test_sqlalchemy import at, ordinary_engine
from tests.support.other_limits import other_limits
from tests.support.patience import PATIENT, answered, patient_url, wait_until
from wsgi_sessions.errors import StoreUnavailable
from wsgi_sessions.stores import Timeouts
from wsgi_sessions.stores.sqlalchemy.limits import limits_of
from wsgi_sessions.stores.sqlalchemy.store import SQLAlchemyStore
from wsgi_sessions.testing.contract import new_key, together

ROOT = Path(__file__).parents[2]
LATER = 4_000_000_000.0
IN_TIME = 10.0
"""Eight times what it may take; without one of the limits it is at least as much, or forever."""
SERVERS = ["postgresql", "mariadb"]
numbers = itertools.count()


@pytest.fixture
def no_hurry():
    """Asked for by :data:`patient`."""


patient = pytest.mark.usefixtures("no_hurry")
"""The test is not about limits of time."""


@pytest.fixture
def timed(request) -> Callable[[str], str]:
    """Makes the URL of a store that has as much time as the test wants it to have."""
    return patient_url if "no_hurry" in request.fixturenames else str


@pytest.fixture(params=SERVERS)
def server(request):
    return request.getfixturevalue(f"{request.param}_server")


@pytest.fixture
def proxy(server) -> Iterator[FaultProxy]:
    with FaultProxy(server.port) as proxy:
        yield proxy


@pytest.fixture
def url(server) -> str:
    """A new place, past the proxy."""
    return server.new_place(f"faults_{next(numbers)}")


@pytest.fixture
def direct(url, timed):
    """A store that no fault of the proxy's reaches. It has its tables."""
    with closing(SQLAlchemyStore.from_url(timed(url))) as store:
        answered(lambda: store.load(new_key()))
        yield store


@contextmanager
def unhurried(url: str) -> Iterator[SQLAlchemyStore]:
    """A store without limits of time, to arrange and to look with."""
    with closing(SQLAlchemyStore.from_url(patient_url(url))) as store:
        yield store


@pytest.fixture
def store(url, proxy, server, timed):
    """A store behind the proxy, not yet connected."""
    with closing(behind(proxy, timed(url), server)) as store:
        yield store


def behind(proxy, url, server) -> SQLAlchemyStore:
    return SQLAlchemyStore.from_url(url.replace(f":{server.port}/", f":{proxy.port}/"))


@pytest.fixture
def saved(store, url) -> tuple[str, object]:
    """The key of a record, and its version. The store is connected now."""
    key, version = saved_at(url)
    answered(lambda: store.load(key))
    return key, version


def saved_at(url: str) -> tuple[str, object]:
    """The key of a new record, and its version."""
    with unhurried(url) as store:
        key = new_key()
        return key, store.save(key, b"before", expires_at=LATER, replacing=None)


def waiting_for_locks(server) -> int:
    """How many transactions wait for a row that another one has changed."""
    if server.url().startswith("postgresql"):
        return server.execute("SELECT count(*) FROM pg_locks WHERE NOT granted")[0][0]
    return int(server.execute("SHOW GLOBAL STATUS LIKE 'Innodb_row_lock_current_waits'")[0][1])


@pytest.fixture
def connecting(monkeypatch) -> list[object]:
    """Gets an item for each connection that a store built after this tries to make."""
    tries, connect_within = [], engine_module._connect_within

    def counted(*how):
        def connect(dialect, record, args, options):
            tries.append(dialect)
            return connect_within(*how)(dialect, record, args, options)

        return connect

    monkeypatch.setattr(engine_module, "_connect_within", counted)
    return tries


def fill_pool(store) -> None:
    """Let several connections lie idle."""
    connections = [store._database.engine.raw_connection() for _ in range(5)]
    for connection in connections:
        connection.close()


@contextmanager
def unavailable(match: str = ".") -> Iterator[pytest.ExceptionInfo[StoreUnavailable]]:
    """StoreUnavailable is raised, in time."""
    begun = time.monotonic()
    with pytest.raises(StoreUnavailable, match=match) as caught:
        yield caught
    assert time.monotonic() - begun < IN_TIME


def each_operation(store, key, version):
    """The operations that fail if the database cannot be asked."""
    return {
        "load": lambda: store.load(key),
        "create": lambda: store.save(new_key(), b"new", expires_at=LATER, replacing=None),
        "replace": lambda: store.save(key, b"lost", expires_at=LATER, replacing=version),
        "end": lambda: store.save(key, b"", expires_at=0.0, replacing=version),
        "delete": lambda: store.delete(key),
        "purge": store.purge,
        "keys_of": lambda: store.keys_of("ann"),
    }


def test_the_limits_add_up():
    """An operation ends within 1.2 s: by a statement sent twice, or one that waits for its turn."""
    limits = limits_of(Timeouts())
    assert limits.retry + limits.login + limits.answer <= 1.2
    assert limits.pool + limits.answer <= 1.2
    assert limits.connect <= limits.login
    assert limits.answer > limits.server


def test_all_limits_come_from_the_timeouts():
    """Twice the time is twice each limit; MySQL takes whole seconds for a lock."""
    once, twice = limits_of(Timeouts(2, 4)), limits_of(Timeouts(4, 8))
    assert [2 * limit for limit in once] == [*twice]
    assert limits_of(Timeouts(answer=0.01)).lock == 1


def test_two_stores_of_a_process_have_each_its_own_limits(server):
    """Those of a connection are not those of its class."""
    url = server.new_place(f"faults_{next(numbers)}")
    hasty = f"{url}{'&' if '?' in url else '?'}connect_timeout=5&answer_timeout=0.3"
    with unhurried(url) as store, closing(SQLAlchemyStore.from_url(hasty)) as other:
        key = new_key()
        version = store.save(key, b"before", expires_at=LATER, replacing=None)
        answered(lambda: other.load(key))
        with locked(server, url, key) as cursor:
            results = []
            save = each_operation(store, key, version)["replace"]
            thread = threading.Thread(target=lambda: results.append(save()))
            thread.start()
            with unavailable():
                other.save(key, b"lost", expires_at=LATER, replacing=version)
            assert results == []
            cursor.execute("ROLLBACK")
            thread.join()
    assert len(results) == 1
    assert results[0] is not None


# -- the server is not there


@patient
def test_refused(store, proxy, saved):
    """Nothing listens: every operation says so, and goes on when something does."""
    key, version = saved
    proxy.refuse()
    for operation in each_operation(store, key, version).values():
        with unavailable():
            operation()
    proxy.restore()
    assert store.load(key) == (b"before", version)


def test_a_write_is_not_sent_over_a_connection_that_can_be_seen_to_be_closed(store, proxy, saved):
    """So that the first login in an outage is known not to be done, and takes nobody's cookie."""
    key, version = saved
    assert store.load(key) is not None
    proxy.refuse()
    with unavailable() as caught:
        store.save(key, b"new", expires_at=time.time() + 60, replacing=version)
    assert caught.value.applied is False


@pytest.mark.parametrize("connected", [True, False])
@pytest.mark.parametrize("name", ["load", "replace", "keys_of"])
def test_stalled(connecting, store, url, proxy, name, connected):
    """Accepted and never answered. Over a connection that was open before that may be a dead
    connection, so a load is tried once more over a new one; else it is not."""
    key, version = saved_at(url)
    if connected:
        answered(lambda: store.load(key))
    proxy.stall()
    connecting.clear()
    with unavailable():
        each_operation(store, key, version)[name]()
    assert len(connecting) == (0 if connected and name == "replace" else 1)
    proxy.restore()
    assert answered(lambda: store.load(key)).data in (b"before", b"lost")


@pytest.mark.parametrize("connected", [True, False])
def test_the_server_is_stopped(server, url, direct, connected):
    """SIGSTOP: its kernel still accepts. Then it goes on, and so does the store."""
    key, _ = saved_at(url)
    if connected:
        answered(lambda: direct.load(key))
    else:
        direct.close()
    server.signal_all(signal.SIGSTOP)
    try:
        for _ in range(2):
            with unavailable():
                direct.load(key)
        with unavailable():
            direct.save(new_key(), bytes(1_500_000), expires_at=LATER, replacing=None)
    finally:
        server.signal_all(signal.SIGCONT)
    assert answered(lambda: direct.load(key)).data == b"before"


@patient
def test_killed_and_started_again(server, direct):
    """Down: unavailable. Up again: the first operation succeeds, whatever was in the pool."""
    keys = [new_key() for _ in range(6)]
    for key in keys:
        direct.save(key, key.encode(), expires_at=LATER, replacing=None)
    fill_pool(direct)
    server.crash()
    try:
        with unavailable():
            direct.load(keys[0])
    finally:
        server.start()
    found = together(6, lambda number: direct.load(keys[number]))
    assert [one.data for one in found] == [key.encode() for key in keys]


@patient
@pytest.mark.parametrize("handed_in", [False, True])
def test_started_again_between_two_requests(server, url, direct, handed_in):
    """Nobody notices, for a write neither, whichever idle connection the pool gives."""
    engine = None
    if handed_in:
        engine = ordinary_engine(url)
        direct = SQLAlchemyStore(engine, **at(url))
    key = new_key()
    version = direct.save(key, b"1", expires_at=LATER, replacing=None)
    fill_pool(direct)
    server.crash()
    server.start()
    newer = direct.save(key, b"2", expires_at=LATER, replacing=version)
    assert direct.load(key) == (b"2", newer)
    if engine is not None:
        engine.dispose()


# -- the connection breaks


@patient
@pytest.mark.parametrize("count", [0, 1, 4, 5, 30])
def test_a_reply_cut_off_is_asked_for_again(store, direct, proxy, saved, count):
    """Closed before, inside or after the reply: each operation finds out what happened."""
    key, version = saved
    proxy.cut_reply_after(count)
    assert store.load(key) == (b"before", version)
    proxy.cut_reply_after(count)
    version = store.save(key, b"after", expires_at=LATER, replacing=version)
    assert direct.load(key) == (b"after", version)
    proxy.cut_reply_after(count)
    other = new_key()
    version = store.save(other, b"other", expires_at=LATER, replacing=None)
    assert direct.load(other) == (b"other", version)
    proxy.cut_reply_after(count)
    store.delete(key)
    assert direct.load(key) is None


@patient
@pytest.mark.parametrize("count", [0, 1, 20, 100])
def test_a_request_cut_off_is_sent_again(store, direct, proxy, saved, count):
    """Half a statement does nothing."""
    key, version = saved
    proxy.cut_request_after(count)
    version = store.save(key, b"after", expires_at=LATER, replacing=version)
    assert version is not None
    assert direct.load(key) == (b"after", version)
    proxy.cut_request_after(count)
    assert store.load(key) == (b"after", version)


@pytest.mark.parametrize("count", [0, 1, 5, 30])
def test_a_reply_that_stops_is_not_waited_for(url, server, proxy, count):
    """A load is sent over another connection, a save is unavailable; and the rest of that reply is
    nobody else's answer."""
    (key, version), (other, theirs) = saved_at(url), saved_at(url)
    with other_limits(server=30):  # the server does what it is asked for
        behind_proxy = behind(proxy, url, server)
    with closing(behind_proxy) as store:
        answered(lambda: store.load(other))
        proxy.stop_reply_after(count)
        assert answered(lambda: store.load(key)) == (b"before", version)
        assert answered(lambda: store.load(other)) == (b"before", theirs)
        proxy.stop_reply_after(count)
        with unavailable():
            store.save(key, b"after", expires_at=LATER, replacing=version)
        assert answered(lambda: store.load(other)) == (b"before", theirs)
        wait_until(lambda: answered(lambda: store.load(key)).data == b"after", "the save")


@patient
def test_a_deletion_whose_reply_was_lost_is_not_called_refused(store, direct, proxy, saved):
    """Nothing is there any more, but who did it cannot be told."""
    key, version = saved
    proxy.cut_reply_after(0)
    with unavailable("may or may not have happened"):
        store.save(key, b"", expires_at=0.0, replacing=version)
    assert direct.load(key) is None
    assert store.save(key, b"", expires_at=0.0, replacing=version) is None


@pytest.mark.parametrize("fault", ["delay", "drip"])
def test_a_slow_server_is_waited_for_in_all_not_in_part(store, proxy, saved, fault):
    """However the time is spread over the pieces of connecting and answering."""
    key, version = saved
    store.close()
    getattr(proxy, fault)(0.24)
    with unavailable():
        store.load(key)
    proxy.restore()
    assert answered(lambda: store.load(key)) == (b"before", version)


@patient
def test_answers_are_never_mixed_up(store, direct, proxy):
    """Threads under cuts that strike any of them: each load brings its own record or none."""
    keys = [new_key() for _ in range(4)]
    for key in keys:
        direct.save(key, key.encode() * 50, expires_at=LATER, replacing=None)
    counts = itertools.cycle([0, 3, 40, 200, 700])

    def load(number):
        answers = 0
        for turn in range(60):
            if turn % 3 == 0:
                proxy.cut_reply_after(next(counts))
            try:
                assert store.load(keys[number]).data == keys[number].encode() * 50
                answers += 1
            except StoreUnavailable:
                pass
        return answers

    assert min(together(4, load)) > 0


@patient
def test_all_connections_in_use(url):
    """A request does not queue forever."""
    with other_limits(pool=limits_of(Timeouts()).pool):
        small = SQLAlchemyStore.from_url(patient_url(url))
    with closing(small) as store:
        key = new_key()
        store.save(key, b"data", expires_at=LATER, replacing=None)
        engine = store._database.engine
        held = [engine.raw_connection() for _ in range(engine.pool.size())]
        with unavailable("QueuePool"):
            store.load(key)
        for connection in held:
            connection.close()
        assert store.load(key).data == b"data"


# -- the server refuses


@patient
def test_wrong_password(server):
    """Unavailable, without the password."""
    store = SQLAlchemyStore(server.url(password="not it"), timeouts=PATIENT)
    with unavailable("(?i)password") as caught:
        store.load(new_key())
    assert "not it" not in str(caught.value)


@patient
def test_no_such_schema(server):
    """A place that is not there is not an empty table."""
    store = SQLAlchemyStore(server.url(), schema="nowhere", timeouts=PATIENT)
    with closing(store), unavailable("nowhere|denied|ddl"):
        store.load(new_key())


@contextmanager
def read_only(server, url):
    database, schema = make_url(url).database, make_url(url).query.get("schema")
    if schema:
        server.execute(f"ALTER DATABASE {database} SET default_transaction_read_only = on")
    else:
        server.execute("SET GLOBAL read_only = 1")
    try:
        yield
    finally:
        if schema:
            reset = f"ALTER DATABASE {database} RESET default_transaction_read_only"
            server.execute(f"SET transaction_read_only = off; {reset}")
        else:
            server.execute("SET GLOBAL read_only = 0")


@patient
def test_read_only(server, url, direct):
    """Reads are answered; writes are unavailable and change nothing."""
    key = new_key()
    version = direct.save(key, b"before", expires_at=LATER, replacing=None)
    direct.close()
    with read_only(server, url):
        operations = each_operation(direct, key, version)
        for name in ("create", "replace", "end", "delete"):
            with unavailable("read.only"):
                operations[name]()
        assert direct.load(key) == (b"before", version)
    assert direct.save(key, b"after", expires_at=LATER, replacing=version) is not None


@patient
def test_larger_than_the_packet(mariadb_server):
    """Unavailable with the name of the setting; what was there stays."""
    place = mariadb_server.new_place(f"faults_{next(numbers)}")
    with closing(SQLAlchemyStore(place, timeouts=PATIENT)) as store:
        key = new_key()
        version = store.save(key, b"before", expires_at=LATER, replacing=None)
        for size in (MAX_ALLOWED_PACKET, MAX_ALLOWED_PACKET + 100, 2 * MAX_ALLOWED_PACKET):
            with unavailable("max_allowed_packet"):
                store.save(key, bytes(size), expires_at=LATER, replacing=version)
            with unavailable("max_allowed_packet"):
                store.save(new_key(), b"x" * size, expires_at=LATER, replacing=None)
        assert store.load(key) == (b"before", version)


# -- locks


@contextmanager
def locked(server, url, key):
    """Another transaction has changed the row and does not end."""
    schema, database = make_url(url).query.get("schema"), make_url(url).database
    table = f"{schema or database}.sessions"
    with closing(server.connect()) as connection:
        cursor = connection.cursor()
        cursor.execute("BEGIN")
        change = "data = 'theirs', version = 1"
        cursor.execute(f"UPDATE {table} AS r SET {change} WHERE r.key = %s", (key.encode(),))
        assert cursor.rowcount == 1
        yield cursor
        cursor.execute("ROLLBACK")


def test_a_row_lock_is_held(server, url, direct):
    """Writes to that session are unavailable; reads of it and all other sessions go on."""
    (key, version), (other, _) = saved_at(url), saved_at(url)
    with locked(server, url, key):
        for name in ("replace", "delete"):
            with unavailable():
                each_operation(direct, key, version)[name]()
        assert answered(lambda: direct.load(key)) == (b"before", version)
        assert answered(lambda: direct.delete(other)) is None
        assert answered(lambda: direct.load(other)) is None
        wait_until(lambda: not waiting_for_locks(server), "the server gives up too")
    with unhurried(url) as store:
        assert store.save(key, b"after", expires_at=LATER, replacing=version) is not None
    assert answered(lambda: direct.load(key)).data == b"after"


@patient
def test_the_other_transaction_wins(server, url, direct):
    """A save that waits for a row sees what was committed there, and is refused."""
    key = new_key()
    version = direct.save(key, key.encode(), expires_at=LATER, replacing=None)
    results = []
    with locked(server, url, key) as cursor:
        operation = each_operation(direct, key, version)["replace"]
        thread = threading.Thread(target=lambda: results.append(operation()))
        thread.start()
        wait_until(lambda: waiting_for_locks(server), "the save waits for the row")
        cursor.execute("COMMIT")
        thread.join()
    assert results == [None]
    assert direct.load(key) == (b"theirs", 1)


@patient
def test_a_serialization_failure_is_tried_again(postgresql_server):
    """Where transactions are serializable by default, a lost race is still a refusal."""
    url = postgresql_server.new_place(f"faults_{next(numbers)}")
    url += "&options=-c%20default_transaction_isolation=serializable"
    with closing(SQLAlchemyStore.from_url(patient_url(url))) as direct:
        test_the_other_transaction_wins(postgresql_server, url, direct)


@patient
def test_a_deadlock_is_tried_again(mariadb_server):
    """The victim starts anew, and the other transaction has gone on meanwhile."""
    name = f"faults_{next(numbers)}"
    with closing(SQLAlchemyStore(mariadb_server.new_place(name), timeouts=PATIENT)) as store:
        store.load(new_key())
        mariadb_server.execute(
            f"INSERT INTO {name}.sessions (`key`, version, expires_at, data) "
            "VALUES ('a', 1, 1, 'x'), ('b', 1, 2, 'x')"
        )
        with closing(mariadb_server.connect(name)) as other:
            cursor = other.cursor()
            cursor.execute("CREATE TABLE weight (x INT)")
            cursor.execute("BEGIN")
            cursor.execute("INSERT INTO weight VALUES (1), (2), (3), (4), (5), (6), (7), (8)")
            cursor.execute("SELECT * FROM sessions WHERE `key` = 'b' FOR UPDATE")
            results = []
            thread = threading.Thread(target=lambda: results.append(store.purge()))
            thread.start()
            wait_until(lambda: waiting_for_locks(mariadb_server), "the purge waits for row b")
            cursor.execute("SELECT * FROM sessions WHERE `key` = 'a' FOR UPDATE")
            cursor.execute("COMMIT")
            thread.join()
            cursor.execute("SHOW GLOBAL STATUS LIKE 'Innodb_deadlocks'")
            assert int(cursor.fetchone()[1]) > 0
    assert results == [2]


def test_sqlite_is_locked(tmp_path):
    """Another process writes and does not end: reads go on, writes are unavailable."""
    with closing(SQLAlchemyStore(f"sqlite:///{tmp_path}/sessions.db")) as store:
        key = new_key()
        version = store.save(key, b"before", expires_at=LATER, replacing=None)
        with closing(sqlite3.connect(tmp_path / "sessions.db", isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            with unavailable("locked"):
                store.save(key, b"lost", expires_at=LATER, replacing=version)
            assert store.load(key) == (b"before", version)
        assert store.save(key, b"after", expires_at=LATER, replacing=version) is not None
        with store._database.engine.connect() as connection:
            milliseconds = connection.exec_driver_sql("PRAGMA busy_timeout").scalar()
        assert milliseconds == Timeouts().answer * 1000  # Python's default is 5 s


@patient
def test_the_index_is_missing(server, url, direct):
    """Purging is slower then, and that is all."""
    direct.save(key := new_key(), b"data", expires_at=LATER, replacing=None)
    schema, database = make_url(url).query.get("schema"), make_url(url).database
    if schema:
        server.execute(f"DROP INDEX {schema}.sessions_expires_at")
    else:
        server.execute(f"DROP INDEX sessions_expires_at ON {database}.sessions")
    assert direct.purge() == 0
    assert direct.load(key).data == b"data"


# -- gevent

GREENLETS = """
from gevent import monkey
monkey.patch_all()
import sys, time
import gevent
from wsgi_sessions.stores.sqlalchemy.store import SQLAlchemyStore

url, slow = sys.argv[1:]
store, delayed = SQLAlchemyStore.from_url(url), SQLAlchemyStore.from_url(slow)
later = time.time() + 3600

def run(number):
    key = f"key{number}"
    version = store.save(key, b"0", expires_at=later, replacing=None)
    for count in range(1, 6):
        version = store.save(key, b"%d" % count, expires_at=later, replacing=version)
        assert store.load(key) == (b"%d" % count, version)
    return True

assert all(job.get() for job in [gevent.spawn(run, number) for number in range(8)])

connected = [delayed._database.engine.raw_connection() for _ in range(5)]
for connection in connected:
    connection.close()
print("ready", flush=True)
sys.stdin.readline()
waiting, most = 0, 0

def load():
    global waiting, most
    waiting += 1
    most = max(most, waiting)
    data = delayed.load("key1").data
    waiting -= 1
    return data

jobs = [gevent.spawn(load) for _ in range(5)]
assert [job.get() for job in jobs] == [b"5"] * 5
assert most > 1, "they waited one after the other"
print("together", flush=True)
sys.stdin.readline()
with gevent.Timeout(0.1, False):
    delayed.load("key2")
    assert False, "the proxy holds answers back"
print("gave up", flush=True)
sys.stdin.readline()
delayed.save("mine", b"mine", expires_at=later, replacing=None)
assert delayed.load("mine").data == b"mine"
print("done", flush=True)
"""


@patient
def test_gevent(url, proxy, server):
    """Greenlets do not wait for each other, and one that gives up poisons no connection."""
    slow = url.replace(f":{server.port}/", f":{proxy.port}/")
    with subprocess.Popen(
        [sys.executable, "-c", GREENLETS, patient_url(url), patient_url(slow)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout.readline() == "ready\n", process.stderr.read()
        proxy.delay(0.3)
        process.stdin.write("\n")
        process.stdin.flush()
        assert process.stdout.readline() == "together\n", process.stderr.read()
        proxy.restore()
        proxy.stall()
        process.stdin.write("\n")
        process.stdin.flush()
        assert process.stdout.readline() == "gave up\n", process.stderr.read()
        proxy.restore()
        output, errors = process.communicate("\n", timeout=60)
    assert output == "done\n", errors
