"""What is not so at a MongoDB server."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, unquote, urlsplit

import wsgi_sessions.cli.checks.checks as health
from wsgi_sessions.cli.checks.checks import Finding, Level
from wsgi_sessions.errors import StoreUnavailable
from wsgi_sessions.stores.mongodb import Connection, Connections

if TYPE_CHECKING:
    from wsgi_sessions.stores.mongodb import MongoDBStore

MINIMUM = "4.0"
INSECURE = ("tlsinsecure", "tlsallowinvalidcertificates", "tlsallowinvalidhostnames")


def findings(
    store: MongoDBStore, connections: Connections, url: str, *, create: bool
) -> Iterator[Finding]:
    """As :meth:`~wsgi_sessions.cli.checks.checks.Checkable.findings`."""
    yield from health.clients("mongodb")
    yield health.reach_by_load(store, "MongoDB")
    if url:  # of a client that was handed in, whoever made it knows
        yield from _exposure(url)
    yield health.version("MongoDB", _command(connections, "buildInfo")["version"], MINIMUM)
    yield health.clock(lambda: _server_time(connections))
    yield _replication(_command(connections, "hello"))
    try:
        there = connections.run(
            lambda db: {name: _collection(db, name) for name in ("records", "links")}
        )
    except StoreUnavailable as error:
        yield health.not_asked("collections and indexes", error)
        yield health.probe(store)
        return
    for name, indexes in there.items():
        yield from _indexes(name, indexes, _ddl(store.ddl, connections, name), create)
    if there["records"] is None:
        return
    yield _expired(connections)
    yield health.probe(store)


def _exposure(url: str) -> Iterator[Finding]:
    parts = urlsplit(url)
    query = {name.lower(): values[-1].lower() for name, values in parse_qs(parts.query).items()}
    hosts = unquote(parts.netloc.rpartition("@")[2]).split(",")
    default = "true" if parts.scheme == "mongodb+srv" else "false"
    yield from health.exposure(
        [re.sub(r":\d+$", "", host) for host in hosts],
        encrypted=query.get("tls", query.get("ssl", default)) == "true",
        verified=not any(query.get(name) == "true" for name in INSECURE),
        password="@" in parts.netloc,
    )


def _command(connections: Connections, name: str) -> dict[str, Any]:
    answer: dict[str, Any] = connections.run(lambda db: db.client.admin.command(name))
    return answer


def _server_time(connections: Connections) -> float:
    there: datetime = _command(connections, "hello")["localTime"]
    return there.replace(tzinfo=UTC).timestamp()


def _replication(hello: dict[str, Any]) -> Finding:
    if hello.get("setName") or hello.get("msg") == "isdbgrid":
        return Finding(Level.OK, "a replica set or a cluster; writes wait for a majority")
    return Finding(
        Level.NOTE,
        "the server is no member of a replica set",
        "writes wait for it alone, and sessions are as safe as its disk",
        "a replica set, if that matters",
    )


def _collection(db: Connection, name: str) -> list[dict[str, Any]] | None:
    """The indexes of a collection that is there."""
    documents = getattr(db, name)
    if documents.name not in documents.database.list_collection_names():
        return None
    return list(documents.index_information().values())


def _indexes(
    name: str, indexes: list[dict[str, Any]] | None, ddl: str, create: bool
) -> Iterator[Finding]:
    what = {"records": "sessions", "links": "owners of sessions"}[name]
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


def _ddl(ddl: str, connections: Connections, name: str) -> str:
    """The commands for one of the collections."""
    collection = getattr(connections.current(), name).name
    lines = [line for line in ddl.splitlines() if f'.getCollection("{collection}")' in line]
    return "\n".join(lines)


def _expired(connections: Connections) -> Finding:
    now = datetime.now(UTC)
    ended = {"expires_at": {"$lte": now}}
    count = connections.run(lambda db: db.records.count_documents(ended, limit=health.MOST))
    first = connections.run(lambda db: db.records.find_one(ended, sort=[("expires_at", 1)]))
    age = (now - first["expires_at"].replace(tzinfo=UTC)).total_seconds() if first else 0.0
    return health.expired(count, age)
