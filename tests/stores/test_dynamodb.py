"""DynamoDBStore on a stand-in for the server: the contract, and what is its own."""

# ruff: noqa: F811 - fixtures are imported

from __future__ import annotations

import json
import secrets
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import boto3
import pytest

from tests.servers.dynamodb import REGION, DynamoDBServer, dynamodb_server  # noqa: F401
from tests.support.patience import PATIENT
from wsgi_sessions import DynamoDBStore, open_store
from wsgi_sessions.errors import ConfigurationError, StoreUnavailable
from wsgi_sessions.stores import Timeouts
from wsgi_sessions.testing import ManualClock, StoreContract


@pytest.fixture
def table() -> str:
    """The name of a table that nobody has used."""
    return f"t{secrets.token_hex(6)}"


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def store(dynamodb_server: DynamoDBServer, table: str, clock: ManualClock) -> DynamoDBStore:
    url = dynamodb_server.url(table)
    return DynamoDBStore.from_url(url, timeouts=PATIENT, clock=clock)


@pytest.fixture
def items(dynamodb_server: DynamoDBServer, table: str) -> Any:
    """The table itself, past the library."""
    return dynamodb_server.resource().Table(table)


class TestWithURL(StoreContract):
    """The contract, with a client that the store makes."""

    late = 1

    @pytest.fixture
    def clock(self, clock: ManualClock) -> ManualClock:
        return clock

    @pytest.fixture
    def store(self, store: DynamoDBStore) -> Iterator[DynamoDBStore]:
        yield store
        store.close()


class TestWithTable(StoreContract):
    """The contract, with a table handed in."""

    late = 1

    @pytest.fixture
    def clock(self, clock: ManualClock) -> ManualClock:
        return clock

    @pytest.fixture
    def store(self, items: Any, clock: ManualClock) -> DynamoDBStore:
        return DynamoDBStore(items, clock=clock)


# -- requests


CALLS: dict[str, tuple[Callable[..., Any], str]] = {
    "load": (lambda s, k, v, t: s.load(k), "GetItem"),
    "load nothing": (lambda s, k, v, t: s.load("none"), "GetItem"),
    "replace": (lambda s, k, v, t: s.save(k, b"", expires_at=t, replacing=v), "UpdateItem"),
    "replace, refused": (
        lambda s, k, v, t: s.save(k, b"", expires_at=t, replacing=1),
        "UpdateItem",
    ),
    "create": (lambda s, k, v, t: s.save("new", b"", expires_at=t, replacing=None), "PutItem"),
    "create, refused": (
        lambda s, k, v, t: s.save(k, b"", expires_at=t, replacing=None),
        "PutItem",
    ),
    "login": (
        lambda s, k, v, t: s.save_owned(k, b"", expires_at=t, replacing=v, owner="ann", was=None),
        "UpdateItem",
    ),
    "end": (lambda s, k, v, t: s.save(k, b"", expires_at=0, replacing=v), "DeleteItem"),
    "create ended": (lambda s, k, v, t: s.save("n", b"", expires_at=0, replacing=None), "GetItem"),
    "delete": (lambda s, k, v, t: s.delete(k), "DeleteItem"),
    "keys_of": (lambda s, k, v, t: s.keys_of("ann"), "Query"),
    "keys": (lambda s, k, v, t: list(s.keys()), "Scan"),
}


@pytest.mark.parametrize("call", CALLS)
def test_each_operation_is_one_request(
    dynamodb_server: DynamoDBServer, store: DynamoDBStore, clock: ManualClock, call: str
) -> None:
    """Whatever is there, and whatever the answer."""
    function, request = CALLS[call]
    version = store.save("key", b"data", expires_at=clock() + 60, replacing=None)
    dynamodb_server.requests()
    function(store, "key", version, clock() + 60)
    assert dynamodb_server.requests() == [request]


def test_the_table_is_looked_at_once_and_only_by_what_creates(
    dynamodb_server: DynamoDBServer, store: DynamoDBStore, clock: ManualClock
) -> None:
    """A process that only reads a table which is there asks for nothing else."""
    store.save("key", b"", expires_at=clock() + 60, replacing=None)
    other = DynamoDBStore.from_url(
        dynamodb_server.url(store._connections.name), timeouts=PATIENT, clock=clock
    )
    dynamodb_server.requests()
    other.load("key")
    assert dynamodb_server.requests() == ["GetItem"]
    for key in ("a", "b"):
        other.save(key, b"", expires_at=clock() + 60, replacing=None)
    looks = ["DescribeTable", "DescribeTimeToLive"]
    assert dynamodb_server.requests() == [*looks, "PutItem", "PutItem"]


