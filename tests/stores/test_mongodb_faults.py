"""What MongoDBStore does when its server, or the way to it, fails."""

# ruff: noqa: F811 - fixtures are imported

from __future__ import annotations

import signal
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from types import SimpleNamespace
from typing import Any

import pytest
from pymongo import MongoClient
from pymongo.errors import AutoReconnect

import wsgi_sessions.stores.mongodb.connections as mongodb_connections
from tests.servers.mongodb import MongoDBServer, mongodb_server  # noqa: F401
from tests.servers.proxy import FaultProxy
from tests.support.killed_greenlets import assert_killed_greenlets_leave_no_answer
from tests.support.patience import PATIENT, answered, patient_url
from wsgi_sessions.errors import StoreUnavailable
from wsgi_sessions.stores.mongodb.store import MongoDBStore
from wsgi_sessions.stores.timeouts import DEFAULT_TIMEOUTS, Timeouts
from wsgi_sessions.testing import ManualClock
from wsgi_sessions.testing.contract import new_key, together

LATER = time.time() + 86_400
LIMIT = 20  # seconds until a fault is reported: a second, and the rest for a busy machine; pymongo
# would take 30, or forever. What the limits are exactly, test_a_second_attempt_… asks.
AWAITED = "timeoutMS=2000"  # an answer that does not come ends the wait
COUNTS = (0, 1, 15, 16, 50)  # bytes that pass: none, in the header, after it, in the command

OPERATIONS: dict[str, Callable[[MongoDBStore, Any], Any]] = {
    "load": lambda store, version: store.load("key"),
    "create": lambda store, version: store.save("new", b"new", expires_at=LATER, replacing=None),
    "replace": lambda store, version: store.save(
        "key", b"new", expires_at=LATER, replacing=version
    ),
    "end": lambda store, version: store.save("key", b"", expires_at=0, replacing=version),
    "delete": lambda store, version: store.delete("key"),
    "login": lambda store, version: store.save_owned(
        "key", b"new", expires_at=LATER, replacing=version, owner="bob", was=None
    ),
    "keys_of": lambda store, version: store.keys_of("ann"),
    "keys": lambda store, version: list(store.keys()),
    "purge": lambda store, version: store.purge(),
}


class Proxy(FaultProxy):
    """Its single faults strike commands for a collection, not the questions of pymongo's monitor,
    which come at times of its own."""

    def __init__(self, port: int, collection: str) -> None:
        super().__init__(port)
        self._collection, self._for_commands = collection.encode(), set[object]()

    def _pass_on(self, link: Any, direction: str, data: bytes) -> bytes | None:
        if direction == "request" and self._collection in data:
            self._for_commands.add(link)
        if self._fault is not None and link not in self._for_commands:
            return data
        return super()._pass_on(link, direction, data)


class Line:
    """A store that reaches the server through a proxy, with *timeouts* and *options*, and one
    beside it that goes straight and is patient."""

    def __init__(
        self, server: MongoDBServer, options: str = "", *, timeouts: Timeouts = DEFAULT_TIMEOUTS
    ) -> None:
        self.collection = name = new_key()
        self.proxy = Proxy(server.port, name)
        url = f"mongodb://127.0.0.1:{self.proxy.port}/?{options}"
        self.store = MongoDBStore(url, collection=name, timeouts=timeouts)
        self.direct = MongoDBStore(server.url, collection=name, timeouts=PATIENT)
        self.version: Any = None

    def __enter__(self) -> Line:
        """With records under "key" and "other"; the store has been used, and made its indexes."""
        self.direct.save("other", b"other", expires_at=LATER, replacing=None)
        self.version = self.direct.save("key", b"old", expires_at=LATER, replacing=None)
        answered(lambda: self.store.save(new_key(), b"", expires_at=LATER, replacing=None))
        return self

    def __exit__(self, *error: object) -> None:
        for each in (self.store, self.direct, self.proxy):
            each.close()

    def call(self, operation: str) -> Any:
        with within_the_limit():
            return OPERATIONS[operation](self.store, self.version)

    def assert_unavailable(self, *operations: str) -> None:
        """For each of them, all at the same time."""

        def call(number: int) -> None:
            with pytest.raises(StoreUnavailable):
                self.call(operations[number])

        together(len(operations), call)

    def assert_recovered(self) -> None:
        """It answers again, by itself, and every answer is the right one."""
        for _ in range(10):
            assert answered(lambda: self.store.load("other")).data == b"other"
            assert answered(lambda: self.store.load("none")) is None


