"""Problems at a MongoDB server, and their remedies."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from wsgi_sessions.cli.checks.checks import (
    COUNT_LIMIT,
    check_clients,
    check_clock,
    check_expired,
    check_load_time,
    check_operations,
    check_route,
    check_version,
    not_checked,
)
from wsgi_sessions.cli.checks.finding import Finding, Level
from wsgi_sessions.errors import StoreUnavailable
from wsgi_sessions.stores.mongodb import MongoDBStore

MINIMUM = "4.0"


def check(store: MongoDBStore) -> Iterator[Finding]:
    """Server, route to it, indexes, and what has expired."""
    route = store.route()
    yield from check_clients("mongodb")
    yield check_load_time(store, "MongoDB")
    if route:  # for a client that was handed in, that is the application's affair
        yield from check_route(route)
    yield check_version("MongoDB", store.command("buildInfo")["version"], MINIMUM)
    yield check_clock(lambda: _server_time(store))
    yield _check_replication(store.command("hello"))
    try:
        indexes = store.indexes()
    except StoreUnavailable as error:
        yield not_checked("collection and indexes", error)
        yield check_operations(store)
        return
    yield from _check_indexes(indexes, store.ddl, store.create)
    if indexes is None:
        return
    yield check_expired(store.expired(COUNT_LIMIT))
    yield check_operations(store)


def _server_time(store: MongoDBStore) -> float:
    local: datetime = store.command("hello")["localTime"]
    return local.replace(tzinfo=UTC).timestamp()


def _check_replication(hello: dict[str, Any]) -> Finding:
    if hello.get("setName") or hello.get("msg") == "isdbgrid":
        return Finding(Level.OK, "a replica set or a cluster; writes wait for a majority")
    return Finding(
        Level.NOTE,
        "the server is no member of a replica set",
        "writes wait for it alone, and sessions are as safe as its disk",
        "a replica set, if that matters",
    )


def _check_indexes(
    indexes: list[dict[str, Any]] | None, ddl: str, create: bool
) -> Iterator[Finding]:
    if indexes is None:
        level, then = (
            (Level.NOTE, ": the first session makes it")
            if create
            else (Level.ERROR, ", and with create=false the store makes no indexes")
        )
        yield Finding(level, f"the collection is not there{then}", statements=ddl)
        return
    on_expiry = [index for index in indexes if index["key"][0][0] == "expires_at"]
    if any("expireAfterSeconds" in index for index in on_expiry):
        yield Finding(Level.OK, "TTL index on the collection")
    elif on_expiry:
        yield Finding(
            Level.WARNING,
            "the index on the expiry is no TTL index",
            "the server does not remove what has expired",
            "a server with TTL indexes and the commands below, or purge() regularly",
            ddl,
        )
    else:
        yield Finding(
            Level.WARNING,
            "no index on the expiry",
            "the server does not remove what has expired",
            "run the commands below with mongosh",
            ddl,
        )
    if not any(index["key"][0][0] == "owner" for index in indexes):
        yield Finding(
            Level.WARNING,
            "no index on the owner",
            "the sessions of an owner are looked for among all sessions",
            "run the commands below with mongosh",
            ddl,
        )