def test_many_pages_are_read_one_after_the_other(store: DynamoDBStore, clock: ManualClock) -> None:
    """A page ends after a megabyte, in the middle of an owner's sessions too."""
    keys = [f"key{number}" for number in range(8)]
    for key in keys:
        store.save_owned(
            key, bytes(300_000), expires_at=clock() + 60, replacing=None, owner="ann", was=None
        )
    listing = store.keys()
    assert next(listing) in keys
    assert len(list(listing)) == 7
    assert store.keys_of("ann") == keys


# -- the items


def test_the_item(store: DynamoDBStore, items: Any, clock: ManualClock) -> None:
    """Four attributes; the expiry is in whole seconds, rounded up."""
    version = store.save("key", b"\0data", expires_at=3_900_000_000.1, replacing=None)
    assert items.get_item(Key={"id": "key"})["Item"] == {
        "id": "key",
        "data": b"\0data",
        "version": version,
        "expiration": 3_900_000_001,
    }


def test_the_item_of_an_owner(store: DynamoDBStore, items: Any, clock: ManualClock) -> None:
    """Two more; an ordinary save keeps them, and a logout removes them."""
    end = clock() + 60

    def item() -> dict[str, Any]:
        found: dict[str, Any] = items.get_item(Key={"id": "key"})["Item"]
        return found

    version = store.save_owned("key", b"1", expires_at=end, replacing=None, owner="ann", was=None)
    first = item()
    assert (first["owner"], type(first["listed_at"])) == ("ann", Decimal)
    version = store.save("key", b"2", expires_at=end, replacing=version)
    assert (item()["owner"], item()["listed_at"]) == ("ann", first["listed_at"])
    version = store.save_owned(
        "key", b"3", expires_at=end, replacing=version, owner=None, was="ann"
    )
    assert set(item()) == {"id", "data", "version", "expiration"}
    assert store.keys_of("ann") == []


def test_who_is_listed_again_keeps_the_place(store: DynamoDBStore, clock: ManualClock) -> None:
    """A renewal does; who comes from another owner, or from none, goes to the end."""
    versions = {}
    for key in ("a", "b", "c"):
        versions[key] = store.save_owned(
            key, b"", expires_at=clock() + 60, replacing=None, owner="ann", was=None
        )
        clock.advance(1)

    def list_again(key: str, was: str | None) -> None:
        versions[key] = store.save_owned(
            key, b"", expires_at=clock() + 60, replacing=versions[key], owner="ann", was=was
        )

    list_again("a", "ann")
    assert store.keys_of("ann") == ["a", "b", "c"]
    list_again("b", "bob")
    assert store.keys_of("ann") == ["a", "c", "b"]
    list_again("a", None)
    assert store.keys_of("ann") == ["c", "b", "a"]


def test_a_record_over_an_expired_one_has_no_owner_of_it(
    store: DynamoDBStore, clock: ManualClock
) -> None:
    """DynamoDB removes what has expired days later."""
    store.save_owned("key", b"", expires_at=clock() + 60, replacing=None, owner="ann", was=None)
    clock.advance(61)
    assert store.keys_of("ann") == []
    assert store.save("key", b"new", expires_at=clock() + 60, replacing=None) is not None
    assert store.keys_of("ann") == []


@pytest.mark.parametrize("end", [1e12, 1e300, float("inf")])
def test_times_beyond_dates(
    store: DynamoDBStore, items: Any, clock: ManualClock, end: float
) -> None:
    """An end that no date can say is the last one that can be read."""
    store.save("key", b"data", expires_at=end, replacing=None)
    assert items.get_item(Key={"id": "key"})["Item"]["expiration"] == 253_402_300_799
    assert store.load("key").data == b"data"  # type: ignore[union-attr]


