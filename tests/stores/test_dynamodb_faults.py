"""What DynamoDBStore does when its server, or the network to it, fails."""

# ruff: noqa: F811 - fixtures are imported

from __future__ import annotations

import gc
import secrets
import signal
import time
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.servers.dynamodb import REGION, DynamoDBServer, dynamodb_server  # noqa: F401
from tests.servers.proxy import FaultProxy
from tests.support.killed_greenlets import assert_killed_greenlets_leave_no_answer
from tests.support.patience import PATIENT, answered, wait_until
from wsgi_sessions import DynamoDBStore
from wsgi_sessions.errors import StoreUnavailable
from wsgi_sessions.stores import DEFAULT_TIMEOUTS, Timeouts
from wsgi_sessions.testing.contract import together

LATER = time.time() + 86_400
LIMIT = 20  # seconds until a fault is reported: 1.5, and the rest for a busy machine; boto3 would
# take ten minutes, by its own timeouts and retries
AWAITED = Timeouts(connect=30, answer=2)  # an answer that does not come ends the wait

OPERATIONS: dict[str, Callable[[DynamoDBStore, Any], Any]] = {
    "load": lambda store, version: store.load("key"),
    "create": lambda store, version: store.save("new", b"new", expires_at=LATER, replacing=None),
    "replace": lambda store, version: store.save(
        "key", b"new", expires_at=LATER, replacing=version
    ),
    "login": lambda store, version: store.save_owned(
        "key", b"new", expires_at=LATER, replacing=version, owner="bob", was="ann"
    ),
    "end": lambda store, version: store.save("key", b"", expires_at=0, replacing=version),
    "delete": lambda store, version: store.delete("key"),
    "keys_of": lambda store, version: store.keys_of("ann"),
    "keys": lambda store, version: list(store.keys()),
}
WRITES = ("create", "replace", "login", "end", "delete")


class Line:
    """A store that reaches the server through a proxy, with *timeouts*, and one beside it that goes
    straight and is patient."""

    def __init__(self, server: DynamoDBServer, timeouts: Timeouts = DEFAULT_TIMEOUTS) -> None:
        self.server, self.table = server, f"t{secrets.token_hex(6)}"
        self.proxy = FaultProxy(server.port)
        self.url = server.url(self.table, self.proxy.port)
        self.store = DynamoDBStore.from_url(self.url, timeouts=timeouts)
        self.direct = DynamoDBStore.from_url(server.url(self.table), timeouts=PATIENT)
        self.version: Any = None

    def __enter__(self) -> Line:
        """With records under "key" and "other"; the store has been used, and looked at its
        table."""
        self.direct.save("other", b"other", expires_at=LATER, replacing=None)
        self.version = self.direct.save_owned(
            "key", b"old", expires_at=LATER, replacing=None, owner="ann", was=None
        )
        answered(lambda: self.store.save("used", b"", expires_at=LATER, replacing=None))
        answered(lambda: self.store.load("key"))
        return self

    def __exit__(self, *error: object) -> None:
        for each in (self.store, self.direct, self.proxy):
            each.close()

    def call(self, operation: str) -> Any:
        started = time.monotonic()
        try:
            return OPERATIONS[operation](self.store, self.version)
        finally:
            assert time.monotonic() - started < LIMIT

    def assert_unavailable(self, *operations: str, applied: bool | None) -> None:
        """For each of them, all at the same time; *applied* is what is said of a write."""

        def call(number: int) -> None:
            with pytest.raises(StoreUnavailable) as caught:
                self.call(operations[number])
            if operations[number] in WRITES:
                assert caught.value.applied is applied, operations[number]

        together(len(operations), call)

    def assert_recovered(self) -> None:
        """It answers again, by itself, and every answer is the right one."""
        for _ in range(10):
            found = answered(lambda: self.store.load("other"))
            assert found is not None
            assert found.data == b"other"
            assert answered(lambda: self.store.load("none")) is None


@pytest.fixture
def line(dynamodb_server: DynamoDBServer) -> Iterator[Line]:
    """With the store's own limits."""
    with Line(dynamodb_server) as line:
        yield line


@pytest.fixture
def patient_line(dynamodb_server: DynamoDBServer) -> Iterator[Line]:
    with Line(dynamodb_server, PATIENT) as line:
        yield line


# -- nothing arrives


def test_refused(line: Line) -> None:
    """Nobody listens: unavailable, nothing was done, and as before when somebody does again."""
    line.proxy.refuse()
    for operation in OPERATIONS:  # the first finds its kept connection closed, and may have asked
        with pytest.raises(StoreUnavailable):
            line.call(operation)
    line.assert_unavailable(*OPERATIONS, applied=False)
    line.proxy.restore()
    line.assert_recovered()
    assert line.store.load("key") == (b"old", line.version)
    assert line.store.load("new") is None


