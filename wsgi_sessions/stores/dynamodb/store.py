"""Sessions in Amazon DynamoDB, through boto3.

A record is one item of one table; :mod:`wsgi_sessions.stores.dynamodb.table` has its form.

How this works, and the rules for maintainers:

* Every operation is one request for one item, which DynamoDB does as a whole or not at all.
* Every save names the version that it makes, and accepts an item that already has it: repeated, it
  matches what the first one left, or does what the first one did not. If it does neither, it was
  refused, or done and something else done on top of it; nobody can know, so it is an error.
* A creation is never sent again by this store if the answer was lost: the first one could arrive
  last, after the record was deleted, and bring it back. It is only looked for.
* An answer that was cut off looks like an empty one to boto3: an answer without an item counts
  only if it says what it cost.
* Expiry is part of every condition. DynamoDB removes what has expired days later.
"""

from __future__ import annotations

import math
import secrets
from collections.abc import Callable, Hashable, Iterator, Sequence
from decimal import Decimal
from typing import Any
from urllib.parse import unquote, urlsplit

from wsgi_sessions.errors import ConfigurationError
from wsgi_sessions.stores.base import Route, Stored, system_clock
from wsgi_sessions.stores.dynamodb.client import RepeatableFault, Table
from wsgi_sessions.stores.dynamodb.connections import Connections
from wsgi_sessions.stores.dynamodb.table import EXPIRY, INDEX, KEY, description_of, ttl_of
from wsgi_sessions.stores.listing import places
from wsgi_sessions.stores.timeouts import DEFAULT_TIMEOUTS, Timeouts, check_timeouts
from wsgi_sessions.stores.url_options import FLAG, TEXT, take_options

__all__ = ["DynamoDBStore"]

LAST_SECOND = 253_402_300_799
"""The end of the year 9999, the last that tools can show."""

_LIVE = "#expiration > :now"
_NAMES = {f"#{name}": name for name in ("data", "version", "owner", "listed_at", EXPIRY)}

Item = dict[str, Any]