@pytest.mark.parametrize(
    "foreign",
    [
        {},
        {"data": b"data", "version": 1},
        {"data": "data", "version": 1, "expiration": 4_000_000_000},
        {"data": b"data", "version": "1", "expiration": 4_000_000_000},
        {"data": b"data", "expiration": 4_000_000_000},
        {"version": 1, "expiration": 4_000_000_000},
        {"val": b"data", "expiration": 4_000_000_000},
    ],
)
def test_a_foreign_item_is_missing(
    store: DynamoDBStore, items: Any, clock: ManualClock, foreign: dict[str, Any]
) -> None:
    """And it is not overwritten."""
    store.save("other", b"", expires_at=clock() + 60, replacing=None)
    items.put_item(Item={"id": "key", **foreign})
    assert store.load("key") is None
    assert store.save("key", b"ours", expires_at=4e9, replacing=None) is None
    assert store.save("key", b"ours", expires_at=4e9, replacing=2) is None
    assert items.get_item(Key={"id": "key"})["Item"] == {"id": "key", **foreign}


def test_the_largest_record(store: DynamoDBStore, clock: ManualClock) -> None:
    """max_bytes fits under the longest key and owner; what does not fit is refused, as a mistake
    of who did not look at max_bytes, and changes nothing."""
    key, end = "k" * 64, clock() + 60
    data = b"x" * store.max_bytes
    version = store.save_owned(
        key, data, expires_at=end, replacing=None, owner="o" * 1024, was=None
    )
    with pytest.raises(Exception, match="Item size to update has exceeded"):
        store.save(key, b"y" * 410_000, expires_at=end, replacing=version)
    assert store.load(key).data == data  # type: ignore[union-attr]


# -- the table


def test_the_table_that_is_made(
    dynamodb_server: DynamoDBServer, store: DynamoDBStore, table: str
) -> None:
    """Its key, the index of owners, payment by request, and a time to live."""
    assert store.load("key") is None
    client = dynamodb_server.client()
    made = client.describe_table(TableName=table)["Table"]
    wanted = json.loads(store.ddl)
    assert wanted["TableName"] == table
    assert made["KeySchema"] == wanted["KeySchema"] == [{"AttributeName": "id", "KeyType": "HASH"}]
    assert made["BillingModeSummary"]["BillingMode"] == "PAY_PER_REQUEST"
    [index], [wanted_index] = made["GlobalSecondaryIndexes"], wanted["GlobalSecondaryIndexes"]
    assert {name: index[name] for name in wanted_index} == wanted_index
    ttl = client.describe_time_to_live(TableName=table)["TimeToLiveDescription"]
    assert ttl == {"TimeToLiveStatus": "ENABLED", "AttributeName": "expiration"}


def test_the_ddl_makes_what_the_store_works_on(
    dynamodb_server: DynamoDBServer, store: DynamoDBStore, table: str, clock: ManualClock
) -> None:
    """With create=False, everything works on it, and nothing is looked at."""
    client = dynamodb_server.client()
    client.create_table(**json.loads(store.ddl))
    url = f"{dynamodb_server.url(table)}&create=false"
    store = DynamoDBStore.from_url(url, timeouts=PATIENT, clock=clock)
    dynamodb_server.requests()
    store.save_owned("key", b"", expires_at=clock() + 60, replacing=None, owner="a", was=None)
    assert store.keys_of("a") == ["key"]
    assert dynamodb_server.requests() == ["PutItem", "Query"]
    ttl = client.describe_time_to_live(TableName=table)["TimeToLiveDescription"]
    assert ttl["TimeToLiveStatus"] == "DISABLED"


def test_create_false_makes_no_table(
    dynamodb_server: DynamoDBServer, table: str, clock: ManualClock
) -> None:
    """It is the operator's then; the message says what to do."""
    url = f"{dynamodb_server.url(table)}&create=false"
    store = DynamoDBStore.from_url(url, timeouts=PATIENT, clock=clock)
    operations: list[Callable[[], object]] = [
        lambda: store.load("key"),
        lambda: store.save("key", b"", expires_at=clock() + 60, replacing=None),
        lambda: store.delete("key"),
        lambda: store.keys_of("ann"),
    ]
    for operation in operations:
        with pytest.raises(StoreUnavailable, match=rf"{table} does not exist.*ddl") as caught:
            operation()
        assert caught.value.applied is False
    assert table not in dynamodb_server.client().list_tables()["TableNames"]


