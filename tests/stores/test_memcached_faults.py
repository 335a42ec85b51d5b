"""MemcachedStore on a bad day: whatever happens, a fault is not an answer, and it is soon over."""

from __future__ import annotations

import contextlib
import inspect
import secrets
import signal
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from pymemcache.client.base import Client, PooledClient
from pymemcache.client.hash import HashClient
from pymemcache.pool import ObjectPool

import wsgi_sessions.stores.memcached.connections as connections
import wsgi_sessions.stores.memcached.store as operations
from tests.servers.memcached import memcached, start_memcached  # noqa: F401
from tests.servers.process import silent_port
from tests.servers.proxy import FaultProxy
from tests.support.patience import PATIENT, answered, wait_until
from wsgi_sessions.errors import StoreUnavailable
from wsgi_sessions.stores import Timeouts
from wsgi_sessions.stores.memcached.store import MemcachedStore
from wsgi_sessions.testing import ManualClock
from wsgi_sessions.testing.forks import forked

LATER = time.time() + 86_400

OPERATIONS = {
    "load": lambda store, key, version: store.load(key),
    "create": lambda store, key, version: store.save(key, b"", expires_at=LATER, replacing=None),
    "replace": lambda store, key, version: store.save(
        key, b"new", expires_at=LATER, replacing=version
    ),
    "replace, nothing left": lambda store, key, version: store.save(
        key, b"", expires_at=0, replacing=version
    ),
    "delete": lambda store, key, version: store.delete(key),
}


@pytest.fixture(params=OPERATIONS)
def operation(request):
    return OPERATIONS[request.param]


@pytest.fixture
def proxy(memcached):  # noqa: F811
    with FaultProxy(memcached.port) as proxy:
        yield proxy


@pytest.fixture
def store(proxy):
    store = patient_store(f"127.0.0.1:{proxy.port}")
    yield store
    store.close()


@pytest.fixture
def direct(memcached):  # noqa: F811
    """The same records, past the proxy."""
    store = patient_store(memcached.address)
    yield store
    store.close()


def new_key():
    return secrets.token_urlsafe(16)


def patient_store(server, **options):
    """A store that waits as long as a busy machine may need; what is about limits is done
    :func:`within` others."""
    return MemcachedStore(server, timeouts=PATIENT, **options)


@contextlib.contextmanager
def within(store, timeouts=Timeouts(), total=None):  # noqa: B008 - it is frozen
    """*store* has other limits here, by default those of stores, with its idle connections."""
    before = store._total
    limit(store, timeouts, total or 2 * timeouts.answer)
    try:
        yield
    finally:
        limit(store, PATIENT, before)


def limit(store, timeouts, total):
    store._total = total
    for server in store._servers._servers.values():
        server._timeouts = timeouts
        for client in server._idle:
            client.sock._answer = timeouts.answer


@contextlib.contextmanager
def soon_unavailable(store):
    """StoreUnavailable, by the store's own limits, which make it a second; a busy machine has ten.
    Without limits it would take forever, and what exactly they are is asked with a clock that
    stands still."""
    start = time.monotonic()
    with within(store), pytest.raises(StoreUnavailable) as caught:
        yield caught
    assert time.monotonic() - start < 10


# -- limits


class Slow:
    """A connection whose steps take so long, or as long as they may."""

    def __init__(self, clock, connect=0, send=0, answer=0, brings=b""):
        self.clock, self.brings = clock, brings
        self.connect = lambda _address: self.take(connect)
        self.sendall = lambda _data: self.take(send)
        self.recv = lambda _size, _flags=0: self.take(answer)

    def take(self, seconds):
        self.clock.advance(min(seconds, self.timeout))
        assert self.clock() < 60, "it goes on and on"
        if seconds >= self.timeout:
            raise TimeoutError
        return self.brings

    def settimeout(self, seconds):
        self.timeout = seconds

    def setsockopt(self, *_):
        pass

    def close(self):
        pass


