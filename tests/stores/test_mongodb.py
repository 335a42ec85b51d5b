"""MongoDBStore on a real server: the contract, and what is its own."""

# ruff: noqa: F811 - fixtures are imported

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pymongo
import pytest
from bson.int64 import Int64
from pymongo import MongoClient
from pymongo.errors import OperationFailure
from pymongo.monitoring import CommandListener

from tests.servers.mongodb import mongodb, mongodb_server, mongodb_url  # noqa: F401
from tests.support.patience import PATIENT
from wsgi_sessions.errors import ConfigurationError, StoreUnavailable
from wsgi_sessions.stores.mongodb.store import MongoDBStore
from wsgi_sessions.testing import ManualClock, StoreContract
from wsgi_sessions.testing.contract import new_key

DATABASE = "wsgi_sessions_test"


@pytest.fixture
def collection(mongodb: MongoClient) -> Iterator[str]:
    """The name of a collection that nobody has used."""
    name = new_key()
    yield name
    mongodb[DATABASE].drop_collection(name)


@pytest.fixture
def clock() -> ManualClock:
    """Near the server's, whose TTL index goes by its own."""
    return ManualClock(time.time())


@pytest.fixture
def store(mongodb: MongoClient, collection: str, clock: ManualClock) -> MongoDBStore:
    return MongoDBStore(mongodb, database=DATABASE, collection=collection, clock=clock)


@pytest.fixture
def documents(mongodb: MongoClient, collection: str) -> Any:
    return mongodb[DATABASE][collection]


class TestWithURL(StoreContract):
    """The contract, with a client that the store makes."""

    many = 150  # a cursor's first page has 101

    @pytest.fixture
    def clock(self, clock: ManualClock) -> ManualClock:
        return clock

    @pytest.fixture
    def store(
        self, mongodb_url: str, collection: str, clock: ManualClock
    ) -> Iterator[MongoDBStore]:
        url = f"{mongodb_url}/{DATABASE}?collection={collection}"
        store = MongoDBStore.from_url(url, timeouts=PATIENT, clock=clock)
        yield store
        store.close()


@pytest.mark.filterwarnings("ignore:MongoClient opened before fork")
class TestWithClient(StoreContract):
    """The contract, with a client handed in; what pymongo thinks of ``fork`` is its own affair."""

    many = 150  # a cursor's first page has 101

    @pytest.fixture
    def clock(self, clock: ManualClock) -> ManualClock:
        return clock

    @pytest.fixture
    def store(self, store: MongoDBStore) -> MongoDBStore:
        return store


# -- round trips


class Commands(CommandListener):
    """The names of the commands that were sent."""

    def __init__(self) -> None:
        self.names: list[str] = []

    def started(self, event: Any) -> None:
        self.names.append(event.command_name)

    def succeeded(self, event: Any) -> None:
        pass

    def failed(self, event: Any) -> None:
        pass


CALLS: dict[str, tuple[Callable[..., Any], str]] = {
    "load": (lambda s, k, v, t: s.load(k), "find"),
    "load nothing": (lambda s, k, v, t: s.load("none"), "find"),
    "replace": (lambda s, k, v, t: s.save(k, b"", expires_at=t, replacing=v), "update"),
    "replace, refused": (lambda s, k, v, t: s.save(k, b"", expires_at=t, replacing=1), "update"),
    "create": (lambda s, k, v, t: s.save("new", b"", expires_at=t, replacing=None), "update"),
    "create, refused": (lambda s, k, v, t: s.save(k, b"", expires_at=t, replacing=None), "update"),
    "end": (lambda s, k, v, t: s.save(k, b"", expires_at=0, replacing=v), "delete"),
    "create ended": (lambda s, k, v, t: s.save("new", b"", expires_at=0, replacing=None), "find"),
    "delete": (lambda s, k, v, t: s.delete(k), "delete"),
    "list": (
        lambda s, k, v, t: s.save_owned(k, b"", expires_at=t, replacing=v, owner="ann", was=None),
        "update",
    ),
    "keys_of": (lambda s, k, v, t: s.keys_of("ann"), "find"),
}


