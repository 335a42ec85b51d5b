"""Problems with a table of DynamoDB, and their remedies."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from wsgi_sessions.cli.checks.checks import (
    check_clients,
    check_load_time,
    check_operations,
    check_route,
    not_checked,
)
from wsgi_sessions.cli.checks.finding import Finding, Level
from wsgi_sessions.errors import StoreUnavailable
from wsgi_sessions.stores.dynamodb import DynamoDBStore


def check(store: DynamoDBStore) -> Iterator[Finding]:
    """Route, table, index, time to live and billing. Nothing is stored where that would change the
    table. The clock is checked by DynamoDB, which refuses requests with a signature of another
    hour."""
    yield from check_clients("dynamodb")
    route = store.route()
    if route:  # for a table that was handed in, that is the application's affair
        yield from check_route(route)
    try:
        table = store.description()
        ttl = store.ttl() if table else {}
    except StoreUnavailable as error:
        yield not_checked("table, index and time to live", error)
        lists = True
    else:
        if table is None:
            yield _missing(store)
            return
        findings = [*_look_at(table, ttl, store)]
        yield from findings
        if any(finding.level is Level.ERROR for finding in findings):
            return
        if store.create and any(finding.statements for finding in findings):
            return
        lists = _is_active(_index_of(table, json.loads(store.ddl)))
    yield check_load_time(store, "DynamoDB")
    yield check_operations(store, lists=lists)


def _missing(store: DynamoDBStore) -> Finding:
    what = f"table {json.loads(store.ddl)['TableName']} does not exist"
    if store.create:
        return Finding(Level.NOTE, f"{what}: the first session makes it", statements=store.ddl)
    return Finding(
        Level.ERROR,
        what,
        "with create=false the store does not make it",
        "aws dynamodb create-table --cli-input-json with the request below",
        store.ddl,
    )


def _look_at(
    table: Mapping[str, Any], ttl: Mapping[str, Any], store: DynamoDBStore
) -> Iterator[Finding]:
    wanted = json.loads(store.ddl)
    yield _check_key(table, wanted)
    yield _check_index(table, wanted, create=store.create)
    yield _check_ttl(table["TableName"], ttl, create=store.create)
    yield _check_billing(table)


def _lacking(what: str, why: str, remedy: str, statements: str, *, create: bool) -> Finding:
    """What the store adds by itself, if it may."""
    if create:
        return Finding(Level.NOTE, f"{what}: the first new session adds it", statements=statements)
    return Finding(Level.WARNING, what, why, remedy, statements)


def _check_key(table: Mapping[str, Any], wanted: Mapping[str, Any]) -> Finding:
    what = f"table {table['TableName']}"
    if table["KeySchema"] == wanted["KeySchema"]:
        return Finding(Level.OK, f"{what} has the key that it should")
    return Finding(
        Level.ERROR,
        f"{what} has another key than the store's",
        "it is another program's, or was made by hand",
        "another table, or the request below for a new one",
        json.dumps(wanted, indent=2),
    )


def _index_of(table: Mapping[str, Any], wanted: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The index of owners, if the table has it."""
    [index] = wanted["GlobalSecondaryIndexes"]
    for found in table.get("GlobalSecondaryIndexes", ()):
        if all(found[name] == index[name] for name in ("IndexName", "KeySchema")):
            return dict(found)
    return None


def _is_active(index: Mapping[str, Any] | None) -> bool:
    return index is not None and index.get("IndexStatus", "ACTIVE") == "ACTIVE"


def _check_index(table: Mapping[str, Any], wanted: Mapping[str, Any], *, create: bool) -> Finding:
    found = _index_of(table, wanted)
    if found is not None:
        if not _is_active(found):
            return Finding(Level.NOTE, "the index of owners is still being built")
        return Finding(Level.OK, "the index of owners is there")
    [index] = wanted["GlobalSecondaryIndexes"]
    request = {
        "TableName": table["TableName"],
        "AttributeDefinitions": wanted["AttributeDefinitions"],
        "GlobalSecondaryIndexUpdates": [{"Create": index}],
    }
    return _lacking(
        "the table has no index of owners",
        "the sessions of an owner are not found, and cannot be ended together",
        "aws dynamodb update-table --cli-input-json with the request below",
        json.dumps(request, indent=2),
        create=create,
    )


def _check_ttl(name: str, ttl: Mapping[str, Any], *, create: bool) -> Finding:
    attribute, on = ttl.get("AttributeName"), ttl["TimeToLiveStatus"] in ("ENABLED", "ENABLING")
    why = "nobody removes what has expired, and the table grows forever"
    command = (
        f"aws dynamodb update-time-to-live --table-name {name} "
        f"--time-to-live-specification Enabled=true,AttributeName=expiration"
    )
    if not on:
        what, remedy = "time to live is off", "run the command below"
        return _lacking(what, why, remedy, command, create=create)
    if attribute == "expiration":
        return Finding(Level.OK, "time to live removes what has expired")
    return Finding(
        Level.WARNING,
        f"time to live looks at another attribute, {attribute}",
        why,
        "another table, or switch that off and run the command below",
        command,
    )


def _check_billing(table: Mapping[str, Any]) -> Finding:
    if table.get("BillingModeSummary", {}).get("BillingMode") == "PAY_PER_REQUEST":
        return Finding(Level.OK, "the table is paid by request")
    given = table["ProvisionedThroughput"]
    read, write = given["ReadCapacityUnits"], given["WriteCapacityUnits"]
    return Finding(
        Level.NOTE,
        f"the table has a fixed capacity: {read} reads of 4 KB, {write} writes of 1 KB a second",
        "beyond it requests are refused, and the store is unavailable",
        "auto scaling, or payment by request",
    )