EVER = float("inf")


@pytest.fixture
def seconds(monkeypatch):
    """How long an operation waits where the connections are :class:`Slow`."""

    def seconds(operation, tls_context=None, **way):
        clock = ManualClock(0)
        store = MemcachedStore(("127.0.0.1", 1), tls_context=tls_context)
        version = saved_elsewhere()
        with monkeypatch.context() as patch:
            patch.setattr(socket, "socket", lambda *_: Slow(clock, **way))
            patch.setattr(operations, "monotonic", clock)
            patch.setattr(connections, "monotonic", clock)
            with pytest.raises(StoreUnavailable):
                operation(store, "key", version)
        return pytest.approx(clock(), abs=0.01)

    return seconds


@pytest.mark.parametrize(
    ("way", "once", "save"),
    [
        ({"connect": EVER}, 0.25, 0.5),
        ({"send": EVER}, 0.5, 1),
        ({"answer": EVER}, 0.5, 1),
        ({"answer": 0.05, "brings": b"V"}, 0.5, 1),
        ({"answer": 0.0005, "brings": b"V"}, 0.5, 1),
        ({"connect": 0.2, "answer": 0.05, "brings": b"V"}, 0.7, 1),
        ({"connect": 0.2, "send": 0.3, "answer": EVER}, 0.7, 1),
    ],
    ids=str,
)
def test_all_waits_together(seconds, operation, way, once, save):
    """A quarter of a second to connect, half a second for an answer, however the bytes come, and
    one for a save, which looks what became of it."""
    saves = [OPERATIONS[name] for name in ("create", "replace", "replace, nothing left")]
    assert seconds(operation, **way) == (save if operation in saves else once)


@pytest.mark.parametrize("name", ["load", "delete"])
def test_what_is_sent_again_has_the_time_that_is_left(seconds, name):
    """The connection is closed after six tenths of a second; four are left."""
    assert seconds(OPERATIONS[name], connect=0.2, answer=0.4) == 1


def test_a_second_handshake_has_the_time_that_is_left(seconds):
    """A save looks what became of it over a connection whose server says nothing of TLS."""

    class Silent:
        def wrap_socket(self, connection, server_hostname):
            connection.take(EVER)

    assert seconds(OPERATIONS["create"], Silent(), connect=0.2) == 1


def test_several_addresses_share_the_time_to_connect(seconds, monkeypatch):
    """None of them answers."""
    addresses = [(socket.AF_INET, socket.SOCK_STREAM, 0, "", ("127.0.0.1", 1))] * 4
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: addresses)
    assert seconds(OPERATIONS["load"], connect=EVER) == 0.25


# -- no server


@contextlib.contextmanager
def serving(answer):
    """The address of a server that hands each connection to *answer*, and closes it."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve():
            with contextlib.suppress(OSError):
                while True:
                    connection, _ = listener.accept()
                    with connection:
                        answer(connection)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield listener.getsockname()
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()


def test_refused(operation):
    """Nothing listens there."""
    with silent_port() as port:
        store = patient_store(("127.0.0.1", port))
        with soon_unavailable(store):
            operation(store, "key", saved_elsewhere())


def test_no_such_socket(tmp_path):
    """Nor at a path."""
    store = patient_store(str(tmp_path / "memcached.sock"))
    with soon_unavailable(store):
        store.load("key")


def test_no_such_host():
    """The resolver's error is one of the store's."""
    with pytest.raises(StoreUnavailable):
        patient_store("host.invalid").load("key")


def test_connecting_takes_too_long():
    """A listener whose queue is full does not answer at all."""
    with socket.socket() as listener, contextlib.ExitStack() as queue:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(3):
            waiting = queue.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(listener.getsockname())
        store = patient_store(listener.getsockname())
        with soon_unavailable(store):
            store.load("key")


def test_something_else_listens_there():
    """An answer that is not Memcached's is an error, and is not repeated in it."""

    def answer(connection):
        connection.recv(1000)
        connection.sendall(b"HTTP/1.1 400 hidden\r\n\r\n")

    with serving(answer) as address:
        store = patient_store(address)
        for operation in (OPERATIONS["load"], OPERATIONS["create"]):
            with pytest.raises(StoreUnavailable) as caught:
                operation(store, "key", None)
            assert "hidden" not in str(caught.value)
            assert caught.value.__cause__ is None


