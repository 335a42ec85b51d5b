"""RedisStore on a bad day: a fault is StoreUnavailable in time, never an answer, and it passes."""

from __future__ import annotations

import contextlib
import gc
import itertools
import re
import secrets
import signal
import socketserver
import struct
import subprocess
import sys
import threading
import time
import tracemalloc
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from socket import SO_RCVTIMEO, SOL_SOCKET, socketpair
from types import FrameType
from typing import Any, cast
from urllib.parse import quote

import pytest
import redis

from tests.servers.process import accepts_connections
from tests.servers.proxy import FaultProxy
from tests.servers.redis import (
    PASSWORD,
    SHORT,
    RedisCluster,
    RedisSentinel,
    RedisServer,
    stalled,
)
from tests.support.owners import listed
from tests.support.patience import answered, wait_until
from wsgi_sessions.errors import StoreUnavailable
from wsgi_sessions.stores import Timeouts
from wsgi_sessions.stores.redis import wire
from wsgi_sessions.stores.redis.connections import Connections
from wsgi_sessions.stores.redis.store import RedisStore
from wsgi_sessions.testing.contract import new_key
from wsgi_sessions.testing.forks import forked

LATER = 4_000_000_000.0
PATIENT = 20.0
"""Seconds for an answer where time is not the subject: a machine may stand still for a moment."""
IN_TIME = 10.0
"""Seconds. The store takes at most 4, and the rest is for a busy machine. That its limits are the
sockets' own, and that nothing is tried a third time, is proven without a watch, below."""
PROMOTED = 90
"""Seconds until a replica is the master: a Sentinel that was late does nothing for 30."""

Open = Callable[..., RedisStore]


def url(port: int, answer: float = PATIENT, place: str = "") -> str:
    """With *answer* seconds for an answer, and half of it to connect."""
    options = f"socket_timeout={answer}&socket_connect_timeout={answer / 2}"
    return f"redis://{place}127.0.0.1:{port}?{options}"


def options(answer: float = PATIENT) -> dict[str, Any]:
    """The same for a client."""
    return {**SHORT, "socket_timeout": answer, "socket_connect_timeout": answer / 2}


@pytest.fixture(params=["url", "url in a thread", "client"])
def open_store(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Open]:
    """A function that opens a store on a port, by a URL or with a client that is handed in. By a
    URL the connections wait as in the main thread, or as in all others."""
    if request.param == "url in a thread":
        monkeypatch.setattr(wire, "main_thread", threading.Thread)
    with ExitStack() as stack:

        def open_store(port: int, answer: float = PATIENT, prefix: str = "") -> RedisStore:
            target: Any = url(port, answer)
            if request.param == "client":
                target = stack.enter_context(redis.Redis(port=port, **options(answer)))
            store = RedisStore(target, prefix=prefix or f"session:{secrets.token_hex(8)}:")
            stack.callback(store.close)
            return store

        yield open_store


@pytest.fixture
def proxy(redis_server: RedisServer) -> Iterator[FaultProxy]:
    with FaultProxy(redis_server.port) as proxy:
        yield proxy


@pytest.fixture
def store(open_store: Open, proxy: FaultProxy) -> RedisStore:
    """A store behind the proxy, connected."""
    store = open_store(proxy.port)
    store.load("key")
    return store


def in_a_hurry(
    open_store: Open, store: RedisStore, port: int, answer: float = Timeouts().answer
) -> RedisStore:
    """A store for the same records that soon gives up, connected."""
    hurried = open_store(port, answer, prefix=store._prefix)
    answered(lambda: hurried.load("key"))
    return hurried


@contextmanager
def unavailable(match: str | None = None) -> Iterator[pytest.ExceptionInfo[StoreUnavailable]]:
    """StoreUnavailable is raised, in time."""
    begun = time.monotonic()
    with pytest.raises(StoreUnavailable, match=match) as caught:
        yield caught
    assert time.monotonic() - begun < IN_TIME


def create(store: RedisStore, key: str, data: bytes = b"old") -> Any:
    version = store.save(key, data, expires_at=LATER, replacing=None)
    assert version is not None
    return version


def data_of(store: RedisStore, key: str) -> bytes | None:
    found = store.load(key)
    return None if found is None else found.data