@contextmanager
def within_the_limit() -> Iterator[None]:
    """It ends in time, whether it returns or raises."""
    started = time.monotonic()
    try:
        yield
    finally:
        assert time.monotonic() - started < LIMIT


@pytest.fixture
def line(mongodb_server: MongoDBServer) -> Iterator[Line]:
    """With the store's own limits."""
    with Line(mongodb_server) as line:
        yield line


@pytest.fixture
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """After a lost connection there is all the time to find the server again."""
    monkeypatch.setattr(mongodb_connections, "RECHECK_SECONDS", 30)


@pytest.fixture
def patient_line(mongodb_server: MongoDBServer, patience: None) -> Iterator[Line]:
    with Line(mongodb_server, timeouts=PATIENT) as line:
        yield line


# -- limits


def test_the_limits_of_its_own_client() -> None:
    """A quarter of a second to connect, half a second for an answer, and nothing twice."""
    options = MongoDBStore("mongodb://host")._connections.current().client.options
    assert (options.pool_options.connect_timeout, options.timeout) == (0.25, 0.55)
    assert (options.retry_reads, options.retry_writes) == (False, False)


@pytest.mark.parametrize(
    ("after", "waits", "left"),
    [(0, True, 1.1), (0.09, True, 1.01), (0.11, False, 0.99), (0.55, False, 0.55)],
)
def test_a_second_attempt_has_the_time_that_is_left(
    monkeypatch: pytest.MonkeyPatch, after: float, waits: bool, left: float
) -> None:
    """Two limits together, the first attempt and a wait for a server included; that ends after half
    a second, and a first attempt that took time leaves none for it."""
    clock, limits = ManualClock(), list[float]()
    monkeypatch.setattr(mongodb_connections, "time", SimpleNamespace(monotonic=clock))
    monkeypatch.setattr("pymongo.timeout", lambda limit: limits.append(limit) or nullcontext())
    client = SimpleNamespace(
        options=SimpleNamespace(timeout=0.55),
        topology_description=SimpleNamespace(has_writable_server=lambda: True),
        is_mongos=False,
    )
    connections = MongoDBStore("mongodb://host")._connections
    monkeypatch.setattr(
        connections, "current", lambda: SimpleNamespace(served=False, client=client)
    )
    started = clock()

    def command(_db: Any) -> str:
        if clock() == started and not limits:
            clock.advance(after + 1e-6)
            raise AutoReconnect
        return "answer"

    assert connections.run(command) == "answer"
    assert limits == [mongodb_connections.RECHECK_SECONDS] * waits + [pytest.approx(left, abs=1e-3)]
    assert mongodb_connections.RECHECK_SECONDS < 0.55


# -- nothing arrives


def test_refused(line: Line) -> None:
    """Nobody listens: unavailable, and as before when somebody does again."""
    line.proxy.refuse()
    line.assert_unavailable(*OPERATIONS)
    line.proxy.restore()
    line.assert_recovered()
    assert line.store.load("key") == (b"old", line.version)
    assert line.store.load("new") is None


def test_refused_from_the_start(mongodb_server: MongoDBServer) -> None:
    """The same for a store that was never connected."""
    line = Line(mongodb_server)
    try:
        line.proxy.refuse()
        line.assert_unavailable(*OPERATIONS)
    finally:
        line.__exit__()


def test_stalled(line: Line) -> None:
    """Connections stand and nothing comes back, to one request or to many."""
    for operations in (["load"], OPERATIONS):
        line.proxy.stall()
        line.assert_unavailable(*operations)
        line.proxy.restore()
        line.assert_recovered()


def test_a_stopped_server(line: Line, mongodb_server: MongoDBServer) -> None:
    """It accepts and does not answer; what it was asked it may do when it goes on."""
    mongodb_server.signal(signal.SIGSTOP)
    try:
        line.assert_unavailable(*OPERATIONS)
    finally:
        mongodb_server.signal(signal.SIGCONT)
    line.assert_recovered()


