"""Stores together with somebody who can read and write what they keep, past the library."""

from __future__ import annotations

import itertools
import os
import secrets
import socket
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import unquote

import bson
import pytest
from boto3.dynamodb.types import Binary
from pymongo import MongoClient

from tests.servers.memcached import MemcachedServer
from tests.servers.redis import RedisServer
from tests.support.patience import PATIENT, patient_url
from wsgi_sessions import (
    DynamoDBStore,
    FileStore,
    MemcachedStore,
    MemoryStore,
    MongoDBStore,
    RedisStore,
    SQLAlchemyStore,
    SQLiteStore,
    Store,
)
from wsgi_sessions.stores import Stored

Clock = Callable[[], float]


class RawAccess(Protocol):
    """A store, and raw access to its server, its files or its tables."""

    store: Any
    front: int
    """How many of the bytes under a key are the store's own; the record follows."""

    def raw(self, key: str) -> bytes:
        """What is kept under *key*."""

    def plant(self, key: str, raw: bytes) -> None:
        """Put it there; the expiry stays."""

    def dump(self) -> bytes:
        """All that anybody with access can see, names included."""


class InMemory:
    front = 0

    def __init__(self, request: pytest.FixtureRequest, clock: Clock = time.time) -> None:
        self.store: Store = MemoryStore(clock=clock)

    def raw(self, key: str) -> bytes:
        found = self.store.load(key)
        assert found is not None
        return found.data

    def plant(self, key: str, raw: bytes) -> None:
        found = self.store.load(key)
        assert found is not None
        assert self.store.save(key, raw, expires_at=1e10, replacing=found.version) is not None

    def dump(self) -> bytes:
        records: dict[str, Stored] = vars(self.store)["_records"]
        return repr([vars(self.store), *map(tuple, records.values())]).encode()


class InFiles:
    front = 20

    def __init__(self, request: pytest.FixtureRequest, clock: Clock = time.time) -> None:
        self.directory: Path = request.getfixturevalue("tmp_path") / "sessions"
        self.store = FileStore(self.directory, timeouts=PATIENT, clock=clock)

    def file(self, key: str) -> Path:
        [file] = self.directory.rglob(key.encode().hex())
        return file

    def raw(self, key: str) -> bytes:
        return self.file(key).read_bytes()

    def plant(self, key: str, raw: bytes) -> None:
        file = self.file(key)
        end = file.stat().st_mtime
        file.write_bytes(raw)
        os.utime(file, (end, end))

    def dump(self) -> bytes:
        files = [path for path in self.directory.rglob("*") if path.is_file()]
        names = [bytes.fromhex(path.name) for path in files if path.name != "unfinished"]
        return b"".join([*names, *(path.read_bytes() for path in files)])


class InSQLite:
    """A file that this process reads and writes beside the store."""

    front = 0

    def __init__(self, request: pytest.FixtureRequest, clock: Clock = time.time) -> None:
        self.directory: Path = request.getfixturevalue("tmp_path")
        self.store: Any = self.open(self.directory / "sessions.db", clock)
        request.addfinalizer(self.store.close)

    def open(self, path: Path, clock: Clock) -> Any:
        return SQLiteStore(path, timeouts=PATIENT, clock=clock)

    def execute(self, statement: str, *values: object) -> list[Any]:
        with closing(sqlite3.connect(self.directory / "sessions.db")) as connection, connection:
            return connection.execute(statement, values).fetchall()

    def _key(self, key: str) -> object:
        return key

    def raw(self, key: str) -> bytes:
        [[data]] = self.execute("SELECT data FROM sessions WHERE key = ?", self._key(key))
        return bytes(data)

    def plant(self, key: str, raw: object) -> None:
        self.execute("UPDATE sessions SET data = ? WHERE key = ?", raw, self._key(key))

    def dump(self) -> bytes:
        files = [path.read_bytes() for path in self.directory.iterdir() if path.is_file()]
        return b"".join([*files, repr(self.execute("SELECT * FROM sessions")).encode()])


class InSQLiteBySQLAlchemy(InSQLite):
    def open(self, path: Path, clock: Clock) -> Any:
        return SQLAlchemyStore(f"sqlite+pysqlite:///{path}", timeouts=PATIENT)

    def _key(self, key: str) -> object:
        return key.encode()


class InTables:
    """A table on a database server."""

    front = 0
    numbers = itertools.count()

    def __init__(self, request: pytest.FixtureRequest, server: str) -> None:
        self.server = request.getfixturevalue(f"{server}_server")
        self.name = f"security_{next(self.numbers)}"
        postgresql = server == "postgresql"
        self.column, self.join = (
            ("key", "data || %s") if postgresql else ("`key`", "CONCAT(data, %s)")
        )
        self.store = SQLAlchemyStore.from_url(patient_url(self.server.new_place(self.name)))
        request.addfinalizer(self.store.close)
        self.connection = self.server.connect()
        request.addfinalizer(self.connection.close)

    def execute(self, statement: str, *values: object) -> list[Any]:
        with self.connection.cursor() as cursor:
            cursor.execute(statement, values)
            return list(cursor.fetchall()) if cursor.description else []

    def raw(self, key: str) -> bytes:
        statement = f"SELECT data FROM {self.name}.sessions WHERE {self.column} = %s"
        [[data]] = self.execute(statement, key.encode())
        return bytes(data)

    def plant(self, key: str, raw: bytes) -> None:
        # In pieces: a server takes no statement of any length.
        for start in range(0, len(raw) or 1, 1 << 18):
            data = "%s" if start == 0 else self.join
            statement = f"UPDATE {self.name}.sessions SET data = {data} WHERE {self.column} = %s"
            self.execute(statement, raw[start : start + (1 << 18)], key.encode())

    def dump(self) -> bytes:
        rows = self.execute(f"SELECT * FROM {self.name}.sessions")
        cells = [cell for row in rows for cell in row]
        return b" ".join(
            bytes(cell) if isinstance(cell, (bytes, memoryview)) else repr(cell).encode()
            for cell in cells
        )