@pytest.mark.parametrize("call", CALLS)
def test_each_operation_is_one_command(
    mongodb_url: str, collection: str, clock: ManualClock, call: str
) -> None:
    """Whatever is there, and whatever the answer."""
    commands, (function, command) = Commands(), CALLS[call]
    with MongoClient(mongodb_url, event_listeners=[commands]) as client:
        store = MongoDBStore(client, database=DATABASE, collection=collection, clock=clock)
        version = store.save("key", b"data", expires_at=clock() + 60, replacing=None)
        commands.names.clear()
        function(store, "key", version, clock() + 60)
        assert commands.names == [command]


def test_indexes_are_made_once_and_only_by_what_creates(
    mongodb_url: str, collection: str, clock: ManualClock
) -> None:
    """A process that only reads never asks for them; one that creates asks once."""
    commands = Commands()
    with MongoClient(mongodb_url, event_listeners=[commands]) as client:
        store = MongoDBStore(client, database=DATABASE, collection=collection, clock=clock)
        store.load("key")
        assert commands.names == ["find"]
        for key in ("a", "b"):
            store.save(key, b"", expires_at=clock() + 60, replacing=None)
        assert set(commands.names[1:-2]) == {"createIndexes"}
        assert commands.names[-2:] == ["update", "update"]


# -- the documents


def test_the_document(store: MongoDBStore, documents: Any, clock: ManualClock) -> None:
    """Four fields; the expiry is a date, rounded up to a millisecond, never before the end."""
    end = 3_900_000_000.0001
    version = store.save("key", b"\0data", expires_at=end, replacing=None)
    document = documents.find_one()
    assert document == {
        "_id": "key",
        "data": b"\0data",
        "version": version,
        "expires_at": datetime(2093, 8, 1, 21, 20, 0, 1000),
    }
    assert type(document["version"]) is Int64 or version < 2**31


@pytest.mark.parametrize("end", [1e12, 1e300, float("inf")])
def test_times_beyond_dates(
    store: MongoDBStore, documents: Any, clock: ManualClock, end: float
) -> None:
    """An end that no date can say is the last one that can be read."""
    store.save("key", b"data", expires_at=end, replacing=None)
    assert documents.find_one()["expires_at"].year == 9999
    assert store.load("key").data == b"data"


LIVE = datetime(2090, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    "foreign",
    [
        {},
        {"data": b"data", "version": 1},
        {"data": b"data", "version": 1, "expires_at": "2090-01-01"},
        {"data": b"data", "version": 1, "expires_at": 4_000_000_000},
        {"data": "data", "version": 1, "expires_at": LIVE},
        {"data": b"data", "version": "1", "expires_at": LIVE},
        {"data": b"data", "expires_at": LIVE},
        {"version": 1, "expires_at": LIVE},
    ],
)
def test_a_foreign_document_is_missing(
    store: MongoDBStore, documents: Any, foreign: dict[str, Any]
) -> None:
    """And it is not overwritten."""
    documents.insert_one({"_id": "key", **foreign})
    before = documents.find_one()
    assert store.load("key") is None
    assert store.save("key", b"ours", expires_at=4e9, replacing=None) is None
    assert store.save("key", b"ours", expires_at=4e9, replacing=2) is None
    assert store.save("key", b"ours", expires_at=0, replacing=None) is None
    assert documents.find_one() == before


def test_the_largest_record(store: MongoDBStore, clock: ManualClock) -> None:
    """max_bytes fits under the longest key; what does not fit is refused and changes nothing."""
    key, end = "k" * 64, clock() + 60
    version = store.save(key, b"x" * store.max_bytes, expires_at=end, replacing=None)
    with pytest.raises(StoreUnavailable):
        store.save(key, b"y" * 17_000_000, expires_at=end, replacing=version)
    assert store.load(key).data == b"x" * store.max_bytes