@pytest.mark.parametrize("capacity", [None, {"ReadCapacityUnits": 3, "WriteCapacityUnits": 2}])
def test_a_table_of_flask_session_gets_what_it_lacks(
    dynamodb_server: DynamoDBServer,
    store: DynamoDBStore,
    table: str,
    clock: ManualClock,
    capacity: dict[str, int] | None,
) -> None:
    """The index, with the capacity of the table, and the time to live."""
    client = dynamodb_server.client()
    billing = (
        {"BillingMode": "PROVISIONED", "ProvisionedThroughput": capacity}
        if capacity
        else {"BillingMode": "PAY_PER_REQUEST"}
    )
    client.create_table(
        TableName=table,
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        **billing,
    )
    store.save_owned("key", b"", expires_at=clock() + 60, replacing=None, owner="ann", was=None)
    assert store.keys_of("ann") == ["key"]
    [index] = client.describe_table(TableName=table)["Table"]["GlobalSecondaryIndexes"]
    if capacity:
        assert capacity.items() <= index["ProvisionedThroughput"].items()
    assert store.ttl()["TimeToLiveStatus"] == "ENABLED"


def test_a_table_with_another_key_is_refused(
    dynamodb_server: DynamoDBServer, store: DynamoDBStore, table: str, clock: ManualClock
) -> None:
    """It is unavailable, with the reason, for every operation."""
    dynamodb_server.client().create_table(
        TableName=table,
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
        BillingMode="PAY_PER_REQUEST",
    )
    operations: list[Callable[[], object]] = [
        lambda: store.load("key"),
        lambda: store.save("key", b"", expires_at=clock() + 60, replacing=None),
        lambda: store.save("key", b"", expires_at=clock() + 60, replacing=1),
        lambda: store.delete("key"),
    ]
    for operation in operations:
        with pytest.raises(StoreUnavailable, match="another key"):
            operation()


def test_while_the_table_is_made_the_store_is_unavailable(
    store: DynamoDBStore, monkeypatch: pytest.MonkeyPatch, clock: ManualClock
) -> None:
    """DynamoDB takes some seconds, for which no request is held; then its time to live is set."""
    client = store._connections.current().meta.client
    make = client.create_table

    def make_slowly(**request: Any) -> Any:
        answer = make(**request)
        answer["TableDescription"]["TableStatus"] = "CREATING"
        return answer

    monkeypatch.setattr(client, "create_table", make_slowly)
    with pytest.raises(StoreUnavailable, match="some seconds") as caught:
        store.save("key", b"", expires_at=clock() + 60, replacing=None)
    assert caught.value.applied is False
    assert store.ttl()["TimeToLiveStatus"] == "DISABLED"
    assert store.save("key", b"", expires_at=clock() + 60, replacing=None) is not None
    assert store.ttl()["TimeToLiveStatus"] == "ENABLED"


# -- configuration


@pytest.fixture
def elsewhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> pytest.MonkeyPatch:
    """Without any configuration of boto3."""
    for name in ("AWS_DEFAULT_REGION", "AWS_REGION", "AWS_PROFILE", "AWS_ENDPOINT_URL"):
        monkeypatch.delenv(name, raising=False)
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "none"))
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    return monkeypatch


def test_the_parts_of_the_url(elsewhere: pytest.MonkeyPatch) -> None:
    """Region, table, and the server, of which boto3 knows one for each region."""
    elsewhere.setenv("AWS_DEFAULT_REGION", "us-west-2")
    amazon = "https://dynamodb.{}.amazonaws.com"
    for url, name, region, endpoint in (
        ("dynamodb://eu-west-1/logins", "logins", "eu-west-1", amazon.format("eu-west-1")),
        ("dynamodb://eu-west-1", "wsgi_sessions", "eu-west-1", amazon.format("eu-west-1")),
        ("dynamodb:///my.table", "my.table", "us-west-2", amazon.format("us-west-2")),
        ("dynamodb://", "wsgi_sessions", "us-west-2", amazon.format("us-west-2")),
        ("dynamodb://x/t-1?endpoint_url=http%3A//h:8", "t-1", "x", "http://h:8"),
    ):
        store = open_store(url)
        assert isinstance(store, DynamoDBStore)
        client = store._connections.current().meta.client
        assert (store._connections.current().name, client.meta.region_name) == (name, region)
        assert client.meta.endpoint_url == endpoint
        assert repr(store) == f"<DynamoDBStore {name}>"


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("dynamodb://eu-west-1/t?table=x", "'table'.*endpoint_url"),
        ("dynamodb://eu-west-1/table#x", "no option '#'"),
        ("dynamodb://eu-west-1/table?create=perhaps", "'create' is 'perhaps': true or false"),
        ("dynamodb://eu-west-1/table?endpoint_url=localhost:8000", "https://host:port"),
        ("dynamodb://eu-west-1/table?endpoint_url=http://", "https://host:port"),
        ("dynamodb://key:s3cr3t@eu-west-1/table", "neither user nor port"),
        ("dynamodb://localhost:8000/table", "endpoint_url"),
        ("dynamodb://eu-west-1/my/table", "no name of a DynamoDB table"),
        ("dynamodb://eu-west-1/t", "3 to 255"),
        ("dynamodb://eu_west/table", "no region"),
        ("dynamodb:///table", "dynamodb://eu-west-1/table"),
    ],
)
def test_a_wrong_url_is_refused_at_once(elsewhere: pytest.MonkeyPatch, url: str, says: str) -> None:
    """The message says what is right, and shows no password."""
    with pytest.raises(ConfigurationError, match=says) as caught:
        open_store(url)
    assert "s3cr3t" not in str(caught.value)


