"""Flask-Session's sessions, of every version, in each of the places where it keeps them."""

from __future__ import annotations

import hashlib
import os
import re
import struct
import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any

from itsdangerous import BadSignature, Signer

from wsgi_sessions.manager import OldSession
from wsgi_sessions.migration.table import Table
from wsgi_sessions.migration.values import as_bytes, decode, flask_session, seconds
from wsgi_sessions.stores import DEFAULT_TIMEOUTS, Timeouts

__all__ = [
    "FlaskSessionDynamoDBReader",
    "FlaskSessionFileReader",
    "FlaskSessionMongoDBReader",
    "FlaskSessionReader",
    "FlaskSessionRedisReader",
    "FlaskSessionSQLAlchemyReader",
]

_MONTH = timedelta(days=31)
_UUID_LENGTH = 36  # what ids were before Flask-Session 0.6
_is_sid = re.compile(r"[A-Za-z0-9_-]+", re.ASCII).fullmatch


class FlaskSessionReader(ABC):
    """What the readers of all places have in common.

    *key_prefix* is ``SESSION_KEY_PREFIX``, *secrets* are ``SECRET_KEY`` and older ones if
    ``SESSION_USE_SIGNER`` was set: then only signed ids are accepted. *sid_length* is
    ``SESSION_ID_LENGTH``, *lifetime* is ``PERMANENT_SESSION_LIFETIME``.

    Records are msgpack or JSON. *allow_pickle* accepts also the pickles of versions before 0.6
    (and of the file system until today), which are read without executing anything
    (:mod:`wsgi_sessions.migration.restricted_pickle`).
    """

    def __init__(
        self,
        *,
        key_prefix: str = "session:",
        secrets: Sequence[str | bytes] = (),
        cookie_name: str = "session",
        sid_length: int = 32,
        lifetime: float | timedelta = _MONTH,
        allow_pickle: bool = False,
    ) -> None:
        if isinstance(secrets, (str, bytes)):
            raise TypeError("secrets is a sequence of secrets: put the one into a list")
        self.cookie_name = cookie_name
        self.lifetime: float = seconds(lifetime)
        self._prefix = key_prefix
        self._lengths = (-(-sid_length * 8 // 6), _UUID_LENGTH)
        self._allow_pickle = allow_pickle
        self._signer: Signer | None = None
        if secrets:
            keys = as_bytes(secrets)
            self._signer = Signer(keys, salt="flask-session", key_derivation="hmac")

    def key(self, cookie_value: str) -> str | None:
        """The session's id, without its signature."""
        if self._signer is not None:
            try:
                cookie_value = self._signer.unsign(cookie_value).decode()
            except BadSignature:
                return None
        if len(cookie_value) not in self._lengths or not _is_sid(cookie_value):
            return None
        return cookie_value

    def read(self, key: str) -> OldSession | None:
        """One round trip."""
        data = self._load(self._prefix + key)
        return None if data is None else flask_session(self._decode(data))

    def delete(self, key: str) -> None:
        """One round trip."""
        self._delete(self._prefix + key)

    def _decode(self, data: bytes | str) -> dict[Any, Any] | None:
        return decode(data, allow_pickle=self._allow_pickle)

    @abstractmethod
    def _load(self, name: str) -> bytes | str | None:
        """What is there and has not expired."""

    @abstractmethod
    def _delete(self, name: str) -> None: ...


class FlaskSessionRedisReader(FlaskSessionReader):
    """Reads what is in Redis. *client_or_url* is a client of redis-py or valkey, or a URL.

    Also for cachelib's ``RedisCache``, whose values are all pickles.
    """

    def __init__(self, client_or_url: Any, **options: Any) -> None:
        super().__init__(**options)
        if isinstance(client_or_url, str):
            from redis import Redis

            client_or_url = Redis.from_url(
                client_or_url, socket_connect_timeout=0.25, socket_timeout=0.5
            )
        self._client = client_or_url

    def _load(self, name: str) -> bytes | str | None:
        data: bytes | str | None = self._client.get(name)
        return data

    def _decode(self, data: bytes | str) -> dict[Any, Any] | None:
        mark = "!" if isinstance(data, str) else b"!"
        return super()._decode(data.removeprefix(mark))  # type: ignore[arg-type]

    def _delete(self, name: str) -> None:
        self._client.delete(name)


class FlaskSessionMongoDBReader(FlaskSessionReader):
    """Reads what is in the collection *collection* of the database *db*. *client_or_url* is a
    ``pymongo.MongoClient`` or a URL. Also for cachelib's ``MongoDbCache``."""

    def __init__(
        self,
        client_or_url: Any,
        *,
        db: str = "flask_session",
        collection: str = "sessions",
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self._client = client_or_url
        self._names = db, collection

    @cached_property
    def _documents(self) -> Any:
        """Not before the first use: a client of our own should not be there at a ``fork``."""
        database, collection = self._names
        if isinstance(self._client, str):
            from pymongo import MongoClient

            limited = re.search(r"[?&]timeoutms=", self._client, re.IGNORECASE)
            options: dict[str, Any] = {} if limited else {"timeoutMS": 1000}
            self._client = MongoClient(self._client, **options)
        return self._client[database][collection]

    def _load(self, name: str) -> bytes | str | None:
        found = self._documents.find_one({"id": name})
        if found is None:
            return None
        expires = found.get("expiration")
        now = datetime.now(UTC)
        if expires is not None and expires <= (now if expires.tzinfo else now.replace(tzinfo=None)):
            return None
        data = found.get("val")
        return data if isinstance(data, (bytes, str)) else None

    def _delete(self, name: str) -> None:
        self._documents.delete_one({"id": name})


class FlaskSessionDynamoDBReader(FlaskSessionReader):
    """Reads what is in the table *table* of DynamoDB, a table of boto3:
    ``boto3.resource("dynamodb").Table("Sessions")``.

    Flask-Session writes the expiry as if UTC was the local time of its host, which has to be that
    of this one."""

    def __init__(self, table: Any, **options: Any) -> None:
        super().__init__(**options)
        self._table = table

    def _load(self, name: str) -> bytes | str | None:
        client = self._table.meta.client
        try:
            answer = client.get_item(
                TableName=self._table.name, Key={"id": name}, ConsistentRead=True
            )
        except client.exceptions.ResourceNotFoundException:
            return None
        item = answer.get("Item", {})
        now = datetime.now(UTC).replace(tzinfo=None).timestamp()
        if item.get("expiration", now) <= now:
            return None
        data = getattr(item.get("val"), "value", None)
        return data if isinstance(data, bytes) else None

    def _delete(self, name: str) -> None:
        self._table.meta.client.delete_item(TableName=self._table.name, Key={"id": name})


class FlaskSessionSQLAlchemyReader(FlaskSessionReader):
    """Reads what is in the table *table*. *engine_or_url* is an SQLAlchemy ``Engine`` or URL,
    for which *timeouts* hold."""

    def __init__(
        self,
        engine_or_url: Any,
        *,
        table: str = "sessions",
        schema: str | None = None,
        timeouts: Timeouts = DEFAULT_TIMEOUTS,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        columns = ("session_id", "data", "expiry")
        self._table = Table(engine_or_url, table, schema, columns, timeouts)

    def _load(self, name: str) -> bytes | str | None:
        data = self._table.read(name)
        return data if isinstance(data, (str, type(None))) else bytes(data)

    def _delete(self, name: str) -> None:
        self._table.delete(name)


class FlaskSessionFileReader(FlaskSessionReader):
    """Reads what cachelib's ``FileSystemCache`` has written to *directory*: pickles, so nothing is
    migrated without ``allow_pickle=True``."""

    def __init__(self, directory: str | os.PathLike[str], **options: Any) -> None:
        super().__init__(**options)
        self._directory = Path(directory)

    def _load(self, name: str) -> bytes | str | None:
        for path in self._paths(name):
            with suppress(FileNotFoundError):
                content = path.read_bytes()
                expires = struct.unpack("I", content[:4])[0] if len(content) > 4 else 1
                if expires == 0 or expires >= time.time():
                    return content[4:]
        return None

    def _delete(self, name: str) -> None:
        for path in self._paths(name):
            path.unlink(missing_ok=True)

    def _paths(self, name: str) -> list[Path]:
        """By the hash of today, and by that of cachelib before 0.11."""
        hashes = (hashlib.sha256, lambda text: hashlib.md5(text, usedforsecurity=False))
        return [self._directory / hash(name.encode()).hexdigest() for hash in hashes]
