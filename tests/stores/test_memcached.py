"""MemcachedStore: the contract over every way to the servers, and what it alone has."""

from __future__ import annotations

import inspect
import math
import secrets
import socket
import subprocess
import sys
import time

import pytest
from pymemcache.client.base import Client, PooledClient
from pymemcache.client.hash import HashClient
from pymemcache.client.retrying import RetryingClient
from pymemcache.serde import CompressedSerde, PickleSerde

from tests.servers.memcached import memcached, start_memcached, three_memcached  # noqa: F401
from tests.servers.process import silent_port
from tests.support.patience import PATIENT, patient_url
from wsgi_sessions.errors import ConfigurationError, SessionTooLarge, StoreUnavailable
from wsgi_sessions.stores import open_store
from wsgi_sessions.stores.memcached import connections, own
from wsgi_sessions.stores.memcached.store import MemcachedStore, _exptime
from wsgi_sessions.testing import StoreContract

DAY = 86400


class Wrapper:
    """A client of the application's own making."""

    def __init__(self, client):
        self._client = client

    def gets(self, key):
        return self._client.gets(key)

    def add(self, key, value, expire, noreply):
        return self._client.add(key, value, expire=expire, noreply=noreply)

    def cas(self, key, value, cas, expire, noreply):
        return self._client.cas(key, value, cas, expire=expire, noreply=noreply)

    def delete(self, key, noreply):
        return self._client.delete(key, noreply=noreply)

    def close(self):
        self._client.close()


@pytest.fixture
def make_store():
    """Make a store with keys of its own, closed at the end with the client it was given."""
    made = []

    def make(given, **options):
        options.setdefault("prefix", secrets.token_hex(4) + ":")
        store = MemcachedStore(given, timeouts=PATIENT, **options)
        made.extend([store] if isinstance(given, (str, list, tuple)) else [store, given])
        return store

    yield make
    for each in made:
        each.close()


@pytest.fixture
def store(memcached, make_store):  # noqa: F811
    return make_store(memcached.address)


@pytest.fixture
def later():
    return time.time() + 3600


class TestContract(StoreContract):
    """One server, by address."""

    late = 4.0  # three, and a tick of a busy server

    @pytest.fixture
    def store(self, memcached, make_store):  # noqa: F811
        return make_store(memcached.address)


class TestContractOverOtherWays(StoreContract):
    """Other ways to the servers. What waits for a server's clock was tested with one."""

    test_what_has_expired_is_missing_for_every_operation = None
    test_the_last_accepted_time_counts = None
    test_nothing_expires_early = None

    @pytest.fixture(
        params=["three", "Client", "Wrapper", "PooledClient", "HashClient", "HashClient, pooled"]
    )
    def store(self, request, memcached, three_memcached, make_store):  # noqa: F811
        three = [server.address for server in three_memcached]
        ways = {
            "three": lambda: three,
            "Client": lambda: Client(memcached.address),
            "Wrapper": lambda: Wrapper(Client(memcached.address)),
            "PooledClient": lambda: PooledClient(memcached.address, key_prefix=b"app:"),
            "HashClient": lambda: HashClient(three),
            "HashClient, pooled": lambda: HashClient(three, use_pooling=True),
        }
        return make_store(ways[request.param]())


def test_a_unix_socket(start_memcached, make_store, later):  # noqa: F811
    """A path is an address."""
    server = start_memcached(unix=True)
    store = make_store(server.address)
    assert store.save("key", b"data", expires_at=later, replacing=None) is not None
    assert store.load("key").data == b"data"


def test_a_name_with_several_addresses(memcached, make_store, monkeypatch):  # noqa: F811
    """localhost may be ::1 first, where nothing listens; the address that accepts is used."""
    with silent_port() as silent:
        addresses = [
            (socket.AF_INET, socket.SOCK_STREAM, 0, "", ("127.0.0.1", port))
            for port in (silent, memcached.port, silent)
        ]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: addresses)
        assert make_store("name:1").load("key") is None


# -- round trips