def test_refused_from_the_start(dynamodb_server: DynamoDBServer) -> None:
    """The same for a store that was never connected."""
    line = Line(dynamodb_server)
    try:
        line.proxy.refuse()
        line.assert_unavailable(*OPERATIONS, applied=False)
    finally:
        line.__exit__()


def test_stalled(line: Line) -> None:
    """Connections stand and nothing comes back, to one request or to many: nobody knows what became
    of a write."""
    for operations in (["load"], OPERATIONS):
        line.proxy.stall()
        line.assert_unavailable(*operations, applied=None)
        line.proxy.restore()
        line.assert_recovered()


def test_a_stopped_server(line: Line, dynamodb_server: DynamoDBServer) -> None:
    """It accepts and does not answer; what it was asked it may do when it goes on."""
    dynamodb_server.signal(signal.SIGSTOP)
    try:
        line.assert_unavailable(*OPERATIONS, applied=None)
    finally:
        dynamodb_server.signal(signal.SIGCONT)
    line.assert_recovered()


def test_a_slow_server(line: Line) -> None:
    """An answer that comes too late is not taken for that to a later question."""
    line.proxy.delay(5)
    line.assert_unavailable("load", "keys_of", applied=None)
    line.proxy.restore()
    line.assert_recovered()
    assert line.store.load("key") == (b"old", line.version)


class Forgetful(FaultProxy):
    """Passes nothing on for the connections that were open when :meth:`forget` was called."""

    def __init__(self, port: int) -> None:
        super().__init__(port)
        self._forgotten: set[object] = set()

    def forget(self) -> None:
        self._forgotten.update(self._open_links())

    def _pass_on(self, link: Any, direction: str, data: bytes) -> bytes | None:
        if link in self._forgotten:
            self.holding.set()
            return b""
        return super()._pass_on(link, direction, data)


@pytest.mark.parametrize("operation", ["load", "replace", "delete", "keys_of"])
def test_eight_connections_that_died_without_a_word_cost_one_wait(
    dynamodb_server: DynamoDBServer, operation: str
) -> None:
    """The first request that meets one drops them all, and asks again on a new one."""
    with Line(dynamodb_server, AWAITED) as line, Forgetful(dynamodb_server.port) as proxy:
        url = dynamodb_server.url(line.table, proxy.port)
        line.store = DynamoDBStore.from_url(url, timeouts=AWAITED)
        line.store.load("other")
        proxy.stall()
        with ThreadPoolExecutor(8) as pool:
            loads = [pool.submit(answered, lambda: line.store.load("other")) for _ in range(8)]
            wait_until(lambda: proxy.open_connections >= 8, "eight connections")
            proxy.restore()
            assert all(load.result() for load in loads)
        opened = proxy.accepted
        proxy.forget()
        line.call(operation)
        assert proxy.holding.is_set()
        line.assert_recovered()
        assert proxy.accepted == opened + 1
        gc.collect()  # urllib3 closes what nobody refers to, and an error refers to them
        wait_until(lambda: proxy.open_connections == 1, "the end of the eight")
        line.store.close()


# -- the answer is lost


@pytest.mark.parametrize("loss", [FaultProxy.cut_reply_after, FaultProxy.stop_reply_after])
@pytest.mark.parametrize("count", [0, 20])
def test_a_lost_answer_is_found_out(
    dynamodb_server: DynamoDBServer, loss: Callable[[FaultProxy, int], None], count: int
) -> None:
    """What was done, and nobody heard of it, is reported as done."""
    right: dict[str, Callable[[Line, Any], bool]] = {
        "load": lambda line, answer: answer == (b"old", line.version),
        "create": lambda line, answer: line.direct.load("new") == (b"new", answer),
        "replace": lambda line, answer: line.direct.load("key") == (b"new", answer),
        "login": lambda line, answer: line.direct.keys_of("bob") == ["key"],
        "delete": lambda line, answer: line.direct.load("key") is None,
        "keys_of": lambda line, answer: answer == ["key"],
    }

    def lose(number: int) -> None:
        operation = list(right)[number]
        with Line(dynamodb_server, AWAITED) as line:
            loss(line.proxy, count)
            assert right[operation](line, line.call(operation))
            line.assert_recovered()

    together(len(right), lose)


@pytest.mark.parametrize("operation", ["load", "keys_of", "keys"])
def test_an_answer_cut_off_at_any_byte_is_no_empty_answer(
    patient_line: Line, operation: str
) -> None:
    """boto3 reads a part of the body as if nothing was there."""
    line = patient_line
    right = line.call(operation)
    for count in range(0, 700, 7):  # the answer has about 500 bytes
        line.proxy.cut_reply_after(count)
        assert line.call(operation) == right, count
    line.proxy.restore()