class DynamoDBStore:
    """Sessions in a table of DynamoDB.

    *table_or_name* is the table's name or a table of boto3,
    ``boto3.resource("dynamodb").Table("sessions")``. With a name the store makes a client of its
    own in each process, which connects on first use, with *timeouts*: by default it waits a
    quarter of a second to connect and half a second for an answer, asks a second time where that
    is safe, and reports every fault within 1.5 s. *region* and *endpoint_url* are by default those
    of boto3's configuration; credentials are found by boto3, in the environment, a profile or a
    role. A table handed in is used as it is, with the timeouts and retries of its client (boto3's
    own are a minute and ten), and is not closed; where that client repeats a save by itself and
    something else was saved in between, the answer is "refused".

    Reads are consistent, except for :meth:`keys_of`: the index of owners follows the records
    within about a second, so a session that was stored in this moment may be missing there, and
    one that was deleted may still be listed.

    What has expired is decided by this host's clock, for every operation, in whole seconds rounded
    up. DynamoDB then removes it by its time to live, within days. The table, its index and its
    time to live are made on first use; each process looks for them when it stores its first new
    session, two requests more. DynamoDB takes some seconds to make a table, and during this time
    the store is unavailable. *create* false leaves that to you: :attr:`ddl` is the request.

    Raises :exc:`~wsgi_sessions.ConfigurationError` for a table or a place that cannot be, and where
    boto3 is not installed.
    """

    max_bytes = 400_000
    """An item has at most 400 KB, 409,600 bytes; names, key and owner take some of it."""

    def __init__(
        self,
        table_or_name: Table | str = "wsgi_sessions",
        *,
        region: str | None = None,
        endpoint_url: str | None = None,
        create: bool = True,
        timeouts: Timeouts = DEFAULT_TIMEOUTS,
        clock: Callable[[], float] = system_clock,
    ) -> None:
        self.create: bool = create
        self._connections = Connections(
            table_or_name, region, endpoint_url, check_timeouts(timeouts), create=create
        )
        self._clock = clock
        self._places = places(clock)

    @classmethod
    def from_url(cls, url: str, **options: Any) -> DynamoDBStore:
        """The store for ``dynamodb://region/table?endpoint_url=https://…&create=true``, with
        ``connect_timeout`` and ``answer_timeout``. Without a region, ``dynamodb:///table``, it is
        that of boto3's configuration. *options* are those of the constructor.
        """
        address, given = take_options(url, {"endpoint_url": TEXT, "create": FLAG})
        parts = urlsplit(address)
        if parts.query or parts.fragment:
            name = parts.query.partition("=")[0] or "#"
            raise ConfigurationError(
                f"dynamodb:// has no option {name!r}; known: answer_timeout, connect_timeout, "
                f"create, endpoint_url"
            )
        if set(parts.netloc) & set("@:"):
            raise ConfigurationError(
                "dynamodb:// takes a region and neither user nor port: boto3 finds credentials in "
                "the environment, a profile or a role, and the server by ?endpoint_url="
            )
        table = [unquote(parts.path[1:])] if parts.path[1:] else []
        return cls(*table, **{"region": parts.netloc or None, **options, **given})

    def __repr__(self) -> str:
        return f"<DynamoDBStore {self._connections.name}>"

    def load(self, key: str) -> Stored | None:
        """One consistent read. An item that is not of this store's shape is missing."""
        item = self._connections.run(lambda table: _get(table, key))
        data, version = item.get("data"), item.get("version")
        end = item.get(EXPIRY)
        if not (isinstance(version, Decimal) and isinstance(end, Decimal)) or end <= self._now():
            return None
        value = getattr(data, "value", None)
        return Stored(value, int(version)) if type(value) is bytes else None

    def save(
        self, key: str, data: bytes, *, expires_at: float, replacing: Hashable | None
    ) -> Hashable | None:
        """One conditional write; a second one if the answer to the first was lost. The owner that
        the record has stays."""
        return self._save(key, data, expires_at, replacing, "", {})

    def save_owned(
        self,
        key: str,
        data: bytes,
        *,
        expires_at: float,
        replacing: Hashable | None,
        owner: str | None,
        was: str | None,
    ) -> Hashable | None:
        """The same, and the record is listed under *owner* alone, in one write: owner and record
        are one item. It keeps its place in the list if it *was* listed there."""
        if owner is None:
            return self._save(key, data, expires_at, replacing, " REMOVE #owner, #listed_at", {})
        listed = "if_not_exists(#listed_at, :listed_at)" if owner == was else ":listed_at"
        change = f", #owner = :owner, #listed_at = {listed}"
        entry = {"owner": owner, "listed_at": next(self._places)}
        return self._save(key, data, expires_at, replacing, change, entry)

    def delete(self, key: str) -> None:
        """One write; a second one if the answer to the first was lost."""
        self._connections.run(
            lambda table: table.meta.client.delete_item(TableName=table.name, Key={KEY: key})
        )

    def keys(self) -> Iterator[str]:
        """One consistent read for each megabyte of the table."""
        for page in self._pages("scan", f"attribute_exists(#version) AND {_LIVE}"):
            yield from page

    def keys_of(self, owner: str) -> Sequence[str]:
        """The keys of the live records of *owner*, in the order in which they were listed. One
        read of the index for each megabyte, which may be a second behind the records."""
        pages = self._pages("query", _LIVE, owner=owner)
        return [key for page in pages for key in page]

    @property
    def ddl(self) -> str:
        """What *create* makes, as JSON: the request for ``aws dynamodb create-table
        --cli-input-json``. The time to live is another request, see ``wsgi-sessions check``."""
        return self._connections.ddl()

    def description(self) -> dict[str, Any] | None:
        """What DynamoDB says of the table, for operators; ``None`` if there is none. One request.
        Raises :exc:`~wsgi_sessions.StoreUnavailable`, for a refusal too."""
        return self._connections.run(description_of)

    def ttl(self) -> dict[str, Any]:
        """What DynamoDB says of the table's time to live, for operators. One request."""
        return self._connections.run(ttl_of)

    def route(self) -> Route | None:
        """How the server is reached; ``None`` for a table that was handed in. No I/O."""
        if not self._connections.own:
            return None
        parts = urlsplit(self._connections.current().meta.client.meta.endpoint_url)
        host = parts.hostname or ""
        return Route((host,), encrypted=parts.scheme == "https", verified=True, password=True)

    def close(self) -> None:
        """Close the connections of this process, unless the table was handed in. A later use
        connects again."""
        self._connections.close()

    def _save(
        self,
        key: str,
        data: bytes,
        expires_at: float,
        replacing: Hashable | None,
        change: str,
        entry: Item,
    ) -> Hashable | None:
        """*change* is what an update does to the owner besides, *entry* what a new item has."""
        version = secrets.randbits(63)
        if expires_at <= self._clock():
            return version if self._compare_and_delete(key, replacing) else None
        end = math.ceil(min(expires_at, LAST_SECOND))
        content = {"data": data, "version": version, EXPIRY: end}
        if replacing is None:
            saved = self._create({KEY: key, **content, **entry})
        else:
            values = {**content, **entry, "replacing": replacing, "now": self._now()}
            update = f"SET #data = :data, #version = :version, #{EXPIRY} = :{EXPIRY}{change}"
            saved = self._connections.accepted(lambda table: _update(table, key, update, values))
        return version if saved else None

    def _create(self, item: Item) -> bool:
        """Store it where no record is, or one that has expired."""
        self._connections.prepare()
        free = f"attribute_not_exists(#id) OR #{EXPIRY} <= :now OR #version = :version"
        values = {"now": self._now(), "version": item["version"]}
        return self._connections.accepted(
            lambda table: _put(table, item, free, values),
            again=lambda table: _get(table, item[KEY]).get("version") == item["version"],
        )

    def _compare_and_delete(self, key: str, replacing: Hashable | None) -> bool:
        """Delete that version. What would be created already ended is only looked for."""
        if replacing is None:
            end = self._connections.run(lambda table: _get(table, key)).get(EXPIRY, 0)
            return bool(end <= self._now())
        values = {"replacing": replacing, "now": self._now()}
        wanted = f"#version = :replacing AND {_LIVE}"
        return self._connections.accepted(lambda table: _delete(table, key, wanted, values))

    def _pages(self, operation: str, wanted: str, owner: str | None = None) -> Iterator[list[str]]:
        """The keys of the items that *wanted* admits, a page at a time."""
        values: Item = {"now": self._now()}
        arguments: Item = {"ProjectionExpression": "#id", "FilterExpression": wanted}
        if owner is None:
            arguments["ConsistentRead"] = True
        else:
            values["owner"] = owner
            arguments |= {"IndexName": INDEX, "KeyConditionExpression": "#owner = :owner"}
        names = f"#id {wanted} {arguments.get('KeyConditionExpression', '')}"
        arguments |= _bound(names, values)
        while True:
            answer = self._connections.run(lambda table: _page(table, operation, arguments))
            yield [item[KEY] for item in answer["Items"]]
            if not answer.get("LastEvaluatedKey"):
                return
            arguments["ExclusiveStartKey"] = answer["LastEvaluatedKey"]

    def _now(self) -> int:
        """Whole seconds, as the expiries have."""
        return math.floor(self._clock())