COUNTERS = ("cmd_get", "cmd_set", "cas_hits", "cas_misses", "cmd_touch", "delete_hits")


@pytest.mark.parametrize(
    ("operation", "expected"),
    [
        (lambda store, end: store.load("key"), {"cmd_get": 1}),
        (lambda store, end: store.load("missing"), {"cmd_get": 1}),
        (
            lambda store, end: store.save("new", b"", expires_at=end, replacing=None),
            {"cmd_set": 1},
        ),
        (
            lambda store, end: store.save("key", b"", expires_at=0, replacing=None),
            {"cmd_set": 1},
        ),
        (lambda store, end: store.delete("key"), {"delete_hits": 1}),
        (lambda store, end: store.save("key", b"", expires_at=end, replacing="other"), {}),
    ],
)
def test_an_operation_is_one_command(memcached, store, later, operation, expected):  # noqa: F811
    """Counted at the server."""
    store.save("key", b"data", expires_at=later, replacing=None)
    assert commands(memcached, lambda: operation(store, later)) == expected


@pytest.mark.parametrize("end", [0, 3600])
def test_replacing_what_was_loaded_is_one_command(memcached, store, later, end):  # noqa: F811
    """Also where it deletes."""
    store.save("key", b"data", expires_at=later, replacing=None)
    version = store.load("key").version
    counted = commands(
        memcached,
        lambda: store.save("key", b"", expires_at=end and later, replacing=version),
    )
    assert counted == {"cmd_set": 1, "cas_hits": 1}


def test_replacing_what_was_saved_needs_the_token_first(memcached, store, later):  # noqa: F811
    """Memcached does not tell the token of what it stores: the one case of two commands."""
    version = store.save("key", b"data", expires_at=later, replacing=None)
    counted = commands(
        memcached, lambda: store.save("key", b"", expires_at=later, replacing=version)
    )
    assert counted == {"cmd_get": 1, "cmd_set": 1, "cas_hits": 1}


def commands(server, function):
    before = server.stats()
    function()
    after = server.stats()
    counted = {name: after[name] - before[name] for name in COUNTERS}
    return {name: count for name, count in counted.items() if count}


# -- several servers


def test_keys_are_spread_and_stay(three_memcached, make_store, later):  # noqa: F811
    """Every server has its share, and finds it whatever the order of the servers."""
    addresses = [server.address for server in three_memcached]
    store = make_store(addresses, prefix="spread:")
    keys = [f"key-{number}" for number in range(90)]
    for key in keys:
        store.save(key, key.encode(), expires_at=later, replacing=None)
    for server in three_memcached:
        with server.client() as client:
            found = client.get_many([f"spread:{key}" for key in keys])
        assert len(found) > 5  # 30; so few once in a billion runs
    other = make_store(",".join(reversed(addresses)), prefix="spread:")
    assert [other.load(key).data for key in keys] == [key.encode() for key in keys]


def test_a_hash_client_says_where_a_key_is(three_memcached, make_store, later):  # noqa: F811
    """The store and the client that it was given agree."""
    client = HashClient([server.address for server in three_memcached])
    store = make_store(client, prefix="agree:")
    for number in range(30):
        store.save(f"key-{number}", b"data", expires_at=later, replacing=None)
        assert client.get(f"agree:key-{number}").endswith(b"data")


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_server_that_a_hash_client_gave_up(three_memcached, make_store, later, when):  # noqa: F811
    """Its keys stay its keys, whenever the client found it dead."""
    addresses = [server.address for server in three_memcached]
    client = HashClient(addresses)
    keys = [f"key-{number}" for number in range(30)]
    prefix = f"given-up-{when}:"
    if when == "before":
        client.hasher.remove_node(addresses[0])
    store = make_store(client, prefix=prefix)
    for key in keys:
        store.save(key, b"data", expires_at=later, replacing=None)
    if when == "after":
        client.hasher.remove_node(addresses[0])
    assert all(store.load(key) for key in keys)
    other = make_store(HashClient(addresses), prefix=prefix)
    assert all(other.load(key) for key in keys)