Step = Callable[[RedisStore, str, Any], object]
LARGE = b"large" * 2000
STEPS: dict[str, tuple[Step, bytes | None]] = {
    "load": (lambda store, key, version: store.load(key), b"old"),
    "delete": (lambda store, key, version: store.delete(key), None),
    "create": (
        lambda store, key, version: store.save(
            key + "-new", b"new", expires_at=LATER, replacing=None
        ),
        b"old",
    ),
    "replace": (
        lambda store, key, version: store.save(key, b"new", expires_at=LATER, replacing=version),
        b"new",
    ),
    "replace by a large one": (
        lambda store, key, version: store.save(key, LARGE, expires_at=LATER, replacing=version),
        LARGE,
    ),
    "large login": (
        lambda store, key, version: listed(store, key, replacing=version, data=LARGE),
        LARGE,
    ),
    "compare and delete": (
        lambda store, key, version: store.save(key, b"", expires_at=0, replacing=version),
        None,
    ),
    "login": (
        lambda store, key, version: listed(store, key, replacing=version, data=b"new"),
        b"new",
    ),
    "keys of": (lambda store, key, version: store.keys_of("ann"), b"old"),
}
"""Each operation, and what is under the key after it."""


def all_at_once(store: RedisStore, keys: dict[str, tuple[str, Any]]) -> dict[str, float]:
    """Run all operations at the same time; each raises StoreUnavailable. The seconds it took."""

    def run(name: str) -> float:
        begun = time.monotonic()
        with pytest.raises(StoreUnavailable):
            STEPS[name][0](store, *keys[name])
        return time.monotonic() - begun

    with ThreadPoolExecutor(len(STEPS)) as pool:
        return dict(zip(STEPS, pool.map(run, STEPS), strict=True))


def records(store: RedisStore) -> dict[str, tuple[str, Any]]:
    """A record for each operation: its key and version."""
    keys = {name: new_key() for name in STEPS}
    return {name: (key, create(store, key)) for name, key in keys.items()}


# -- the server is away


def test_refused(store: RedisStore, proxy: FaultProxy) -> None:
    """Nobody listens: every operation says so, and works again when somebody does."""
    keys = records(store)
    proxy.refuse()
    assert max(all_at_once(store, keys).values()) < IN_TIME
    proxy.restore()
    for name, (run, after) in STEPS.items():
        assert data_of(store, keys[name][0]) == b"old"
        run(store, *keys[name])
        assert data_of(store, keys[name][0]) == after


def test_stopped(open_store: Open, start_redis: Callable[..., RedisServer]) -> None:
    """A server that hangs: every operation gives up in time. Afterwards it may have done each, but
    whole, and nobody gets an earlier answer."""
    server = start_redis()
    store = open_store(server.port)
    keys = records(store)
    create(store, "other", b"other")
    hurried = in_a_hurry(open_store, store, server.port)
    with stalled(server):
        seconds = all_at_once(hurried, keys)
    assert max(seconds.values()) < IN_TIME
    for name, (_, after) in STEPS.items():
        assert answered(lambda: data_of(hurried, "other")) == b"other"
        assert answered(lambda name=name: data_of(hurried, keys[name][0])) in (b"old", after)


def kernels_limit(socket: Any) -> float:
    """The seconds after which the system ends a read."""
    seconds, microseconds = struct.unpack("@ll", socket.getsockopt(SOL_SOCKET, SO_RCVTIMEO, 16))
    return float(seconds + microseconds / 1e6)


def limit_of(connection: Any) -> float:
    """The seconds after which a read of *connection* ends, whoever ends it."""
    seconds: float | None = connection.wire._socket.gettimeout()
    return kernels_limit(connection.wire._socket) if seconds is None else seconds


