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
        collections = store.indexes()
    except StoreUnavailable as error:
        yield not_checked("collections and indexes", error)
        yield check_operations(store)
        return
    what = ("sessions", "owners of sessions")
    for held, (name, indexes) in zip(what, collections.items(), strict=True):
        yield from _check_indexes(held, indexes, _ddl(store.ddl, name), store.create)
    if next(iter(collections.values())) is None:
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
    what: str, indexes: list[dict[str, Any]] | None, ddl: str, create: bool
) -> Iterator[Finding]:
    if indexes is None:
        level, then = (
            (Level.NOTE, ": the first session makes it")
            if create
            else (Level.ERROR, ", and with create=false the store makes no indexes")
        )
        yield Finding(level, f"the collection for {what} is not there{then}", statements=ddl)
        return
    on_expiry = [index for index in indexes if index["key"][0][0] == "expires_at"]
    if any("expireAfterSeconds" in index for index in on_expiry):
        yield Finding(Level.OK, f"TTL index on the collection for {what}")
    elif on_expiry:
        yield Finding(
            Level.WARNING,
            f"the index on the expiry of {what} is no TTL index",
            "the server does not remove what has expired",
            "a server with TTL indexes and the commands below, or purge() regularly",
            ddl,
        )
    else:
        yield Finding(
            Level.WARNING,
            f"no index on the expiry of {what}",
            "the server does not remove what has expired",
            "run the commands below with mongosh",
            ddl,
        )


def _ddl(ddl: str, collection: str) -> str:
    """The commands for one of the collections."""
    lines = [line for line in ddl.splitlines() if f'.getCollection("{collection}")' in line]
    return "\n".join(lines)