class InRedis:
    front = 8

    def __init__(self, request: pytest.FixtureRequest) -> None:
        self.server: RedisServer = request.getfixturevalue("redis_server")
        self.prefix = f"{secrets.token_hex(4)}:"
        self.store = RedisStore(self.server.url, prefix=self.prefix, timeouts=PATIENT)
        request.addfinalizer(self.store.close)

    def raw(self, key: str) -> bytes:
        return bytes(self.server.ask("GET", self.prefix + key))

    def plant(self, key: str, raw: bytes) -> None:
        assert self.server.ask("SET", self.prefix + key, raw, "KEEPTTL")

    def dump(self) -> bytes:
        names = self.server.ask("KEYS", f"{self.prefix}*")
        strings = [name for name in names if self.server.ask("TYPE", name) == b"string"]
        return b"".join(
            [
                *names,
                *(self.server.ask("DUMP", name) for name in names),
                *(self.server.ask("GET", name) for name in strings),  # DUMP may compress
            ]
        )


class InMemcached:
    front = 12

    def __init__(self, request: pytest.FixtureRequest) -> None:
        self.server: MemcachedServer = request.getfixturevalue("memcached")
        self.prefix = f"{secrets.token_hex(4)}:"
        self.store = MemcachedStore(self.server.address, prefix=self.prefix, timeouts=PATIENT)
        request.addfinalizer(self.store.close)

    def raw(self, key: str) -> bytes:
        with self.server.client() as client:
            return client.get(self.prefix + key)

    def plant(self, key: str, raw: bytes) -> None:
        with self.server.client() as client:
            assert client.set(self.prefix + key, raw, noreply=False)

    def dump(self) -> bytes:
        lines = self._all_items()
        names = [unquote(line.split()[0][4:].decode()) for line in lines]
        with self.server.client() as client:
            ours = [client.get(name) for name in names if name.startswith(self.prefix)]
        return b"".join([*lines, *ours])

    def _all_items(self) -> list[bytes]:
        """A line for each. The server passes over items that are in use at the moment, its own
        upkeep included: it is asked until it says the same twice."""
        before: list[bytes] = []
        deadline = time.monotonic() + 30
        while not (lines := self._listing()) or lines != before:
            assert time.monotonic() < deadline, "memcached does not list its items"
            before = lines
        return lines

    def _listing(self) -> list[bytes]:
        """Its answer, empty while it is busy. (pymemcache loses some of so long an answer.)"""
        with (
            socket.create_connection(("127.0.0.1", self.server.port), timeout=30) as connection,
            connection.makefile("rwb") as file,
        ):
            file.write(b"lru_crawler metadump all\r\n")
            file.flush()
            lines = []
            while (line := file.readline()) != b"END\r\n":
                if not line.startswith(b"key="):  # BUSY: it looks for expired items itself
                    return []
                lines.append(line)
        return sorted(lines)


class InMongoDB:
    front = 0

    def __init__(self, request: pytest.FixtureRequest) -> None:
        client: MongoClient[Any] = request.getfixturevalue("mongodb")
        name = secrets.token_hex(8)
        self.documents = client["wsgi_sessions_test"][name]
        self.store = MongoDBStore(client, database="wsgi_sessions_test", collection=name)
        request.addfinalizer(self.documents.drop)

    def raw(self, key: str) -> bytes:
        found = self.documents.find_one({"_id": key})
        assert found is not None
        return bytes(found["data"])

    def plant(self, key: str, raw: object) -> None:
        assert self.documents.update_one({"_id": key}, {"$set": {"data": raw}}).matched_count

    def dump(self) -> bytes:
        return b"".join(bson.encode(document) for document in self.documents.find())


class InDynamoDB:
    front = 0

    def __init__(self, request: pytest.FixtureRequest) -> None:
        server = request.getfixturevalue("dynamodb_server")
        name = f"t{secrets.token_hex(8)}"
        self.items = server.resource().Table(name)
        self.store = DynamoDBStore.from_url(server.url(name), timeouts=PATIENT)
        request.addfinalizer(self.store.close)

    def raw(self, key: str) -> bytes:
        return bytes(self.items.get_item(Key={"id": key})["Item"]["data"].value)

    def plant(self, key: str, raw: object) -> None:
        item = self.items.get_item(Key={"id": key})["Item"]
        self.items.put_item(Item={**item, "data": raw})

    def dump(self) -> bytes:
        found = self.items.scan()["Items"]
        values = [value for item in found for value in item.values()]
        return b" ".join(
            value.value if isinstance(value, Binary) else str(value).encode() for value in values
        )


EMBEDDED: dict[str, Callable[[pytest.FixtureRequest], RawAccess]] = {
    "memory": InMemory,
    "file": InFiles,
    "sqlite": InSQLite,
    "sqlalchemy": InSQLiteBySQLAlchemy,
}
SERVERS: dict[str, Callable[[pytest.FixtureRequest], RawAccess]] = {
    "redis": InRedis,
    "memcached": InMemcached,
    "postgresql": lambda request: InTables(request, "postgresql"),
    "mariadb": lambda request: InTables(request, "mariadb"),
    "mongodb": InMongoDB,
    "dynamodb": InDynamoDB,
}
PLACES = EMBEDDED | SERVERS