# -- limits


def test_the_largest_record_fits(memcached, make_store, later):  # noqa: F811
    """With the longest key; and one byte more is not even sent."""
    store = make_store(memcached.address, prefix="p" * 186)
    key = "k" * 64
    version = store.save(key, bytes(store.max_bytes), expires_at=later, replacing=None)
    assert version is not None
    too_large = bytes(store.max_bytes + 1)

    def save():
        with pytest.raises(SessionTooLarge):
            store.save(key, too_large, expires_at=later, replacing=version)

    assert commands(memcached, save) == {}
    assert len(store.load(key).data) == store.max_bytes


def test_a_server_with_a_lower_limit(start_memcached, make_store, later):  # noqa: F811
    """What it refuses is too large, and what was there stays."""
    store = make_store(start_memcached("-I", "512k").address)
    version = store.save("key", b"old", expires_at=later, replacing=None)
    for key, replacing in (("key", version), ("other", None)):
        with pytest.raises(SessionTooLarge):
            store.save(key, bytes(700_000), expires_at=later, replacing=replacing)
    assert store.load("key").data == b"old"
    assert store.load("other") is None


def test_a_server_with_a_higher_limit(start_memcached, make_store, later):  # noqa: F811
    """max_bytes goes up to it."""
    store = make_store(start_memcached("-I", "2m").address, max_bytes=2 * 2**20 - 512)
    data = secrets.token_bytes(store.max_bytes)
    store.save("key", data, expires_at=later, replacing=None)
    assert store.load("key").data == data


def test_prefixes_keep_stores_apart(memcached, make_store, later):  # noqa: F811
    """Two applications can share a server."""
    one, two = make_store(memcached.address), make_store(memcached.address)
    one.save("key", b"one", expires_at=later, replacing=None)
    assert two.load("key") is None


@pytest.mark.parametrize("prefix", ["a b", "a\n", "a\0", "é", "a\x7f", "p" * 187])
def test_a_prefix_that_cannot_be_part_of_a_key(prefix):
    """Refused when the store is made."""
    with pytest.raises(ConfigurationError, match="prefix"):
        MemcachedStore(prefix=prefix)


def test_the_prefix_of_a_client_counts(memcached):  # noqa: F811
    """Both together have to fit."""
    client = Client(memcached.address, key_prefix=b"p" * 100)
    with pytest.raises(ConfigurationError, match="at most 86"):
        MemcachedStore(client, prefix="p" * 87)


@pytest.mark.parametrize(
    ("left", "expected"),
    [
        (-1, -1),
        (0, -1),
        (0.001, 3),
        (1, 3),
        (1.001, 4),
        (30 * DAY - 2, 30 * DAY),
        (30 * DAY - 1.5, "date"),
        (30 * DAY, "date"),
        (31 * DAY, "date"),
        (100 * 365 * DAY, 0),
        (math.inf, 0),
    ],
)
def test_times_as_memcached_wants_them(monkeypatch, left, expected):
    """Seconds from now, dates beyond 30 days, and no end beyond what a date can say; two more than
    the end, since a server's clock may go on by two while one passes."""
    now = 1_800_000_000.25
    monkeypatch.setattr("wsgi_sessions.stores.memcached.store.system_clock", lambda: now)
    assert _exptime(now + left) == (math.ceil(now + left) + 2 if expected == "date" else expected)


def test_a_date_beyond_2038(store):
    """The server would take it for one before 1970."""
    for end in (2**31 - 1, 2**31, 2**32, 1e300, math.inf):
        key = secrets.token_hex(8)
        version = store.save(key, b"data", expires_at=end, replacing=None)
        assert store.save(key, b"more", expires_at=end, replacing=version) is not None
        assert store.load(key).data == b"more"


# -- what others did


