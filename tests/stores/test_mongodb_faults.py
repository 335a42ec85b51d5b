"""What MongoDBStore does when its server, or the way to it, fails."""

# ruff: noqa: F811 - fixtures are imported

from __future__ import annotations

import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest
from pymongo import MongoClient

from tests.servers.mongodb import MongoDBServer, mongodb_server  # noqa: F401
from tests.servers.proxy import FaultProxy
from wsgi_sessions.errors import StoreUnavailable
from wsgi_sessions.stores.mongodb import MongoDBStore
from wsgi_sessions.testing import new_key, together

LATER = time.time() + 3600
LIMIT = 1.2  # seconds until a fault is reported
COUNTS = (0, 1, 15, 16, 50)  # bytes that pass: none, in the header, after it, in the command

OPERATIONS: dict[str, Callable[[MongoDBStore, Any], Any]] = {
    "load": lambda store, version: store.load("key"),
    "create": lambda store, version: store.save("new", b"new", expires_at=LATER, replacing=None),
    "replace": lambda store, version: store.save(
        "key", b"new", expires_at=LATER, replacing=version
    ),
    "end": lambda store, version: store.save("key", b"", expires_at=0, replacing=version),
    "touch": lambda store, version: store.touch("key", expires_at=LATER),
    "delete": lambda store, version: store.delete("key"),
    "link": lambda store, version: store.link("ann", "key", expires_at=LATER),
    "unlink": lambda store, version: store.unlink("ann", "key"),
    "keys_of": lambda store, version: store.keys_of("ann"),
    "keys": lambda store, version: list(store.keys()),
    "purge": lambda store, version: store.purge(),
}


class Line:
    """A store that reaches the server through a proxy, and one beside it that goes straight."""

    def __init__(self, server: MongoDBServer) -> None:
        collection = new_key()
        self.proxy = FaultProxy(server.port)
        self.store = MongoDBStore(f"mongodb://127.0.0.1:{self.proxy.port}", collection=collection)
        self.direct = MongoDBStore(f"{server.url}/?timeoutMS=5000", collection=collection)
        self.version: Any = None

    def __enter__(self) -> Line:
        """With records under "key" and "other"; the store has been used."""
        self.store.link("ann", "key", expires_at=LATER)
        self.store.save("other", b"other", expires_at=LATER, replacing=None)
        self.version = self.store.save("key", b"old", expires_at=LATER, replacing=None)
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
        """It answers again soon, by itself, and every answer is the right one."""
        deadline = time.monotonic() + 5
        answers = 0
        while answers < 10:
            try:
                assert self.store.load("other").data == b"other"
                assert self.store.load("none") is None
                answers += 1
            except StoreUnavailable:
                assert time.monotonic() < deadline


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
    with Line(mongodb_server) as line:
        yield line


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
    line.proxy.refuse()
    line.assert_unavailable(*OPERATIONS)
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
    line.proxy.delay(0.7)
    line.assert_unavailable("load", "touch")
    line.proxy.restore()
    line.assert_recovered()
    assert line.store.load("key") == (b"old", line.version)


# -- the answer is lost


@pytest.mark.parametrize("count", [0, 15, 50])
@pytest.mark.parametrize("loss", [FaultProxy.cut_reply_after, FaultProxy.stop_reply_after])
def test_a_lost_answer_is_found_out(
    mongodb_server: MongoDBServer, loss: Callable[[FaultProxy, int], None], count: int
) -> None:
    """What was done, and nobody heard of it, is reported as done, wherever the answer ended."""
    right: dict[str, Callable[[Line, Any], bool]] = {
        "load": lambda line, answer: answer == (b"old", line.version),
        "create": lambda line, answer: line.direct.load("new") == (b"new", answer),
        "replace": lambda line, answer: line.direct.load("key") == (b"new", answer),
        "touch": lambda line, answer: answer is True,
        "delete": lambda line, answer: line.direct.load("key") is None,
        "link": lambda line, answer: line.direct.keys_of("ann") == ["key"],
    }

    def lose(number: int) -> None:
        operation = list(right)[number]
        with Line(mongodb_server) as line:
            loss(line.proxy, count)
            assert right[operation](line, line.call(operation))
            line.assert_recovered()

    together(len(right), lose)


def test_a_replacement_that_was_replaced_is_not_called_refused(line: Line) -> None:
    """Its change is in what the other one has replaced: applied again, it would count twice."""
    line.proxy.stop_reply_after(0)
    with ThreadPoolExecutor() as pool:
        saving = pool.submit(line.call, "replace")
        while (found := line.direct.load("key")).data == b"old":
            pass
        line.direct.save("key", b"newer", expires_at=LATER, replacing=found.version)
        with pytest.raises(StoreUnavailable):
            saving.result()
    assert line.direct.load("key").data == b"newer"