def saved_elsewhere():
    """A version that only looks as if it were known."""
    return operations._Version(bytes(8), b"1", time.monotonic())


# -- a server that stops


def test_stalled(start_memcached, operation):  # noqa: F811
    """SIGSTOP. Afterwards it goes on, and nobody gets an earlier answer."""
    server = start_memcached()
    store, key, other = patient_store(server.address), new_key(), new_key()
    store.save(key, b"data", expires_at=LATER, replacing=None)
    store.save(other, b"other", expires_at=LATER, replacing=None)
    version = store.load(key).version
    server.stall()
    with soon_unavailable(store):
        operation(store, key, version)
    server.go_on()
    assert store.load(other).data == b"other"
    assert store.load("missing") is None
    store.close()


def test_many_wait_at_the_same_time(start_memcached, monkeypatch):  # noqa: F811
    """No caller waits for another's timeout: nobody's begins before everybody waits."""
    server = start_memcached()
    store = patient_store(server.address)
    server.stall()
    everybody, recv = threading.Barrier(8), connections.Socket.recv

    def recv_together(*args):
        everybody.wait(30)
        return recv(*args)

    def load(number):
        with pytest.raises(StoreUnavailable):
            store.load("key")

    with monkeypatch.context() as patch, within(store), ThreadPoolExecutor(8) as threads:
        patch.setattr(connections.Socket, "recv", recv_together)
        list(threads.map(load, range(8)))
    assert not everybody.broken
    server.go_on()
    assert store.load("key") is None
    store.close()


def test_bytes_that_come_too_slowly(store, direct, proxy):
    """Each in time, all together not."""
    key = new_key()
    direct.save(key, bytes(1_000_000), expires_at=LATER, replacing=None)
    proxy.delay(0.2)
    with soon_unavailable(store):
        store.load(key)
    proxy.restore()
    assert store.load(key).data == bytes(1_000_000)


def test_all_steps_together(store, direct, proxy):
    """A save that has to ask first and to look afterwards has one limit for all of that."""
    key = new_key()
    version = store.save(key, b"data", expires_at=LATER, replacing=None)
    token = direct.load(key).version.token.decode()
    asked = f"VALUE session:{key} 0 16 {token}\r\nwss1........data\r\nEND\r\n"
    proxy.delay(1)
    proxy.cut_reply_after(len(asked) + 2)
    with within(store, PATIENT, total=2.9), pytest.raises(StoreUnavailable):
        store.save(key, b"new", expires_at=LATER, replacing=version)
    proxy.restore()
    assert direct.load(key).data == b"new"


def test_large_data_that_nobody_reads(start_memcached):  # noqa: F811
    """Sending it takes no longer either."""
    server = start_memcached()
    store = patient_store(server.address)
    store.load("key")
    server.stall()
    with soon_unavailable(store):
        store.save("key", bytes(store.max_bytes), expires_at=LATER, replacing=None)
    server.go_on()
    store.close()


# -- a connection that ends

REPLY = len(b"VALUE session: 0 16 1\r\nwss1........data\r\nEND\r\n") + 22