def test_a_profile_that_does_not_exist_is_named(elsewhere: pytest.MonkeyPatch) -> None:
    """At construction."""
    elsewhere.setenv("AWS_PROFILE", "nobody")
    with pytest.raises(ConfigurationError, match="nobody"):
        DynamoDBStore(region="eu-west-1")


def resource(kind: str = "dynamodb") -> Any:
    return boto3.resource(
        kind, region_name=REGION, aws_access_key_id="x", aws_secret_access_key="x"
    )


@pytest.mark.parametrize(
    "make",
    [
        resource,
        lambda: resource().meta.client,
        lambda: resource("s3").Bucket("table"),
        lambda: type(resource().Table("table")),
        lambda: boto3,
        lambda: b"table",
        lambda: {"name": "table"},
        lambda: "dynamodb://eu-west-1/table",
    ],
)
def test_what_is_no_table_is_refused(make: Callable[[], Any]) -> None:
    """At construction, not at the first request."""
    with pytest.raises(ConfigurationError, match=r"table|hand in"):
        DynamoDBStore(make(), region=REGION)


def test_the_limits_of_its_own_client(elsewhere: pytest.MonkeyPatch) -> None:
    """A quarter of a second to connect, half a second for an answer, and nothing twice."""
    for timeouts in (Timeouts(), Timeouts(connect=3, answer=4)):
        store = DynamoDBStore("table", region=REGION, timeouts=timeouts)
        config = store._connections.current().meta.client.meta.config
        assert (config.connect_timeout, config.read_timeout) == (timeouts.connect, timeouts.answer)
        assert config.retries == {"total_max_attempts": 1, "mode": "standard"}


def test_without_boto3() -> None:
    """Importing the store needs no boto3; making one says how to get it."""
    script = """if True:
        import sys
        sys.modules["boto3"] = sys.modules["botocore"] = None
        from wsgi_sessions import DynamoDBStore
        try:
            DynamoDBStore()
        except ValueError as error:
            print(error)
    """
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert 'pip install "wsgi-sessions[dynamodb]"' in result.stdout


def test_use_after_close_connects_again(store: DynamoDBStore, clock: ManualClock) -> None:
    """And close is fine twice."""
    assert store.load("key") is None
    store.close()
    store.close()
    assert store.load("key") is None


def test_connections_are_replaced_before_they_are_too_old(
    store: DynamoDBStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What stands between may have forgotten them; within 30 s they are kept."""
    now = time.monotonic()
    fake = SimpleNamespace(monotonic=lambda: now, sleep=time.sleep)
    monkeypatch.setattr("wsgi_sessions.stores.dynamodb.connections.time", fake)
    store.load("key")
    client = store._connections.current().meta.client
    closed = []
    monkeypatch.setattr(client, "close", lambda: closed.append(now))
    for now in (now + 1, now + 29, now + 31, now + 60, now + 62):  # noqa: B007, B020
        store.load("key")
    assert len(closed) == 2


def test_nothing_is_read_from_the_network_when_a_store_is_made(
    elsewhere: pytest.MonkeyPatch,
) -> None:
    """Neither credentials nor the table."""
    elsewhere.delenv("AWS_ACCESS_KEY_ID")
    elsewhere.setattr("socket.socket.connect", lambda *args: pytest.fail("connects"))
    assert repr(DynamoDBStore("table", region=REGION)) == "<DynamoDBStore table>"
