"""The table: its attributes, its index, and how it is made.

An item is a record::

    {"id": key, "data": binary, "version": number, "expiration": seconds,
     "owner": string, "listed_at": number}

The last two are only in records of owners. The key and the expiry have the names that
Flask-Session gives them, so that its table can be kept: a table has one key and one attribute for
its time to live.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from wsgi_sessions.errors import StoreUnavailable
from wsgi_sessions.stores.dynamodb.client import Table, TableMissing, code_of, faults_translated

__all__ = ["EXPIRY", "INDEX", "KEY", "description_of", "ensure_table", "request_for", "ttl_of"]

KEY, EXPIRY = "id", "expiration"
INDEX = "owners"

_KEY_SCHEMA = [{"AttributeName": KEY, "KeyType": "HASH"}]
_OWNERS: Mapping[str, Any] = {
    "IndexName": INDEX,
    "KeySchema": [
        {"AttributeName": "owner", "KeyType": "HASH"},
        {"AttributeName": "listed_at", "KeyType": "RANGE"},
    ],
    "Projection": {"ProjectionType": "INCLUDE", "NonKeyAttributes": [EXPIRY]},
}
_INDEXED = [
    {"AttributeName": "owner", "AttributeType": "S"},
    {"AttributeName": "listed_at", "AttributeType": "N"},
]
_IN_PROGRESS = ("ResourceInUseException", "LimitExceededException")


def request_for(name: str) -> dict[str, Any]:
    """The arguments of CreateTable. Paid by request, so that no capacity has to be foreseen."""
    return {
        "TableName": name,
        "AttributeDefinitions": [{"AttributeName": KEY, "AttributeType": "S"}, *_INDEXED],
        "KeySchema": _KEY_SCHEMA,
        "GlobalSecondaryIndexes": [dict(_OWNERS)],
        "BillingMode": "PAY_PER_REQUEST",
    }


def description_of(table: Table) -> dict[str, Any] | None:
    """What DescribeTable says; ``None`` if there is no such table. One call."""
    try:
        with faults_translated():
            found: dict[str, Any] = table.meta.client.describe_table(TableName=table.name)["Table"]
    except TableMissing:
        return None
    return found


def ttl_of(table: Table) -> dict[str, Any]:
    """What DescribeTimeToLive says. One call."""
    with faults_translated():
        answer = table.meta.client.describe_time_to_live(TableName=table.name)
    found: dict[str, Any] = answer["TimeToLiveDescription"]
    return found


def ensure_table(table: Table) -> None:
    """Make the table, its index and its time to live where they are missing. Two calls where none
    is. Others may do it at the same time.

    Raises :exc:`TableMissing` while DynamoDB is making the table, which takes it some seconds.
    """
    found = description_of(table) or _create_table(table)
    if found["TableStatus"] == "CREATING":
        raise TableMissing(
            f"DynamoDB is making the table {table.name}, which takes some seconds", applied=False
        )
    if found["KeySchema"] != _KEY_SCHEMA:
        raise StoreUnavailable(
            f"the table {table.name} has another key than this store's, which is {KEY!r}: use "
            f"another table",
            applied=False,
        )
    if not any(index["IndexName"] == INDEX for index in found.get("GlobalSecondaryIndexes", ())):
        _create_index(table, found)
    if ttl_of(table)["TimeToLiveStatus"] == "DISABLED":
        _enable_ttl(table)


def _create_table(table: Table) -> dict[str, Any]:
    made = _call(table, "create_table", **request_for(table.name))
    if made is None:  # somebody else was first
        return description_of(table) or {"TableStatus": "CREATING"}
    description: dict[str, Any] = made["TableDescription"]
    return description


def _create_index(table: Table, found: Mapping[str, Any]) -> None:
    """DynamoDB fills it in the background; until then owners are not found."""
    index = dict(_OWNERS)
    if found.get("BillingModeSummary", {}).get("BillingMode") != "PAY_PER_REQUEST":
        given = found["ProvisionedThroughput"]
        index["ProvisionedThroughput"] = {
            unit: given[unit] for unit in ("ReadCapacityUnits", "WriteCapacityUnits")
        }
    _call(
        table,
        "update_table",
        TableName=table.name,
        AttributeDefinitions=[*found["AttributeDefinitions"], *_INDEXED],
        GlobalSecondaryIndexUpdates=[{"Create": index}],
    )


def _enable_ttl(table: Table) -> None:
    expires = {"Enabled": True, "AttributeName": EXPIRY}
    _call(table, "update_time_to_live", TableName=table.name, TimeToLiveSpecification=expires)


def _call(table: Table, operation: str, **arguments: Any) -> dict[str, Any] | None:
    """``None`` if somebody else is doing the same at this moment."""
    from botocore.exceptions import ClientError

    with faults_translated():
        try:
            answer: dict[str, Any] = getattr(table.meta.client, operation)(**arguments)
        except ClientError as error:
            enabled = "already enabled" in str(error)
            if enabled or code_of(error) in _IN_PROGRESS:
                return None
            raise
    return answer