@pytest.mark.parametrize("stop", [False, True])
@pytest.mark.parametrize("count", [0, 1, 5, 8, 35, 45, 60, REPLY - 2])
def test_load_is_never_a_part(store, direct, proxy, count, stop):
    """Cut or stalled, it is sent again over a new connection."""
    key, other = new_key(), new_key()
    direct.save(key, b"data", expires_at=LATER, replacing=None)
    direct.save(other, b"other", expires_at=LATER, replacing=None)
    assert store.load(other).data == b"other"
    if stop:
        proxy.stop_reply_after(count)
    else:
        proxy.cut_reply_after(count)
    with within(store) if stop else contextlib.nullcontext():  # for the reply that does not come
        assert answered(lambda: store.load(key)).data == b"data"
    assert store.load(other).data == b"other"
    assert store.load(key).data == b"data"


FAULTS = {
    "request cut at once": lambda proxy: proxy.cut_request_after(0),
    "request cut": lambda proxy: proxy.cut_request_after(20),
    "request cut in the data": lambda proxy: proxy.cut_request_after(60),
    "reply cut at once": lambda proxy: proxy.cut_reply_after(0),
    "reply cut": lambda proxy: proxy.cut_reply_after(3),
    "reply cut at its end": lambda proxy: proxy.cut_reply_after(7),
    "reply stops at once": lambda proxy: proxy.stop_reply_after(0),
    "reply stops": lambda proxy: proxy.stop_reply_after(3),
}


@pytest.fixture(params=FAULTS)
def fault(request):
    return request.param


def arrived(fault):
    return fault.startswith("reply")


def awaited(store):
    """The answer that does not come ends the wait; there is all the time to look for it."""
    return within(store, Timeouts(connect=30, answer=1.5), total=30)


def test_create_whose_reply_was_lost(store, direct, proxy, fault):
    """It finds out: accepted under a version that is good, or an error and nothing is there."""
    key = new_key()
    store.load(key)
    FAULTS[fault](proxy)
    if arrived(fault):
        with awaited(store):
            version = store.save(key, bytes(range(100)), expires_at=LATER, replacing=None)
        assert version == direct.load(key).version
        assert store.save(key, b"next", expires_at=LATER, replacing=version) is not None
    else:
        with pytest.raises(StoreUnavailable):
            store.save(key, bytes(range(100)), expires_at=LATER, replacing=None)
        assert direct.load(key) is None


def test_create_that_was_refused_and_whose_reply_was_lost(store, direct, proxy):
    """It cannot know that it was not stored and then replaced: an error."""
    key = new_key()
    direct.save(key, b"first", expires_at=LATER, replacing=None)
    store.load("missing")
    proxy.cut_reply_after(0)
    with pytest.raises(StoreUnavailable):
        store.save(key, b"second", expires_at=LATER, replacing=None)
    assert direct.load(key).data == b"first"


def test_replace_whose_reply_was_lost(store, direct, proxy, fault):
    """It finds out: accepted, or an error and the old data is there."""
    key = new_key()
    direct.save(key, b"old", expires_at=LATER, replacing=None)
    version = store.load(key).version
    FAULTS[fault](proxy)
    if arrived(fault):
        with awaited(store):
            newer = store.save(key, bytes(range(100)), expires_at=LATER, replacing=version)
        assert newer == direct.load(key).version
        assert store.save(key, b"next", expires_at=LATER, replacing=newer) is not None
    else:
        with pytest.raises(StoreUnavailable):
            store.save(key, bytes(range(100)), expires_at=LATER, replacing=version)
        assert direct.load(key).data == b"old"


def test_what_cannot_be_found_out(store, direct, proxy):
    """Gone, but whether by this store nobody can know: an error, and no half of anything."""
    key = new_key()
    direct.save(key, b"data", expires_at=LATER, replacing=None)
    version = store.load(key).version
    proxy.cut_reply_after(0)
    with pytest.raises(StoreUnavailable):
        OPERATIONS["replace, nothing left"](store, key, version)
    assert direct.load(key) is None