def test_the_client_s_own_ways_do_not_matter(
    mongodb_url: str, collection: str, clock: ManualClock
) -> None:
    """A client that writes without an answer, reads from anywhere and decodes in its own way."""
    url = f"{mongodb_url}/?w=0&readPreference=nearest&tz_aware=true&uuidRepresentation=javaLegacy"
    with MongoClient(url, document_class=dict) as client:
        store = MongoDBStore(client, database=DATABASE, collection=collection, clock=clock)
        version = store.save("key", b"data", expires_at=clock() + 60, replacing=None)
        assert store.save("key", b"", expires_at=clock() + 60, replacing=None) is None
        assert store.load("key") == (b"data", version)


# -- indexes, purge


def test_ddl_says_what_is_made(mongodb: MongoClient, clock: ManualClock) -> None:
    """One line for each index, with names quoted."""
    store = MongoDBStore(mongodb, database="d", collection='a"b', clock=clock)
    records = 'db.getSiblingDB("d").getCollection("a\\"b")'
    assert store.ddl.splitlines() == [
        records + '.createIndex({"expires_at": 1}, {"expireAfterSeconds": 60})',
        records + '.createIndex({"owner": 1}, {"sparse": true})',
    ]


def has_ttl(documents: Any) -> bool:
    """Whether the server has TTL indexes; FerretDB 1 has not."""
    try:
        documents.create_index("other", expireAfterSeconds=1)
    except OperationFailure:
        return False
    return True


def test_the_indexes(store: MongoDBStore, documents: Any, clock: ManualClock) -> None:
    """On the owner, and on the expiry, with a TTL where the server has that."""
    store.save("key", b"", expires_at=clock() + 60, replacing=None)
    found = documents.index_information().values()
    indexes = {index["key"][0][0]: index.get("expireAfterSeconds") for index in found}
    ttl = 60 if has_ttl(documents) else None
    assert indexes == {"_id": None, "expires_at": ttl, "owner": None}


def test_an_index_that_is_there_already_is_fine(
    store: MongoDBStore, documents: Any, clock: ManualClock
) -> None:
    """Whatever it is called."""
    documents.create_index("expires_at", name="mine")
    assert store.save("key", b"", expires_at=clock() + 60, replacing=None) is not None
    assert set(documents.index_information()) == {"_id_", "mine", "owner_1"}


def test_create_false_makes_no_index(
    mongodb_url: str, collection: str, documents: Any, clock: ManualClock
) -> None:
    """They are the operator's then."""
    url = f"{mongodb_url}/{DATABASE}?collection={collection}&create=false"
    store = MongoDBStore.from_url(url, timeouts=PATIENT, clock=clock)
    store.save("key", b"", expires_at=clock() + 60, replacing=None)
    store.close()
    assert set(documents.index_information()) == {"_id_"}


# -- configuration


def test_the_names_in_the_url(mongodb_url: str) -> None:
    """Database and collection from the URL; without them the library's name and "sessions"."""
    for url, names in (
        ("mongodb://host", ("wsgi_sessions", "sessions")),
        ("mongodb://host/db", ("db", "sessions")),
        ("mongodb://a:1,b:2/db?collection=my%20own&w=1", ("db", "my own")),
    ):
        ddl = MongoDBStore.from_url(url).ddl
        assert f'getSiblingDB("{names[0]}").getCollection("{names[1]}").' in ddl


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("mongodb://host/?colection=x", "colection"),
        ("mongodb://host/?create=perhaps", "'create' is 'perhaps': true or false"),
        ("mongodb://host/?tls=perhaps", "tls"),
        ("mongodb://host/?timeoutMS", "timeoutMS"),
        ("mongodb://user:s3cr3t:9@host", "percent-encoded"),
        ("mongodb://user@d:s3cr3t@host", "percent-encoded"),
        ("mongodb://user:s3cr3t/x@host:port/db", "percent-encoded"),
        ("mongodb://", "mongodb://user:password@host:27017"),
        ("redis://host:port", "mongodb://user:password@host:27017"),
        ("mongodb://h/?authMechanismProperties=AWS_SESSION_TOKEN.s3cr3t", "authMechanismProp"),
    ],
)
def test_a_wrong_url_is_refused_at_once(url: str, says: str) -> None:
    """The message says what is right, and shows no password."""
    with pytest.raises(ConfigurationError, match=says) as caught:
        MongoDBStore.from_url(url)
    assert "s3cr3t" not in str(caught.value)
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