def _bound(expression: str, values: Item) -> Item:
    """The names that *expression* uses, and *values* under theirs."""
    names = {"#id": KEY, **_NAMES}
    return {
        "ExpressionAttributeNames": {
            name: meant for name, meant in names.items() if name in expression
        },
        "ExpressionAttributeValues": {f":{name}": value for name, value in values.items()},
    }


def _get(table: Table, key: str) -> Item:
    """The item, empty if there is none. Asks what it cost, so that an answer which was cut off
    does not look like that."""
    answer = table.meta.client.get_item(
        TableName=table.name, Key={KEY: key}, ConsistentRead=True, ReturnConsumedCapacity="TOTAL"
    )
    item: Item = answer.get("Item", {})
    if not item and "ConsumedCapacity" not in answer:
        raise _cut_off()
    return item


def _page(table: Table, operation: str, arguments: Item) -> Item:
    answer: Item = getattr(table.meta.client, operation)(TableName=table.name, **arguments)
    if "Items" not in answer:
        raise _cut_off()
    return answer


def _put(table: Table, item: Item, condition: str, values: Item) -> bool:
    request = {"Item": item, "ConditionExpression": condition, **_bound(condition, values)}
    return _is_met(table, "put_item", request)


def _update(table: Table, key: str, update: str, values: Item) -> bool:
    condition = f"(#version = :replacing OR #version = :version) AND {_LIVE}"
    request = {
        "Key": {KEY: key},
        "UpdateExpression": update,
        "ConditionExpression": condition,
        **_bound(update + condition, values),
    }
    return _is_met(table, "update_item", request)


def _delete(table: Table, key: str, condition: str, values: Item) -> bool:
    request = {"Key": {KEY: key}, "ConditionExpression": condition, **_bound(condition, values)}
    return _is_met(table, "delete_item", request)


def _is_met(table: Table, operation: str, request: Item) -> bool:
    """Whether a write was done, because its condition was met."""
    client = table.meta.client
    try:
        getattr(client, operation)(TableName=table.name, **request)
    except client.exceptions.ConditionalCheckFailedException:
        return False
    return True


def _cut_off() -> RepeatableFault:
    return RepeatableFault("DynamoDB's answer was cut off", applied=None, connection=True)