@pytest.mark.parametrize("count", [0, 3])
@pytest.mark.parametrize("direction", ["request", "reply"])
def test_a_deletion_is_sent_again(store, direct, proxy, direction, count):
    """Twice does what once does."""
    key = new_key()
    direct.save(key, b"data", expires_at=LATER, replacing=None)
    store.load(key)
    cut = proxy.cut_reply_after if direction == "reply" else proxy.cut_request_after
    cut(count)
    store.delete(key)
    assert direct.load(key) is None


def test_once_more_and_no_more():
    """A server that closes every connection is not asked forever."""
    asked = []

    def answer(connection):
        asked.append(connection.recv(1000))

    with serving(answer) as address, pytest.raises(StoreUnavailable):
        patient_store(address).load("key")
    assert asked == [b"gets session:key\r\n"] * 2


def test_a_full_pool_whose_idle_connections_others_took(memcached, monkeypatch):  # noqa: F811
    """Between looking for them and closing them: what is reported is what happened."""
    client = PooledClient(memcached.address, max_pool_size=1)
    store = patient_store(client)
    one = client.client_pool.get()
    monkeypatch.setattr(ObjectPool, "free", property(lambda _: (one,)))
    monkeypatch.setattr(store._servers._only, "run", raise_reset)
    with pytest.raises(StoreUnavailable, match="reset"):
        store.save("key", b"", expires_at=LATER, replacing=None)
    one.close()


def raise_reset(*_, **__):
    raise ConnectionResetError("reset")


# -- a server that is gone, and comes back


def test_killed_and_started_again(start_memcached, operation):  # noqa: F811
    """Unavailable while it is down. Then it works at once, although the connections were old."""
    server = start_memcached()
    store, key = patient_store(server.address), new_key()
    store.save(key, b"data", expires_at=LATER, replacing=None)
    version = store.load(key).version
    server.kill()
    with soon_unavailable(store):
        operation(store, key, version)
    server.start()
    assert store.load(key) is None
    assert store.save(key, b"anew", expires_at=LATER, replacing=None) is not None
    store.close()


@pytest.mark.parametrize("name", OPERATIONS)
def test_a_restart_that_nobody_noticed(start_memcached, name):  # noqa: F811
    """All idle connections are dead, and no operation fails because of that."""
    server = start_memcached()
    store, key = patient_store(server.address), new_key()
    with ThreadPoolExecutor(4) as threads:
        barrier = threading.Barrier(4)
        list(threads.map(lambda _: (barrier.wait(), store.load(key)), range(4)))
    store.save(key, b"data", expires_at=LATER, replacing=None)
    version = store.load(key).version
    server.kill()
    server.start()
    result = OPERATIONS[name](store, key, version)
    assert bool(result) is (name == "create")
    store.close()


@pytest.mark.parametrize("by", ["load", "save"])
def test_a_version_from_before_a_restart(start_memcached, by):  # noqa: F811
    """The server counts from 1 again; the same token is not the same version."""
    server = start_memcached()
    store = patient_store(server.address)
    version = store.save("key", b"old", expires_at=LATER, replacing=None)
    old = store.load("key").version
    server.kill()
    server.start()
    patient_store(server.address).close()
    store.save("key", b"new", expires_at=LATER, replacing=None)
    assert store.load("key").version.token == old.token
    outdated = old if by == "load" else version
    assert store.save("key", b"lost", expires_at=LATER, replacing=outdated) is None
    assert store.load("key").data == b"new"
    store.close()