def test_options_in_the_url_win(mongodb_url: str) -> None:
    """The store's own short timeouts are only defaults."""
    store = MongoDBStore(f"{mongodb_url}/?timeoutMS=7000&retryreads=true")
    options = store._connections.current().client.options
    assert (options.timeout, options.retry_reads, options.retry_writes) == (7, True, False)


@pytest.mark.parametrize(
    "client",
    [
        pymongo.AsyncMongoClient(connect=False),
        MongoClient(connect=False)["db"],
        MongoClient(connect=False)["db"]["sessions"],
        b"mongodb://host",
        {"host": "localhost"},
    ],
    ids=lambda client: type(client).__name__,
)
def test_what_is_no_client_is_refused(client: Any) -> None:
    """At construction, not at the first request."""
    with pytest.raises(ConfigurationError, match="MongoClient"):
        MongoDBStore(client)


def test_without_pymongo() -> None:
    """Importing the store needs no pymongo; making one says how to get it."""
    script = """if True:
        import sys
        sys.modules["pymongo"] = sys.modules["bson"] = None
        from wsgi_sessions.stores.mongodb.store import MongoDBStore
        try:
            MongoDBStore()
        except ValueError as error:
            print(error)
    """
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert 'pip install "wsgi-sessions[mongodb]"' in result.stdout


def test_close_leaves_a_client_that_was_handed_in(mongodb: MongoClient) -> None:
    """It belongs to somebody else."""
    MongoDBStore(mongodb, database=DATABASE).close()
    assert mongodb[DATABASE].command("ping")["ok"]


def test_use_after_close_connects_again(mongodb_url: str, collection: str) -> None:
    """And close is fine twice."""
    store = MongoDBStore(f"{mongodb_url}/{DATABASE}", collection=collection, timeouts=PATIENT)
    assert store.load("key") is None
    store.close()
    store.close()
    assert store.load("key") is None
    store.close()


# -- owners


def test_the_document_of_an_owner(store: MongoDBStore, documents: Any, clock: ManualClock) -> None:
    """Two fields more, while it has an owner; a renewal keeps the place in the list."""
    end = clock() + 60
    version = store.save_owned("key", b"1", expires_at=end, replacing=None, owner="ann", was=None)
    first = documents.find_one()
    assert set(first) == {"_id", "data", "version", "expires_at", "owner", "listed_at"}
    clock.advance(1)
    version = store.save_owned(
        "key", b"2", expires_at=end, replacing=version, owner="ann", was="ann"
    )
    assert documents.find_one()["listed_at"] == first["listed_at"]
    store.save_owned("key", b"3", expires_at=end, replacing=version, owner=None, was="ann")
    assert set(documents.find_one()) == {"_id", "data", "version", "expires_at"}


@pytest.mark.parametrize("owner", [None, "bob"])
def test_a_record_over_an_expired_one_has_no_owner_of_it(
    store: MongoDBStore, clock: ManualClock, owner: str | None
) -> None:
    """And what has expired is not listed, before and after."""
    store.save_owned("key", b"", expires_at=clock() + 60, replacing=None, owner="ann", was=None)
    clock.advance(61)
    assert store.keys_of("ann") == []
    end = clock() + 60
    if owner is None:
        assert store.save("key", b"", expires_at=end, replacing=None) is not None
    else:
        assert store.save_owned("key", b"", expires_at=end, replacing=None, owner=owner, was=None)
        assert store.keys_of(owner) == ["key"]
    assert store.keys_of("ann") == []