@pytest.mark.parametrize(
    "value", [b"", b"foreign", b"wss1", b"wss1short", b"\x80\x04N.", b"long enough, but foreign"]
)
def test_what_the_store_did_not_write(memcached, make_store, later, value):  # noqa: F811
    """Missing when loaded, in the way of a creation, and deleted like anything else."""
    store = make_store(memcached.address, prefix="foreign:")
    with memcached.client() as client:
        client.set("foreign:key", value)
        version = store.save("other", b"", expires_at=later, replacing=None)
        assert store.load("key") is None
        assert store.save("key", b"data", expires_at=later, replacing=None) is None
        assert store.save("key", b"data", expires_at=later, replacing=version) is None
        assert client.get("foreign:key") == value
        store.delete("key")
        assert client.get("foreign:key") is None
    store.delete("other")


def test_a_server_without_cas(start_memcached, make_store, later):  # noqa: F811
    """It would accept every save: an error, not a lost update."""
    store = make_store(start_memcached("-C").address)
    version = store.save("key", b"data", expires_at=later, replacing=None)
    with pytest.raises(StoreUnavailable, match="-C"):
        store.load("key")
    with pytest.raises(StoreUnavailable, match="-C"):
        store.save("key", b"data", expires_at=later, replacing=version)


# -- clients handed in


class UpperSerde:
    def serialize(self, key, value):
        return value.upper(), 0

    def deserialize(self, key, value, flags):
        return value


class WithoutReply(Wrapper):
    def delete(self, key):
        return self._client.delete(key)


@pytest.mark.parametrize(
    ("client", "message"),
    [
        (lambda at: Client(at, ignore_exc=True), "ignore_exc"),
        (lambda at: PooledClient(at, ignore_exc=True), "ignore_exc"),
        (lambda at: HashClient([at], ignore_exc=True), "ignore_exc"),
        (lambda at: RetryingClient(Client(at)), "RetryingClient"),
        (lambda at: Client(at, serde=PickleSerde()), "serde"),
        (lambda at: Client(at, serde=CompressedSerde()), "serde"),
        (lambda at: Client(at, serde=UpperSerde()), "serde"),
        (lambda at: Client(at, deserializer=lambda key, value, flags: value.decode()), "serde"),
        (lambda at: PooledClient(at, serde=PickleSerde()), "serde"),
        (lambda at: HashClient([at], serde=PickleSerde()), "serde"),
        (lambda at: WithoutReply(Client(at)), "WithoutReply.delete"),
        (lambda at: socket, "module"),
        (lambda at: None, "gets"),
    ],
)
def test_a_client_that_cannot_be_trusted(memcached, client, message):  # noqa: F811
    """Refused when the store is made, by a message that names the reason."""
    with pytest.raises(ConfigurationError, match=message):
        MemcachedStore(client(memcached.address))


def sockets(client):
    """Of its connections, if it keeps any."""
    pool = getattr(client, "client_pool", None)
    return [each.sock for each in (pool.free if pool else [client])]


@pytest.mark.parametrize("kind", [Client, PooledClient])
def test_a_client_handed_in_stays_open(memcached, make_store, later, kind):  # noqa: F811
    """It is the application's: the very connection is the next one's too."""
    client = kind(memcached.address)
    store = make_store(client)
    store.save("key", b"data", expires_at=later, replacing=None)
    [connection] = sockets(client)
    store.close()
    assert sockets(client) == [connection]
    assert connection.getpeername() == ("127.0.0.1", memcached.port)
    assert store.load("key").data == b"data"
    assert sockets(client) == [connection]


def test_close(memcached, make_store):  # noqa: F811
    """The store's own connections are closed, and opened again when it is used."""
    store = make_store(memcached.address)
    store.load("key")
    connection = store._servers._only._idle[0].sock
    store.close()
    assert not connection.is_open()
    assert store.load("key") is None