def test_a_creation_is_not_sent_again(line: Line) -> None:
    """What was deleted meanwhile does not come back."""
    line.proxy.stop_reply_after(0)
    with ThreadPoolExecutor() as pool:
        saving = pool.submit(line.call, "create")
        while line.direct.load("new") is None:
            pass
        line.direct.delete("new")
        with pytest.raises(StoreUnavailable):
            saving.result()
    assert line.direct.load("new") is None


def test_an_end_of_which_nobody_heard_is_not_called_refused(line: Line) -> None:
    """Nothing is there, and that may be our doing."""
    line.proxy.cut_reply_after(0)
    line.assert_unavailable("end")
    assert line.direct.load("key") is None


# -- the question is lost


def test_a_question_cut_short(mongodb_server: MongoDBServer) -> None:
    """Half a command does nothing; a replacement is sent again, a creation is an error."""

    def cut(number: int) -> None:
        with Line(mongodb_server) as line:
            line.proxy.cut_request_after(COUNTS[number])
            new = line.call("replace")
            assert line.direct.load("key") == (b"new", new)
            line.proxy.cut_request_after(COUNTS[number])
            line.assert_unavailable("create")
            assert line.direct.load("new") is None
            line.assert_recovered()

    together(len(COUNTS), cut)


def test_large_data_cut_short(line: Line) -> None:
    """In the middle of the data, on the way there and back."""
    data = bytes(200_000)
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


def test_connections_cut_while_idle(line: Line) -> None:
    """By a firewall, or because the server was restarted: the next request does not notice."""
    line.proxy.cut()
    assert line.call("load") == (b"old", line.version)


# -- the server refuses


def test_wrong_password(mongodb_server: MongoDBServer) -> None:
    """Unavailable; neither name nor password is shown, nor in the causes."""
    address = mongodb_server.url.removeprefix("mongodb://")
    store = MongoDBStore(f"mongodb://somebody:s3cr3t@{address}/")

    for operation in ("load", "create"):
        with within_the_limit(), pytest.raises(StoreUnavailable, match="code 18") as caught:
            OPERATIONS[operation](store, None)
        shown = "".join(traceback.format_exception(caught.value))
        assert "s3cr3t" not in shown
        assert "somebody" not in shown
    store.close()


def test_a_refusal_does_not_show_the_server_s_words(mongodb_server: MongoDBServer) -> None:
    """They may quote the command, with key and data; here, a name that is too long."""
    store = MongoDBStore(mongodb_server.url, collection="s3cr3t" * 50)
    with pytest.raises(StoreUnavailable, match="code 73") as caught:
        store.save("key", b"data", expires_at=LATER, replacing=None)
    assert "s3cr3t" * 2 not in "".join(traceback.format_exception(caught.value))
    store.close()


# -- threads, processes, greenlets


def test_threads_through_a_bad_connection(line: Line) -> None:
    """Each gets its own answer or an error, never another's answer."""
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
    store = MongoDBStore(f"{mongodb_server.url}/?timeoutMS=5000", collection=new_key())
    store.close()
    answers = together(8, lambda _: store.save("key", b"", expires_at=LATER, replacing=None))
    assert len([answer for answer in answers if answer is not None]) == 1
    store.close()


GEVENT = """
from gevent import monkey; monkey.patch_all()
import sys, time
import gevent
from wsgi_sessions.stores.mongodb import MongoDBStore
later = time.time() + 3600
store = MongoDBStore(sys.argv[1], collection=sys.argv[2])
keys = [f"key{number}" for number in range(20)]
for key in keys:
    store.save(key, key.encode(), expires_at=later, replacing=None)
answers = []
def use(key):
    for _ in range(20):
        answers.append(store.load(key).data == key.encode())
for round in range(5):
    greenlets = [gevent.spawn(use, key) for key in keys]
    gevent.sleep(0.003 * round)
    gevent.killall(greenlets[::2])
    gevent.joinall(greenlets[1::2], raise_error=True)
gevent.joinall([gevent.spawn(use, key) for key in keys], raise_error=True)
store.close()
assert len(answers) > 900 and all(answers)
print("all right")
"""


def test_gevent(mongodb_server: MongoDBServer) -> None:
    """Greenlets that are killed in the middle of a command leave no answer to the next one."""
    result = subprocess.run(
        [sys.executable, "-c", GEVENT, f"{mongodb_server.url}/?timeoutMS=5000", new_key()],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert result.stdout == "all right\n", result.stderr


def test_a_client_handed_in_has_its_own_patience(line: Line) -> None:
    """Its timeouts are not changed, and a lost answer is found out with it too."""
    url = f"mongodb://127.0.0.1:{line.proxy.port}/?socketTimeoutMS=300&retryWrites=false"
    with MongoClient(url) as client:
        store = MongoDBStore(client, collection=new_key())
        version = store.save("key", b"old", expires_at=LATER, replacing=None)
        line.proxy.stop_reply_after(0)
        with within_the_limit():
            new = OPERATIONS["replace"](store, version)
        assert store.load("key") == (b"new", new)