def meanwhile(line: Line, monkeypatch: pytest.MonkeyPatch, do: Callable[[], object]) -> None:
    """Have *do* done after an answer was lost, and before the store asks again."""
    connections = line.store._connections
    forget = connections._forget

    def do_and_forget(table: Any) -> bool:
        do()
        return forget(table)

    monkeypatch.setattr(connections, "_forget", do_and_forget)


def test_a_replacement_that_was_replaced_is_not_called_refused(
    patient_line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its change is in what the other one has replaced: applied again, it would count twice."""
    direct = patient_line.direct

    def replace() -> None:
        found = direct.load("key")
        assert found is not None
        assert found.data == b"new"
        assert direct.save("key", b"newer", expires_at=LATER, replacing=found.version)

    meanwhile(patient_line, monkeypatch, replace)
    patient_line.proxy.cut_reply_after(0)
    patient_line.assert_unavailable("replace", applied=None)
    found = direct.load("key")
    assert found is not None
    assert found.data == b"newer"


def test_a_creation_is_not_sent_again(patient_line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was deleted since does not come back."""
    direct = patient_line.direct

    def delete() -> None:
        assert direct.load("new") is not None
        direct.delete("new")

    meanwhile(patient_line, monkeypatch, delete)
    patient_line.proxy.cut_reply_after(0)
    patient_line.assert_unavailable("create", applied=None)
    assert direct.load("new") is None


def test_an_end_of_which_nobody_heard_is_not_called_refused(patient_line: Line) -> None:
    """Nothing is stored, and that may be our doing."""
    patient_line.proxy.cut_reply_after(0)
    patient_line.assert_unavailable("end", applied=None)
    assert patient_line.direct.load("key") is None


def test_a_question_cut_short(patient_line: Line) -> None:
    """Half a request does nothing; a replacement is sent again, a creation is an error."""
    line = patient_line
    for count in (0, 1, 100, 1000):
        line.proxy.cut_request_after(count)
        line.version = line.call("replace")
        assert line.direct.load("key") == (b"new", line.version)
        line.proxy.cut_request_after(count)
        line.assert_unavailable("create", applied=None)
        assert line.direct.load("new") is None
        line.assert_recovered()


# -- the server fails or refuses


FAILURES = {"InternalServerError": 500, "ServiceUnavailable": 503, "BadGateway": 502}
BUSY = [
    "ProvisionedThroughputExceededException",
    "ThrottlingException",
    "RequestLimitExceeded",
    "TransactionConflictException",
]


@pytest.mark.parametrize("code", FAILURES)
@pytest.mark.parametrize("done", [False, True])
def test_one_failure_of_the_server_is_got_over(patient_line: Line, code: str, done: bool) -> None:
    """What was not done is done by the second attempt, and what was done is found out; except for a
    creation, which is not sent again, and an end, of which nobody can know."""
    line, status = patient_line, FAILURES[code]
    for operation in ("load", "replace", "keys_of", "delete"):
        line.server.fail(code, status, done=done)
        answer = line.call(operation)
        if operation == "replace":
            assert line.direct.load("key") == (b"new", answer)
    line.server.fail(code, status, done=done)
    if done:
        assert line.direct.load("new") is None
        assert line.call("create") == line.direct.load("new").version  # type: ignore[union-attr]
    else:
        line.assert_unavailable("create", applied=None)
        assert line.direct.load("new") is None


@pytest.mark.parametrize("code", FAILURES)
def test_a_server_that_goes_on_failing_is_unavailable(patient_line: Line, code: str) -> None:
    """After two attempts; what became of a write is not known."""
    line = patient_line
    for operation in OPERATIONS:
        line.server.fail(code, FAILURES[code], times=2)
        line.assert_unavailable(operation, applied=None)
    line.assert_recovered()


@pytest.mark.parametrize("code", BUSY)
def test_a_table_without_capacity_is_asked_twice(patient_line: Line, code: str) -> None:
    """Nothing of it was done, so that everything may be sent again, a creation too."""
    line = patient_line
    for operation in OPERATIONS:
        line.server.fail(code, 400, times=2)
        line.assert_unavailable(operation, applied=False)
    line.server.fail(code, 400)
    assert line.call("create") is not None
    line.server.fail(code, 400)
    assert line.call("replace") is not None


REFUSALS = [
    "AccessDeniedException",
    "UnrecognizedClientException",
    "ExpiredTokenException",
    "InvalidSignatureException",
    "MissingAuthenticationTokenException",
]


@pytest.mark.parametrize("code", REFUSALS)
def test_a_refusal_is_unavailable_at_once_and_does_not_show_the_server_s_words(
    patient_line: Line, code: str
) -> None:
    """They may quote the request; nothing was done."""
    line = patient_line
    for operation in OPERATIONS:
        line.server.fail(code, 400, message="s3cr3t")
        line.server.requests()
        with pytest.raises(StoreUnavailable, match=code) as caught:
            line.call(operation)
        assert caught.value.applied is False
        assert "s3cr3t" not in "".join(traceback.format_exception(caught.value))
        assert len(line.server.requests()) == 1
        line.server.fail("", 0, times=0)


def test_what_only_a_bug_can_cause_is_no_outage(patient_line: Line) -> None:
    """A request that DynamoDB does not understand is raised as it is."""
    for operation in OPERATIONS:
        patient_line.server.fail("ValidationException", 400, message="Invalid expression")
        with pytest.raises(Exception, match="Invalid expression") as caught:
            patient_line.call(operation)
        assert not isinstance(caught.value, StoreUnavailable)


@pytest.mark.parametrize(
    ("message", "says"),
    [
        ("The table does not have the specified index: owners", "no index for owners"),
        ("Cannot read from backfilling global secondary index: owners", "still being built"),
        ("The provided key element does not match the schema", "another key"),
    ],
)
def test_a_table_that_is_not_as_it_should_be_is_unavailable(
    patient_line: Line, message: str, says: str
) -> None:
    """DynamoDB says the same as for a request that is wrong."""
    patient_line.server.fail("ValidationException", 400, message=message)
    with pytest.raises(StoreUnavailable, match=says):
        patient_line.call("keys_of")


def test_without_the_right_to_look_at_the_table_sessions_are_stored(
    dynamodb_server: DynamoDBServer, patient_line: Line, caplog: pytest.LogCaptureFixture
) -> None:
    """A role that may only read and write items is a usual one. The log says it once."""
    store = DynamoDBStore.from_url(patient_line.url, timeouts=PATIENT)
    store.load("key")
    dynamodb_server.fail("AccessDeniedException", 400)
    for key in ("a", "b"):
        assert store.save(key, b"", expires_at=LATER, replacing=None) is not None
    [line] = [record.getMessage() for record in caplog.records if record.name == "wsgi_sessions"]
    assert "create=False" in line
    assert patient_line.table in line
    store.close()


@pytest.mark.parametrize(
    ("code", "status"), [("ThrottlingException", 400), ("InternalServerError", 500)]
)
def test_a_fault_while_the_table_is_looked_at_is_one_of_a_save_that_was_not_sent(
    patient_line: Line, code: str, status: int
) -> None:
    """The next new session looks again."""
    store = DynamoDBStore.from_url(patient_line.url, timeouts=PATIENT)
    patient_line.server.fail(code, status)
    with pytest.raises(StoreUnavailable) as caught:
        OPERATIONS["create"](store, None)
    assert caught.value.applied is False
    patient_line.server.requests()
    assert OPERATIONS["create"](store, None) is not None
    assert patient_line.server.requests() == ["DescribeTable", "DescribeTimeToLive", "PutItem"]
    store.close()


def test_without_credentials_the_message_says_where_they_come_from(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    """boto3 looks for them when it is used."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "none"))
    store = DynamoDBStore("table", region=REGION, endpoint_url="http://127.0.0.1:9")
    for operation in OPERATIONS:
        with pytest.raises(StoreUnavailable, match="AWS_ACCESS_KEY_ID") as caught:
            OPERATIONS[operation](store, 1)
        assert caught.value.applied is False


def test_a_table_handed_in_that_repeats_by_itself_is_not_refused_by_its_own_save(
    dynamodb_server: DynamoDBServer, patient_line: Line
) -> None:
    """boto3's own clients send everything again, what was done included."""
    table = dynamodb_server.resource().Table(patient_line.table)
    store = DynamoDBStore(table)
    store.save("other", b"", expires_at=LATER, replacing=None)  # looks at the table too
    dynamodb_server.fail("InternalServerError", 500, done=True)
    version = store.save("mine", b"1", expires_at=LATER, replacing=None)
    assert patient_line.direct.load("mine") == (b"1", version)
    dynamodb_server.fail("InternalServerError", 500, done=True)
    newer = store.save("mine", b"2", expires_at=LATER, replacing=version)
    assert patient_line.direct.load("mine") == (b"2", newer)


# -- threads, greenlets


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
                found = line.store.load(keys[number])
                assert found is not None
                assert found.data == keys[number].encode()
            except StoreUnavailable:
                failed += 1
        return failed

    assert sum(together(len(keys), use)) < 8 * 20 / 2
    line.assert_recovered()


def test_gevent(dynamodb_server: DynamoDBServer) -> None:
    """Greenlets that are killed in the middle of a request leave no answer to the next one."""
    url = f"{dynamodb_server.url(f't{secrets.token_hex(6)}')}&connect_timeout=30&answer_timeout=30"
    assert_killed_greenlets_leave_no_answer(url, loads=5, pause=0.01, more_than=300)