@pytest.mark.parametrize("handed_in", [None, Client, PooledClient])
def test_one_of_several_is_down(start_memcached, handed_in):  # noqa: F811
    """Its keys are unavailable, for as long as it is down; the others are what they were; and none
    moves to another server, where it would be missing now, and double later."""
    servers = [start_memcached() for _ in range(3)]
    addresses = [server.address for server in servers]
    client = handed_in and HashClient(
        addresses, use_pooling=handed_in is PooledClient, connect_timeout=30, timeout=30
    )
    store = patient_store(client or addresses)
    keys = [new_key() for _ in range(40)]
    for key in keys:
        store.save(key, key.encode(), expires_at=LATER, replacing=None)
    servers[0].kill()
    for _ in range(4):
        down = 0
        for key in keys:
            try:
                assert store.load(key).data == key.encode()
            except StoreUnavailable:
                down += 1
                with pytest.raises(StoreUnavailable):
                    store.save(key, b"", expires_at=LATER, replacing=None)
                with pytest.raises(StoreUnavailable):
                    store.delete(key)
        assert 0 < down < 40
    servers[0].start()
    found = [store.load(key) for key in keys]
    assert found.count(None) == down
    assert all(
        each is None or each.data == key.encode() for each, key in zip(found, keys, strict=True)
    )
    (client or store).close()


# -- a server that is full


@pytest.mark.parametrize("size", [1_000, 100_000, 600_000])
def test_full(start_memcached, size):  # noqa: F811
    """Without eviction it refuses; what is stored stays, and can still be deleted."""
    server = start_memcached("-m", "4", "-M", "-o", "slab_automove=0")  # else it may find room
    store = patient_store(server.address)
    versions = {}

    def fill():
        for number in range(10_000):
            key = f"key-{number}"
            versions[key] = store.save(key, b"a" * size, expires_at=LATER, replacing=None)

    with pytest.raises(StoreUnavailable, match="memory"):
        fill()
    assert store.load(f"key-{len(versions)}") is None
    with pytest.raises(StoreUnavailable):
        store.save("key-0", b"b" * size, expires_at=LATER, replacing=versions["key-0"])
    for key in versions:
        assert store.load(key).data == b"a" * size
    store.delete("key-1")
    assert store.load("key-1") is None
    store.close()


def test_evicting(start_memcached):  # noqa: F811
    """With eviction some are missing, as if they had expired; no operation fails because of it."""
    server = start_memcached("-m", "4", "-o", "slab_automove=0")  # which drops some uncounted
    store = patient_store(server.address)
    versions = {}
    for number in range(200):
        key = f"key-{number}"
        versions[key] = store.save(key, bytes(50_000), expires_at=LATER, replacing=None)
    found = {key: store.load(key) for key in versions}
    evicted = [key for key in versions if found[key] is None]
    assert len(evicted) == server.stats()["evictions"] > 100
    assert all(each is None or each.data == bytes(50_000) for each in found.values())
    key = evicted[0]
    assert store.save(key, b"", expires_at=LATER, replacing=versions[key]) is None
    store.delete(key)
    store.close()


# -- interrupted


class Interrupted(BaseException):
    """Like gevent.Timeout, KeyboardInterrupt, a worker's SystemExit."""


@pytest.fixture(params=["own", "Client", "PooledClient", "HashClient"])
def any_store(request, proxy):
    address = f"127.0.0.1:{proxy.port}"
    ways = {
        "own": lambda: address,
        "Client": lambda: Client(address),
        "PooledClient": lambda: PooledClient(address),
        "HashClient": lambda: HashClient([address]),
    }
    given = ways[request.param]()
    store = patient_store(given)
    yield store
    (store if request.param == "own" else given).close()


def test_interrupted_in_the_middle_of_a_reply(any_store, direct, proxy):
    """The connection is not used again, so the next one gets its own answer."""
    one, two = new_key(), new_key()
    direct.save(one, b"one", expires_at=LATER, replacing=None)
    direct.save(two, b"two", expires_at=LATER, replacing=None)
    assert any_store.load(one).data == b"one"

    def interrupt(*_):
        raise Interrupted

    def interrupt_while_it_waits():
        proxy.holding.wait(30)
        signal.pthread_kill(threading.main_thread().ident, signal.SIGALRM)

    def load():
        thread = threading.Thread(target=interrupt_while_it_waits)
        thread.start()
        try:
            any_store.load(one)
        finally:
            thread.join()

    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        for _ in range(3):
            proxy.stall()
            with pytest.raises(Interrupted):
                load()
            proxy.restore()
            assert any_store.load(two).data == b"two"
            assert any_store.load("missing") is None
            assert any_store.delete("missing") is None
    finally:
        signal.signal(signal.SIGALRM, before)
    wait_until(lambda: proxy.open_connections <= 1, "no connection is left open")