def test_a_slow_server(line: Line) -> None:
    """An answer that comes too late is not taken for that to a later question."""
    line.proxy.delay(5)
    line.assert_unavailable("load", "keys_of")
    line.proxy.restore()
    line.assert_recovered()
    assert line.store.load("key") == (b"old", line.version)


# -- the answer is lost


@pytest.mark.parametrize("count", [0, 15, 50])
@pytest.mark.parametrize("loss", [FaultProxy.cut_reply_after, FaultProxy.stop_reply_after])
def test_a_lost_answer_is_found_out(
    mongodb_server: MongoDBServer,
    patience: None,
    loss: Callable[[FaultProxy, int], None],
    count: int,
) -> None:
    """What was done, and nobody heard of it, is reported as done, wherever the answer ended."""
    right: dict[str, Callable[[Line, Any], bool]] = {
        "load": lambda line, answer: answer == (b"old", line.version),
        "create": lambda line, answer: line.direct.load("new") == (b"new", answer),
        "replace": lambda line, answer: line.direct.load("key") == (b"new", answer),
        "delete": lambda line, answer: line.direct.load("key") is None,
        "login": lambda line, answer: (
            line.direct.load("key") == (b"new", answer) and line.direct.keys_of("bob") == ["key"]
        ),
    }

    def lose(number: int) -> None:
        operation = list(right)[number]
        with Line(mongodb_server, AWAITED, timeouts=PATIENT) as line:
            loss(line.proxy, count)
            assert right[operation](line, line.call(operation))
            line.assert_recovered()

    together(len(right), lose)


@pytest.fixture
def meanwhile(monkeypatch: pytest.MonkeyPatch) -> list[Callable[[], object]]:
    """What is done after an answer was lost, and before the store asks again."""
    done: list[Callable[[], object]] = []
    has_server = mongodb_connections._has_server

    def do_and_look(client: Any, *, wait: bool) -> bool:
        while done:
            done.pop()()
        return has_server(client, wait=wait)

    monkeypatch.setattr(mongodb_connections, "_has_server", do_and_look)
    return done


def test_a_replacement_that_was_replaced_is_not_called_refused(
    patient_line: Line, meanwhile: list[Callable[[], object]]
) -> None:
    """Its change is in what the other one has replaced: applied again, it would count twice."""
    direct = patient_line.direct

    def replace() -> None:
        found = direct.load("key")
        assert found.data == b"new"
        assert direct.save("key", b"newer", expires_at=LATER, replacing=found.version)

    meanwhile.append(replace)
    patient_line.proxy.cut_reply_after(0)
    patient_line.assert_unavailable("replace")
    assert not meanwhile
    assert direct.load("key").data == b"newer"


def test_a_creation_is_not_sent_again(
    patient_line: Line, meanwhile: list[Callable[[], object]]
) -> None:
    """What was deleted meanwhile does not come back."""
    direct = patient_line.direct

    def delete() -> None:
        assert direct.load("new").data == b"new"
        direct.delete("new")

    meanwhile.append(delete)
    patient_line.proxy.cut_reply_after(0)
    patient_line.assert_unavailable("create")
    assert not meanwhile
    assert direct.load("new") is None


def test_an_end_of_which_nobody_heard_is_not_called_refused(patient_line: Line) -> None:
    """Nothing is there, and that may be our doing."""
    patient_line.proxy.cut_reply_after(0)
    patient_line.assert_unavailable("end")
    assert patient_line.direct.load("key") is None


# -- the question is lost


def test_a_question_cut_short(mongodb_server: MongoDBServer, patience: None) -> None:
    """Half a command does nothing; a replacement is sent again, a creation is an error."""

    def cut(number: int) -> None:
        with Line(mongodb_server, timeouts=PATIENT) as line:
            line.proxy.cut_request_after(COUNTS[number])
            new = line.call("replace")
            assert line.direct.load("key") == (b"new", new)
            line.proxy.cut_request_after(COUNTS[number])
            line.assert_unavailable("create")
            assert line.direct.load("new") is None
            line.assert_recovered()

    together(len(COUNTS), cut)


def test_large_data_cut_short(patient_line: Line) -> None:
    """In the middle of the data, on the way there and back."""
    line, data = patient_line, bytes(200_000)
    line.proxy.cut_request_after(100_000)
    with within_the_limit():
        new = line.store.save("key", data, expires_at=LATER, replacing=line.version)
    assert line.direct.load("key") == (data, new)
    line.proxy.cut_reply_after(100_000)
    assert line.call("load") == (data, new)