@pytest.fixture(params=["main", "other"])
def thread(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Connections are opened as in the main thread, or as in another."""
    if request.param == "other":
        monkeypatch.setattr(wire, "main_thread", threading.Thread)
    return str(request.param)


@pytest.mark.parametrize("scheme", ["redis", "rediss"])
def test_the_system_ends_what_takes_too_long_for_threads_that_get_no_signals(
    secured_redis: RedisServer, scheme: str
) -> None:
    """Their exchanges take two system calls. TLS has no way to be told of it."""
    port, more = secured_redis.port, ""
    if scheme == "rediss":
        port, more = secured_redis.tls_port, f"?ssl_ca_certs={secured_redis.certificate}"
    place = f"sessions:{quote(PASSWORD, safe='')}@localhost"
    store = RedisStore(f"{scheme}://{place}:{port}{more}", timeouts=Timeouts(answer=PATIENT))
    answered(lambda: store.load("key"))
    with ThreadPoolExecutor(1) as thread:
        [kept] = cast(Any, store._server)._idle
        assert kept.wire._socket.gettimeout() == PATIENT
        store.close()
        thread.submit(answered, lambda: store.load("key")).result()
    [kept] = cast(Any, store._server)._idle
    if scheme == "redis":
        assert kept.wire._socket.gettimeout() is None
        assert kernels_limit(kept.wire._socket) == pytest.approx(PATIENT, rel=0.01)
    else:
        assert kept.wire._socket.gettimeout() == PATIENT
    store.close()


@pytest.mark.parametrize("opened_by", ["main thread", "another"])
def test_signals_that_come_again_and_again_prolong_no_wait(
    start_redis: Callable[..., RedisServer], opened_by: str
) -> None:
    """As a profiler sends them: the main thread gets them, in the middle of a read."""
    server, came = start_redis(), []
    store = RedisStore(url(server.port, Timeouts().answer))
    if opened_by == "another":
        with ThreadPoolExecutor(1) as thread:
            thread.submit(answered, lambda: store.load("key")).result()
    else:
        answered(lambda: store.load("key"))

    def comes(*_: object) -> None:
        came.append("a signal")
        assert len(came) < IN_TIME / 0.02, "each begins the wait anew"

    before = signal.signal(signal.SIGALRM, comes)
    signal.setitimer(signal.ITIMER_REAL, 0.02, 0.02)
    try:
        with stalled(server), unavailable():
            store.load("key")
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert len(came) > 2
    store.close()


@pytest.mark.usefixtures("thread")
@pytest.mark.parametrize("replacing", [None, b"12345678"], ids=["create", "replace"])
def test_a_server_that_takes_a_large_record_in_drops_is_waited_for_in_all(
    proxy: FaultProxy, replacing: bytes | None
) -> None:
    """The time for an answer counts for all of it, not for each piece."""
    store = RedisStore(f"redis://127.0.0.1:{proxy.port}")
    answered(lambda: store.load("key"))
    proxy.hinder(re.compile(b""), 0.02)
    with unavailable():
        store.save(new_key(), bytes(48_000_000), expires_at=LATER, replacing=replacing)
    proxy.restore()
    store.close()


@pytest.mark.usefixtures("thread")
@pytest.mark.parametrize("step", STEPS)
def test_an_answer_is_awaited_twice_at_most(
    proxy: FaultProxy, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    """By a save and a load, which are sent again; whatever a machine's stalls add to that."""
    answer = 0.1
    store = RedisStore(url(proxy.port, answer))
    answered(lambda: store.load("key"))
    waited = []
    settle = Connections._settle

    def noted(self: Connections, connection: Any, error: BaseException) -> None:
        if isinstance(error, (TimeoutError, BlockingIOError)):
            waited.append(limit_of(connection))
        settle(self, connection, error)

    monkeypatch.setattr(Connections, "_settle", noted)
    proxy.stall()
    with pytest.raises(StoreUnavailable):
        STEPS[step][0](store, new_key(), b"12345678")
    assert 0 < sum(waited) <= 2.1 * answer
    store.close()


def test_stalled_while_connecting(secured_redis: RedisServer) -> None:
    """The server accepts and says nothing, in the TLS handshake or to the password."""
    place = f"sessions:{quote(PASSWORD, safe='')}@localhost"
    for scheme, port in (("redis", secured_redis.port), ("rediss", secured_redis.tls_port)):
        with FaultProxy(port) as proxy:
            proxy.stall()
            url = f"{scheme}://{place}:{proxy.port}"
            if scheme == "rediss":
                url += f"?ssl_ca_certs={secured_redis.certificate}"
            store = RedisStore(url)
            with unavailable():
                store.load("key")
            with unavailable():
                create(store, "key")
            proxy.restore()
            assert answered(lambda store=store: store.load("key")) is None
            store.close()


@pytest.mark.usefixtures("thread")
def test_a_reply_that_drips_in(redis_server: RedisServer, proxy: FaultProxy) -> None:
    """The time for an answer counts for all of it, not for each piece."""
    with closing(RedisStore(url(redis_server.port))) as store:
        key = new_key()
        version = create(store, key, b"x" * 100)
    store = RedisStore(f"redis://127.0.0.1:{proxy.port}")
    answered(lambda: store.load("key"))
    proxy.drip(0.3)
    with unavailable():
        store.load(key)
    with unavailable():
        store.save(key, b"", expires_at=LATER, replacing=version)
    proxy.restore()
    assert answered(lambda: store.load(key)) is not None
    store.close()


@pytest.mark.parametrize("step", STEPS)
def test_restarted(
    store: RedisStore, redis_server: RedisServer, proxy: FaultProxy, step: str
) -> None:
    """The connections that are kept were all closed by the server: nobody notices."""
    key = new_key()
    version = create(store, key)
    with ThreadPoolExecutor(5) as pool:
        list(pool.map(store.load, [key] * 20))
    proxy.cut()
    run, after = STEPS[step]
    result = run(store, key, version)
    if step != "delete":
        assert result is not None
    assert data_of(store, key) == after


def test_killed_and_restarted(open_store: Open, start_redis: Callable[..., RedisServer]) -> None:
    """Its memory is gone, the store goes on: missing is missing, scripts are sent again."""
    server = start_redis()
    store = open_store(server.port)
    version = create(store, "key")
    server.process.kill()
    with unavailable():
        store.load("key")
    with unavailable():
        store.save("key", b"new", expires_at=LATER, replacing=version)
    server.start()
    assert store.load("key") is None
    version = create(store, "key")
    assert store.save("key", b"new", expires_at=LATER, replacing=version) is not None
    assert data_of(store, "key") == b"new"


# -- the connection breaks


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("count", [0, 1, 3, 1000])
@pytest.mark.parametrize("where", ["reply", "request"])
def test_cut(store: RedisStore, proxy: FaultProxy, step: str, where: str, count: int) -> None:
    """Cut before, in or after request or reply: the operation takes effect once, and says so.

    It is sent again, and a save knows its own version. A compare-and-delete leaves none: what was
    done already is either unknown or, by a client that repeats by itself, refused.
    """
    key = new_key()
    version = create(store, key)
    getattr(proxy, f"cut_{where}_after")(count)
    run, after = STEPS[step]
    if step == "compare and delete" and where == "reply" and count < 4:
        with contextlib.suppress(StoreUnavailable):
            assert run(store, key, version) is None
    elif step in ("delete", "keys of"):
        run(store, key, version)
    else:
        result = run(store, key, version)
        assert result
    if step in ("replace", "login"):
        assert store.load(key).version == result  # type: ignore[union-attr]
        assert store.save(key, b"next", expires_at=LATER, replacing=version) is None
    assert data_of(store, key) == after
    proxy.restore()


@pytest.mark.parametrize("step", STEPS)
def test_truncated(open_store: Open, store: RedisStore, proxy: FaultProxy, step: str) -> None:
    """A reply that stops half-way: found out, or StoreUnavailable; the next ones are right."""
    key = new_key()
    version = create(store, key)
    create(store, key + "-other", b"other")
    finds_out = step in ("create", "replace", "login")
    hurried = in_a_hurry(open_store, store, proxy.port, 2 if finds_out else Timeouts().answer)
    run, after = STEPS[step]
    answered(lambda: create(hurried, new_key()))  # what a process asks once, it has asked
    proxy.stop_reply_after(2)
    begun = time.monotonic()
    try:
        result = run(hurried, key, version)
    except StoreUnavailable:
        assert not finds_out, "a save can find out"
    else:
        assert step in ("delete", "compare and delete") or result is not None
    assert time.monotonic() - begun < IN_TIME
    assert answered(lambda: data_of(hurried, key + "-other")) == b"other"
    assert answered(lambda: data_of(hurried, key)) == after


def test_late(open_store: Open, store: RedisStore, proxy: FaultProxy) -> None:
    """An answer that comes after its time is never taken for the answer to the next question."""
    keys = {new_key(): b"%d" % number for number in range(5)}
    for key, data in keys.items():
        create(store, key, data)
    hurried = in_a_hurry(open_store, store, proxy.port)
    proxy.delay(60)
    with unavailable():
        hurried.load(next(iter(keys)))
    proxy.restore()
    for key, data in keys.items():
        assert answered(lambda key=key: data_of(hurried, key)) == data


@pytest.mark.parametrize("size", [5_000, 70_000, 3_000_000])
def test_a_large_answer_is_whole_or_none(
    open_store: Open, store: RedisStore, proxy: FaultProxy, size: int
) -> None:
    """It comes in pieces. Cut off in the middle, it is asked for once more; where it stays away,
    the store gives up in time; nobody gets what has come of it."""
    key, data = new_key(), secrets.token_bytes(size)
    create(store, key, data)
    assert data_of(store, key) == data
    for count in (4_500, size // 2, size):
        proxy.cut_reply_after(count)
        assert answered(lambda: data_of(store, key)) == data
    hurried = in_a_hurry(open_store, store, proxy.port)
    proxy.stop_reply_after(size // 2)
    with contextlib.suppress(StoreUnavailable):  # the second attempt may be answered
        assert data_of(hurried, key) == data
    assert answered(lambda: data_of(hurried, key)) == data


def test_no_room_is_made_for_what_a_server_only_announces() -> None:
    """A terabyte, for example."""
    ours, theirs = socketpair()
    with ours, theirs:
        ours.settimeout(1)
        announced = wire.Wire(ours, 1.0, time.monotonic() + 1)
        tracemalloc.start()
        theirs.sendall(b"$1000000000000\r\n" + b"x" * 10_000)
        with pytest.raises(TimeoutError):
            announced.ask(b"GET")
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
        tracemalloc.stop()


class Interrupted(BaseException):
    """As KeyboardInterrupt, or a worker's timeout."""


def test_interrupted(store: RedisStore, proxy: FaultProxy) -> None:
    """Any exception while an answer is awaited, whatever raises it, costs the connection only."""
    one, two = new_key(), new_key()
    create(store, one, b"one")
    create(store, two, b"two")

    def interrupt(number: int, frame: object) -> None:
        raise Interrupted

    def send() -> None:
        assert proxy.holding.wait(30)
        signal.pthread_kill(threading.main_thread().ident, signal.SIGALRM)

    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        proxy.delay(60)
        with ThreadPoolExecutor(1) as pool:
            sent = pool.submit(send)
            with pytest.raises(Interrupted):
                store.load(one)
            sent.result()
    finally:
        signal.signal(signal.SIGALRM, before)
    proxy.restore()
    assert data_of(store, two) == b"two"
    assert data_of(store, one) == b"one"


@pytest.fixture
def no_collection() -> Iterator[None]:
    """No ``__del__`` of another test's objects runs meanwhile."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


@pytest.mark.usefixtures("no_collection")
def test_interrupted_anywhere(redis_server: RedisServer) -> None:
    """At every call and return on the way: the next operation gets its own answer."""
    store = RedisStore(url(redis_server.port))
    one, two = new_key(), new_key()
    create(store, one, b"one")
    create(store, two, b"two")
    for steps in itertools.count(1):
        left = steps

        def interrupt(frame: FrameType, event: str, _: object) -> None:
            nonlocal left
            left -= event in ("call", "return") and "disconnect" not in frame.f_code.co_name
            if left == 0:
                raise Interrupted

        sys.setprofile(interrupt)
        try:
            store.load(one)
        except Interrupted:
            pass
        finally:
            sys.setprofile(None)
        if left > 0:
            break
        assert data_of(store, two) == b"two"
    assert steps > 8
    store.close()


def test_a_lost_reply_and_another_writer(
    proxy: FaultProxy, redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If somebody saved in between, nobody can tell what became of ours, and nobody guesses."""
    rival, store = RedisStore(url(redis_server.port)), RedisStore(url(proxy.port))
    key = new_key()
    version = create(store, key)
    store.save(key, b"x", expires_at=LATER, replacing=b"12345678")  # the script is known
    send_again = Connections._call_again

    def after_the_rival(self: Connections, *arguments: Any, unsent: bool) -> Any:
        found = rival.load(key)
        assert found is not None
        assert found.data == b"ours"
        assert rival.save(key, b"theirs", expires_at=LATER, replacing=found.version)
        return send_again(self, *arguments, unsent=unsent)

    monkeypatch.setattr(Connections, "_call_again", after_the_rival)
    proxy.cut_reply_after(0)
    with unavailable("may or may not have happened"):
        store.save(key, b"ours", expires_at=LATER, replacing=version)
    assert data_of(rival, key) == b"theirs"
    rival.close()
    store.close()


# -- the server refuses

CONDITIONS: dict[str, tuple[list[tuple[object, ...]], list[tuple[object, ...]], str]] = {
    "full": (
        [("CONFIG", "SET", "maxmemory", 1), ("CONFIG", "SET", "maxmemory-policy", "noeviction")],
        [("CONFIG", "SET", "maxmemory", 0)],
        "full",
    ),
    "read-only replica": (
        [("REPLICAOF", "127.0.0.1", 1)],
        [("REPLICAOF", "NO", "ONE")],
        "read-only",
    ),
    "too few replicas": (
        [("CONFIG", "SET", "min-replicas-to-write", 1)],
        [("CONFIG", "SET", "min-replicas-to-write", 0)],
        "NOREPLICAS",
    ),
    "no right to write": (
        [("ACL", "SETUSER", "default", "-set", "-evalsha")],
        [("ACL", "SETUSER", "default", "+@all")],
        "permit",
    ),
    "no right to the keys": (
        [("ACL", "SETUSER", "default", "resetkeys", "%R~*", "~elsewhere:*")],
        [("ACL", "SETUSER", "default", "~*")],
        "permit",
    ),
}


def test_a_failover_behind_one_address(start_redis: Callable[..., RedisServer]) -> None:
    """A master that has become a replica is left for whoever has its address now."""
    old, new = start_redis(), start_redis()
    with FaultProxy(old.port) as proxy:
        store = RedisStore(url(proxy.port))
        create(store, "key")
        old.ask("REPLICAOF", "127.0.0.1", new.port)
        proxy.redirect(new.port)
        with unavailable("read-only"):
            create(store, "new")
        create(store, "new")
        assert proxy.accepted == 2
        store.close()


@pytest.mark.parametrize("condition", CONDITIONS)
def test_refusing_server(
    open_store: Open, start_redis: Callable[..., RedisServer], condition: str
) -> None:
    """Reads go on, writes say why not and leave what was there, and it passes by itself."""
    begin, end, reason = CONDITIONS[condition]
    server = start_redis()
    store = open_store(server.port)
    version = create(store, "key")
    store.save("key", b"x", expires_at=LATER, replacing=b"12345678")  # the script is known
    for command in begin:
        server.ask(*command)
    with unavailable(reason) as created:
        create(store, "new")
    with unavailable(reason) as replaced:
        store.save("key", b"new", expires_at=LATER, replacing=version)
    assert (created.value.applied, replaced.value.applied) == (False, False)
    assert replaced.value.busy is (reason != "permit")
    assert data_of(store, "key") == b"old"
    assert store.load("new") is None
    for command in end:
        server.ask(*command)
    assert store.save("key", b"new", expires_at=LATER, replacing=version) is not None
    create(store, "new")


def test_a_server_with_too_many_clients_has_certainly_done_nothing(
    start_redis: Callable[..., RedisServer],
) -> None:
    """It says so before it reads a command."""
    server = start_redis()
    store = RedisStore(url(server.port))
    version = create(store, "key")
    store.close()
    with server.admin() as admin:
        admin.config_set("maxclients", 1)
        for step in ("create", "replace", "delete"):
            with unavailable("max number of clients") as caught:
                STEPS[step][0](store, "key", version)
            assert caught.value.applied is False
        admin.config_set("maxclients", 1000)
        assert data_of(store, "key") == b"old"
    store.close()


def test_a_replica_without_its_master(
    open_store: Open, start_redis: Callable[..., RedisServer]
) -> None:
    """It may know nothing yet, so what it says is not "missing"."""
    server = start_redis("--replica-serve-stale-data", "no")
    store = open_store(server.port)
    create(store, "key")
    server.ask("REPLICAOF", "127.0.0.1", 1)
    for step in ("load", "delete", "replace", "create"):
        with unavailable("replica"):
            STEPS[step][0](store, "key", b"12345678")
    server.ask("REPLICAOF", "NO", "ONE")
    assert data_of(store, "key") == b"old"


def test_loading(open_store: Open, start_redis: Callable[..., RedisServer]) -> None:
    """A server that is still reading its file knows nothing yet."""
    slowly = ("--key-load-delay", 500, "--loading-process-events-interval-bytes", 1024)
    server = start_redis(*slowly)
    store = open_store(server.port)
    create(store, "key")
    server.ask("DEBUG", "POPULATE", 100_000)  # 50 seconds, if left to it
    server.ask("SAVE")
    server.process.kill()
    server.process.start(lambda: accepts_connections(server.port))
    for step in ("load", "delete", "create", "replace"):
        with unavailable("still loading"):
            STEPS[step][0](store, "key", b"12345678")
    server.ask("CONFIG", "SET", "key-load-delay", 0)
    wait_until(lambda: not server.ask("INFO", "persistence")["loading"], "it is there", seconds=20)
    assert data_of(store, "key") == b"old"


@pytest.mark.parametrize("user", ["", "sessions", "nobody"])
@pytest.mark.parametrize("handed_in", [False, True])
def test_wrong_password(secured_redis: RedisServer, user: str, handed_in: bool) -> None:
    """It says so, and does not say which; none at all is the same."""
    for password in ("", "wrong/secret"):
        with redis.Redis(
            port=secured_redis.port, username=user or None, password=password or None, **options()
        ) as client:
            place = f"{user}:{quote(password, safe='')}@" if password else ""
            store = RedisStore(client if handed_in else url(secured_redis.port, place=place))
            with unavailable("password") as caught:
                store.load("key")
            assert "wrong" not in repr(caught.value)
            store.close()


@pytest.mark.parametrize("unknown", [["SET"], ["EVALSHA", "WATCH"]])
def test_errors_quote_nothing(
    open_store: Open, start_redis: Callable[..., RedisServer], unknown: list[str]
) -> None:
    """Neither key nor data nor version, whatever the server's error reply repeats of them."""
    server = start_redis(*itertools.chain(*(("--rename-command", name, "") for name in unknown)))
    store = open_store(server.port)
    for replacing in (None,) if unknown == ["SET"] else (None, b"12345678"):
        with unavailable() as caught:
            store.save("secretkey", b"secretdata", expires_at=LATER, replacing=replacing)
        assert "secret" not in str(caught.value)
        assert caught.value.__cause__ is None
        assert caught.value.__suppress_context__


def test_a_node_of_a_cluster(redis_cluster: RedisCluster) -> None:
    """A URL that leads to one says what to hand in."""
    store = RedisStore(url(redis_cluster.nodes[0].port))
    moved = 0
    for number in range(10):
        if redis_cluster.node_of(f"session:key{number}")[1] is redis_cluster.nodes[0]:
            assert store.load(f"key{number}") is None
        else:
            with unavailable("RedisCluster"):
                store.load(f"key{number}")
            moved += 1
    assert moved
    store.close()


# -- many at once


def increment(store: RedisStore, key: str) -> None:
    """Add one, again as long as others are faster."""
    while True:
        found = store.load(key)
        assert found is not None
        data = b"%d" % (int(found.data) + 1)
        if store.save(key, data, expires_at=LATER, replacing=found.version) is not None:
            return
        time.sleep(secrets.randbelow(1000) / 1e6)


@contextmanager
def load_from(count: int, function: Callable[[], object]) -> Iterator[list[int]]:
    """Call *function* in *count* threads meanwhile. Yields how often it returned, by thread."""
    over = threading.Event()
    done = [0] * count

    def run(number: int) -> None:
        while not over.is_set():
            function()
            done[number] += 1

    with ThreadPoolExecutor(count) as pool:
        running = [pool.submit(run, number) for number in range(count)]
        try:
            yield done
        finally:
            over.set()
    for result in running:
        result.result()


def test_cut_again_and_again_under_load(store: RedisStore, proxy: FaultProxy) -> None:
    """Every increment that was accepted is there, and no other that was refused."""
    key = new_key()
    create(store, key, b"0")
    failed = []

    def try_to_increment() -> None:
        try:
            increment(store, key)
        except StoreUnavailable as error:
            failed.append(error)

    with load_from(4, try_to_increment) as done:
        for number in range(60):
            proxy.cut() if number % 3 == 0 else proxy.cut_reply_after(number % 5)
            _more(lambda: sum(done), 1)
        proxy.restore()
        _more(lambda: sum(done), 5)
    final = int(data_of(store, key) or b"")
    assert final >= sum(done) - len(failed) > 0


@pytest.mark.parametrize("way", ["url", "client"])
def test_slots_move_under_load(redis_cluster: RedisCluster, way: str) -> None:
    """The store follows, step by step, and nothing is lost."""
    with redis_cluster.client() as client:
        patient = "socket_timeout=20&socket_connect_timeout=10"
        target = client if way == "client" else f"{redis_cluster.url}?{patient}"
        store = RedisStore(target, prefix=f"session:{secrets.token_hex(8)}:")
        key = new_key()
        create(store, key, b"0")
        with load_from(3, lambda: increment(store, key)) as done:
            for _ in range(4):
                redis_cluster.migrate(store._prefix + key, lambda: _more(lambda: sum(done), 5))
        assert int(data_of(store, key) or b"") == sum(done)


def _more(count: Callable[[], int], by: int) -> None:
    """Wait until *count* has grown *by* so much."""
    until = count() + by
    wait_until(lambda: count() >= until, "it goes on")


def test_failover_under_load(tmp_path: Path) -> None:
    """The master dies: StoreUnavailable for a while, then on with the replica by itself. What was
    confirmed by the replica is there."""
    sentinel = RedisSentinel(tmp_path, down_after=1000)
    with ExitStack() as stack:
        stack.callback(sentinel.stop)
        client = stack.enter_context(sentinel.client(**options(2)))
        confirmed = RedisStore(client, wait_replicas=1)
        store = RedisStore(client)
        key = new_key()
        answered(lambda: store.load(key), seconds=PROMOTED)
        create(confirmed, key, b"0")
        accepted = 0

        def increment_while_it_lives() -> None:
            nonlocal accepted
            with contextlib.suppress(StoreUnavailable):
                increment(confirmed, key)
                accepted += 1

        with load_from(1, increment_while_it_lives):
            _more(lambda: accepted, 30)
            sentinel.first.process.kill()
        answered(lambda: increment(store, key), seconds=PROMOTED)
        assert int(answered(lambda: data_of(store, key), seconds=PROMOTED) or b"") > accepted >= 30
        assert sentinel.second.ask("ROLE")[0] == b"master"


# -- processes and greenlets


def test_children_leave_the_parents_connections_alone(proxy: FaultProxy) -> None:
    """A child opens its own; at its end the parent's is as good as before."""
    store = RedisStore(url(proxy.port))
    key = new_key()
    create(store, key)
    assert proxy.accepted == 1

    def child() -> None:
        assert data_of(store, key) == b"old"

    for _ in range(3):
        with forked(child):
            pass
        assert data_of(store, key) == b"old"
    assert proxy.accepted == 4
    store.close()


GREENLETS = """
from gevent import monkey
monkey.patch_all()
import sys, gevent, redis
from wsgi_sessions.stores.redis.store import RedisStore
from tests.stores.test_redis_faults import FaultProxy, create, data_of, increment, options, url

port = int(sys.argv[2])
with FaultProxy(port) as proxy:
    target = url(proxy.port) if sys.argv[1] == "url" else redis.Redis(port=proxy.port, **options())
    store = RedisStore(target)
    create(store, sys.argv[3], b"0")
    greenlets = [gevent.spawn(increment, store, sys.argv[3]) for _ in range(50)]
    gevent.joinall(greenlets, raise_error=True)
    assert data_of(store, sys.argv[3]) == b"50"
    assert 1 < proxy.accepted <= 60, proxy.accepted

    keys = {f"{sys.argv[3]}{number}": b"%d" % number for number in range(20)}
    for key, data in keys.items():
        create(store, key, data)
    def give_up(key):
        with gevent.Timeout(0.02, False):
            assert data_of(store, key) == keys[key]
    proxy.delay(60)
    gevent.joinall([gevent.spawn(give_up, key) for key in keys], raise_error=True)
    proxy.restore()
    for key, data in reversed(keys.items()):
        assert data_of(store, key) == data
    store.close()
"""


@pytest.mark.parametrize("way", ["url", "client"])
def test_greenlets(redis_server: RedisServer, way: str) -> None:
    """Under gevent: they wait for each other's answers at the same time, and a greenlet that is
    interrupted leaves nothing for the next."""
    arguments = [sys.executable, "-c", GREENLETS, way, str(redis_server.port), new_key()]
    done = subprocess.run(arguments, capture_output=True, text=True, timeout=180)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("size", [1, 5000, 70_000])
def test_more_than_one_reply(size: int) -> None:
    """What a broken proxy sends on top of a reply answers nobody else's question."""
    answers = iter(b"abc")

    class Proxy(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            while self.rfile.readline().startswith(b"*2"):
                for _ in range(4):
                    self.rfile.readline()
                both = [bytes([next(answers, 0)]) * size for _ in range(2)]
                reply = b"$%d\r\n12345678%b\r\n"
                self.wfile.write(b"".join(reply % (8 + size, data) for data in both))

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Proxy) as server:
        server.block_on_close = False
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        store = RedisStore(url(server.server_address[1]))
        assert data_of(store, "one") == b"a" * size
        assert data_of(store, "two") == b"c" * size
        store.close()
        server.shutdown()


@pytest.mark.parametrize("step", ["create", "replace", "delete"])
def test_a_write_that_could_not_be_sent_is_certainly_not_applied(
    store: RedisStore, proxy: FaultProxy, step: str
) -> None:
    version = create(store, "key")
    proxy.refuse()
    with contextlib.suppress(StoreUnavailable):
        store.load("key")  # the kept connection is known to be dead
    with unavailable() as caught:
        STEPS[step][0](store, "key" if step != "create" else "new", version)
    assert caught.value.applied is False


@pytest.mark.parametrize("step", ["create", "replace", "delete"])
def test_whether_a_write_without_an_answer_was_applied_is_not_known(
    open_store: Open, store: RedisStore, proxy: FaultProxy, step: str
) -> None:
    version = create(store, "key")
    hurried = in_a_hurry(open_store, store, proxy.port, answer=0.1)
    answered(lambda: create(hurried, new_key()))  # what a process asks once, it has asked
    proxy.delay(PATIENT)
    with unavailable() as caught:
        STEPS[step][0](hurried, "key" if step != "create" else "new", version)
    assert caught.value.applied is None
    proxy.restore()


def test_a_reply_that_is_lost_with_its_server_leaves_unknown_what_was_done(
    store: RedisStore, proxy: FaultProxy
) -> None:
    """The first attempt was sent; that the second could not be does not undo it."""
    version = create(store, "key")
    proxy.delay(PATIENT)
    with ThreadPoolExecutor(1) as pool:
        save = pool.submit(store.save, "key", b"new", expires_at=LATER, replacing=version)
        wait_until(proxy.holding.is_set, "the reply is held")
        proxy.refuse()
        error = save.exception()
    assert isinstance(error, StoreUnavailable)
    assert error.applied is None
    proxy.restore()


def test_an_end_whose_reply_was_lost_is_not_called_refused(
    store: RedisStore, proxy: FaultProxy
) -> None:
    """Sent once more it finds nothing, by its own doing."""
    version = create(store, "key")
    proxy.cut_reply_after(0)
    with unavailable("may or may not have happened") as caught:
        store.save("key", b"", expires_at=0.0, replacing=version)
    assert caught.value.applied is None
    assert store.load("key") is None