def test_answers_are_never_mixed_up(any_store, direct, proxy):
    """Threads with keys of their own, while connections are cut all the time."""
    contents = {new_key(): secrets.token_bytes(5000) for _ in range(4)}
    for key, data in contents.items():
        direct.save(key, data, expires_at=LATER, replacing=None)
    done, progress = threading.Event(), threading.Event()

    def cut():
        while not done.wait(0.002):
            progress.wait(30)  # or, on a slow machine, everything would be cut
            progress.clear()
            proxy.cut()

    def run(key):
        questions = [
            lambda: any_store.load(key).data == contents[key],
            lambda: any_store.delete("missing-" + key) is None,
            lambda: any_store.load("missing-" + key) is None,
        ]
        for is_right in questions * 60:
            while True:
                with contextlib.suppress(StoreUnavailable):
                    assert is_right()
                    break
            progress.set()

    cutter = threading.Thread(target=cut)
    cutter.start()
    try:
        with ThreadPoolExecutor(4) as threads:
            list(threads.map(run, contents))
    finally:
        done.set()
        progress.set()
        cutter.join()


def test_the_child_leaves_the_parents_connections(memcached, direct):  # noqa: F811
    """And may be forked with connections in use."""
    direct.load("key")
    mine = direct._servers._only._idle[0]

    def child():
        direct.load("key")
        assert mine not in direct._servers._only._idle
        assert mine.sock is None

    with forked(child):
        pass
    assert mine in direct._servers._only._idle
    assert direct.load("key") is None


GEVENT = """
from gevent import monkey
monkey.patch_all()
import sys, time, gevent
from tests.support.patience import PATIENT
from tests.servers.proxy import FaultProxy
from wsgi_sessions.errors import StoreUnavailable
from wsgi_sessions.stores import Timeouts
from wsgi_sessions.stores.memcached.store import MemcachedStore

later = time.time() + 3600
with FaultProxy(int(sys.argv[1])) as proxy:
    store = MemcachedStore(f"127.0.0.1:{proxy.port}", prefix="gevent:", timeouts=PATIENT)
    keys = [f"key-{number}" for number in range(50)]

    def run(key):
        version = store.save(key, key.encode(), expires_at=later, replacing=None)
        for _ in range(10):
            assert store.load(key).data == key.encode()
        for number in range(5):
            with gevent.Timeout(0.0005, False):
                store.load(key)
            assert store.load(key).data == key.encode()

    for job in [gevent.spawn(run, key) for key in keys]:
        job.get()

    # They wait together, and not one after the other, which takes 25 seconds.
    hasty = MemcachedStore(f"127.0.0.1:{proxy.port}", prefix="gevent:", timeouts=Timeouts())
    proxy.stall()
    def wait(key):
        try:
            hasty.load(key)
        except StoreUnavailable:
            return True
    start = time.monotonic()
    assert all(job.get() for job in [gevent.spawn(wait, key) for key in keys])
    assert time.monotonic() - start < 10
    proxy.restore()

    killed = gevent.spawn(store.load, keys[0])
    gevent.sleep(0)
    killed.kill()
    for key in keys:
        assert store.load(key).data == key.encode()
    store.close()
print("fine")
"""


def test_gevent(memcached):  # noqa: F811
    """Greenlets share the store; timeouts and kills in the middle of a reply harm nobody else."""
    result = subprocess.run(
        [sys.executable, "-c", inspect.cleandoc(GEVENT), str(memcached.port)],
        capture_output=True,
        text=True,
        timeout=180,
    )
    assert (result.stdout, result.returncode) == ("fine\n", 0), result.stderr