# -- the server dies


def test_killed_and_restarted(line: Line, mongodb_server: MongoDBServer) -> None:
    """Unavailable meanwhile, and then as it was, with no help from the application."""
    mongodb_server.kill()
    try:
        line.assert_unavailable(*OPERATIONS)
    finally:
        mongodb_server.restart()
    line.assert_recovered()
    assert line.store.load("key") == (b"old", line.version)


def test_connections_cut_while_idle(patient_line: Line) -> None:
    """By a firewall, or because the server was restarted: the next request does not notice."""
    patient_line.proxy.cut()
    assert patient_line.call("load") == (b"old", patient_line.version)


# -- the server refuses


def test_closing_waits_for_no_dead_connection(mongodb_server: MongoDBServer) -> None:
    """pymongo would report the end of its sessions over it, and wait as long as for connecting."""
    with Line(mongodb_server, timeouts=Timeouts(connect=60, answer=30)) as line:
        assert line.proxy.forget()
        with within_the_limit():
            line.store.close()


def test_wrong_password(mongodb_server: MongoDBServer) -> None:
    """Unavailable; neither name nor password is shown, nor in the causes."""
    address = mongodb_server.url.removeprefix("mongodb://")
    store = MongoDBStore(f"mongodb://somebody:s3cr3t@{address}/", timeouts=PATIENT)

    for operation in ("load", "create"):
        with within_the_limit(), pytest.raises(StoreUnavailable, match="code 18") as caught:
            OPERATIONS[operation](store, None)
        shown = "".join(traceback.format_exception(caught.value))
        assert "s3cr3t" not in shown
        assert "somebody" not in shown
    store.close()


def test_a_refusal_does_not_show_the_server_s_words(mongodb_server: MongoDBServer) -> None:
    """They may quote the command, with key and data; here, a name that is too long."""
    store = MongoDBStore(mongodb_server.url, collection="s3cr3t" * 50, timeouts=PATIENT)
    with pytest.raises(StoreUnavailable, match="code 73") as caught:
        store.save("key", b"data", expires_at=LATER, replacing=None)
    assert "s3cr3t" * 2 not in "".join(traceback.format_exception(caught.value))
    store.close()


# -- threads, processes, greenlets


def test_threads_through_a_bad_connection(patient_line: Line) -> None:
    """Each gets its own answer or an error, never another's answer."""
    line = patient_line
    keys = [f"key{number}" for number in range(8)]
    for key in keys:
        line.direct.save(key, key.encode(), expires_at=LATER, replacing=None)

    def use(number: int) -> int:
        failed = 0
        for turn in range(20):
            if number == turn % 8 == 0:
                line.proxy.cut()
            try:
                assert line.store.load(keys[number]).data == keys[number].encode()
            except StoreUnavailable:
                failed += 1
        return failed

    assert sum(together(len(keys), use)) < 8 * 20 / 2
    line.assert_recovered()


def test_threads_that_are_first(mongodb_server: MongoDBServer) -> None:
    """All of them use one client, and none is left open."""
    store = MongoDBStore(mongodb_server.url, collection=new_key(), timeouts=PATIENT)
    store.close()
    answers = together(8, lambda _: store.save("key", b"", expires_at=LATER, replacing=None))
    assert len([answer for answer in answers if answer is not None]) == 1
    store.close()


def test_gevent(mongodb_server: MongoDBServer) -> None:
    """Greenlets that are killed in the middle of a command leave no answer to the next one."""
    url = patient_url(f"{mongodb_server.url}/?collection={new_key()}")
    assert_killed_greenlets_leave_no_answer(url, loads=20, pause=0.003, more_than=900)


def test_a_client_handed_in_has_its_own_patience(line: Line) -> None:
    """Its timeouts are not changed, and a lost answer is found out with it too."""
    url = f"mongodb://127.0.0.1:{line.proxy.port}/?socketTimeoutMS=2000&retryWrites=false"
    with MongoClient(url) as client:
        store = MongoDBStore(client, collection=line.collection)
        version = line.version
        assert store.load("key") == (b"old", version)
        line.proxy.stop_reply_after(0)
        with within_the_limit():
            new = OPERATIONS["replace"](store, version)
        assert store.load("key") == (b"new", new)