def test_an_answer_in_pieces_says_the_same(memcached, make_store, later, monkeypatch):  # noqa: F811
    """Wherever the first one ends: between two lines, within one, within the data."""
    monkeypatch.setattr(connections, "CHUNK", 1)  # as much as is asked for
    store = make_store(memcached.address)
    for size in range(1, 80):
        monkeypatch.setattr(own, "CHUNK", size)
        key = f"key{size}"
        assert store.load(key) is None
        first = store.save(key, b"data\r\nEND\r\n", expires_at=later, replacing=None)
        assert store.load(key) == (b"data\r\nEND\r\n", first)
        assert store.save(key, b"other", expires_at=later, replacing=None) is None
        second = store.save(key, b"new", expires_at=later, replacing=store.load(key).version)
        assert store.save(key, b"other", expires_at=later, replacing=first) is None
        assert store.load(key) == (b"new", second)
        loaded = store.load(key).version
        store.delete(key)
        assert store.save(key, b"other", expires_at=later, replacing=loaded) is None


# -- making one


def test_open_store(memcached, later):  # noqa: F811
    """By URL, with options."""
    url = f"memcached://{memcached.address}/?prefix=%C3%9Crl:"
    with pytest.raises(ConfigurationError, match="prefix"):
        open_store(url)
    store = open_store(patient_url(url.replace("%C3%9C", secrets.token_hex(4))))
    assert store.save("key", b"data", expires_at=later, replacing=None) is not None
    store.close()


@pytest.mark.parametrize(
    ("url", "labels", "prefix", "max_bytes"),
    [
        ("memcached://", ["127.0.0.1:11211"], "session:", 2**20 - 512),
        ("memcached:///", ["127.0.0.1:11211"], "session:", 2**20 - 512),
        ("Memcached://one", ["one:11211"], "session:", 2**20 - 512),
        ("memcached://one:1,two/?prefix=x", ["one:1", "two:11211"], "x", 2**20 - 512),
        ("memcached://[::1]:5,[fe80::1]?max_bytes=7", ["::1:5", "fe80::1:11211"], "session:", 7),
        ("memcached:///run/m%20c.sock?prefix=", ["/run/m c.sock"], "", 2**20 - 512),
    ],
)
def test_urls(url, labels, prefix, max_bytes):
    """One host, several, IPv6, a socket."""
    store = MemcachedStore.from_url(url)
    assert [server.label for server in store._servers._servers.values()] == labels
    assert (store._prefix, store.max_bytes) == (prefix, max_bytes)


@pytest.mark.parametrize(
    "url",
    [
        "memcached://host/path",
        "memcached://user:password@host",
        "memcached://host:port",
        "memcached://,",
        "memcached://host?prefix=a&prefix=b",
        "memcached://host?timeout=3",
        "memcached://host?max_bytes=1k",
    ],
)
def test_urls_that_are_wrong(url):
    """Refused; a password is not repeated."""
    with pytest.raises(ConfigurationError) as caught:
        open_store(url)
    assert "password" not in str(caught.value)


@pytest.mark.parametrize("servers", ["", "memcached://host", "host:port", [], [1], [("host",)]])
def test_addresses_that_are_wrong(servers):
    """Refused when the store is made."""
    with pytest.raises(ConfigurationError):
        MemcachedStore(servers)


def test_localhost_is_the_default():
    """On Memcached's port; a pair of host and port is one server."""
    assert MemcachedStore()._servers.of("key").label == "127.0.0.1:11211"
    assert MemcachedStore(("host", 5))._servers.of("key").label == "host:5"


def test_it_may_evict():
    """The manager keeps no signing key in it."""
    assert MemcachedStore.evicts is True


def test_without_pymemcache():
    """The module can be imported; making a store says what to install."""
    script = inspect.cleandoc(
        """
        import sys
        sys.modules["pymemcache"] = None
        from wsgi_sessions.errors import ConfigurationError
        from wsgi_sessions.stores.memcached.store import MemcachedStore
        for given in ("host", object()):
            try:
                MemcachedStore(given)
            except ConfigurationError as error:
                assert 'pip install "wsgi-sessions[memcached]"' in str(error)
            else:
                raise AssertionError
        """
    )
    subprocess.run([sys.executable, "-W", "error", "-c", script], check=True)
