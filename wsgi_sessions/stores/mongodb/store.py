"""Sessions in MongoDB, through pymongo.

A record is one document of one collection::

    {"_id": key, "data": binary, "version": int64, "expires_at": date}

and one that is listed under an owner has ``"owner": string`` and ``"listed_at": int64`` besides:
owner and record are one document, so they cannot disagree.

How this works, and the rules for maintainers:

* Every operation is one command on one document, which MongoDB does as a whole or not at all.
* Every replacement names the version that it makes, and accepts a document that already has it. If
  its answer is lost it can therefore be sent again: it matches what the first one left, or does
  what the first one did not. If it does neither, it was refused, or done and something else done
  on top of it; nobody can know, so it is an error.
* A creation is never sent again: the first one could arrive last, after the record was deleted, and
  bring it back. It is only looked for.
* A date has milliseconds: expiries are rounded up, the present is rounded down.
* Expiry is part of every filter. The TTL index only frees the space.
"""

from __future__ import annotations

import math
import re
import secrets
from collections.abc import Callable, Hashable, Iterator, Sequence
from datetime import UTC
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, unquote, urlsplit

from wsgi_sessions.stores.base import Expired, Route, Stored, system_clock
from wsgi_sessions.stores.listing import places
from wsgi_sessions.stores.mongodb.client import faults_translated
from wsgi_sessions.stores.mongodb.connections import Connections
from wsgi_sessions.stores.timeouts import DEFAULT_TIMEOUTS, Timeouts, check_timeouts
from wsgi_sessions.stores.url_options import FLAG, TEXT, take_options

if TYPE_CHECKING:
    from bson.datetime_ms import DatetimeMS
    from pymongo import MongoClient
    from pymongo.collection import Collection

    from wsgi_sessions.stores.mongodb.connections import Connection

__all__ = ["MongoDBStore"]

INSECURE = ("tlsinsecure", "tlsallowinvalidcertificates", "tlsallowinvalidhostnames")
LAST_DATE = 253_402_300_799_999  # ms: the end of the year 9999, the last that tools can show


class MongoDBStore:
    """Sessions in a collection of a MongoDB server, replica set or cluster (sharded by ``_id``).

    *client_or_url* is a ``mongodb://`` or ``mongodb+srv://`` URL (default: localhost) or a
    ``pymongo.MongoClient``. With a URL the store makes a client of its own in each process, which
    connects on first use, with *timeouts*: by default it waits half a second for an answer and
    reports every fault within 1.2 s. Options in the URL win over that (``timeoutMS``). A client
    handed in is used as it is, with its timeouts and its rules for ``fork``, and is not closed.

    *database* is by default the one in the client's URL, else ``wsgi_sessions``. The owner of
    a session is a field of its document, with an index.

    Writes wait for a majority (``w="majority"``), so no failover loses what was acknowledged; reads
    go to the primary. For some seconds of a failover two servers may think that they are primary:
    then a read may be old, but no write to the wrong one is acknowledged.

    What has expired is decided by this host's clock, for every operation. The server then removes
    it by a TTL index, by its own clock and a minute late since that may be ahead; only servers
    without TTL indexes need :meth:`purge`. The indexes are made by the first new session of each
    process, one command more, which does nothing where they exist. *create* false leaves them to
    you: :attr:`ddl` has the commands.

    Raises :exc:`~wsgi_sessions.ConfigurationError` for a URL or client that cannot work, and where
    pymongo is not installed.
    """

    max_bytes = 16 * 1024 * 1024 - 1024
    """A document has at most 16 MiB; the other fields take some of it."""

    def __init__(
        self,
        client_or_url: MongoClient[Any] | str | None = None,
        *,
        database: str | None = None,
        collection: str = "sessions",
        create: bool = True,
        timeouts: Timeouts = DEFAULT_TIMEOUTS,
        clock: Callable[[], float] = system_clock,
    ) -> None:
        if client_or_url is None:
            client_or_url = "mongodb://localhost"
        self._url = client_or_url if isinstance(client_or_url, str) else ""
        self.create: bool = create
        self._connections = Connections(
            client_or_url, database, collection, check_timeouts(timeouts), create=create
        )
        self._clock = clock
        self._places = places(clock)

    @classmethod
    def from_url(cls, url: str, **options: Any) -> MongoDBStore:
        """The store for ``mongodb://host/database?collection=sessions&create=true``, with
        ``connect_timeout`` and ``answer_timeout``.

        Other options in the URL are pymongo's; *options* are those of the constructor.
        """
        address, given = take_options(url, {"collection": TEXT, "create": FLAG})
        return cls(address, **{**options, **given})

    def load(self, key: str) -> Stored | None:
        """One command. A document that is not of this store's shape is missing."""
        wanted = {"_id": key, **self._live()}
        fields = {"_id": False, "data": True, "version": True}
        found = self._connections.run(lambda db: db.records.find_one(wanted, fields))
        if found is None:
            return None
        data, version = found.get("data"), found.get("version")
        if type(data) is not bytes or not isinstance(version, int):
            return None
        return Stored(data, int(version))

    def save(
        self, key: str, data: bytes, *, expires_at: float, replacing: Hashable | None
    ) -> Hashable | None:
        """One command; a second one if the answer to the first was lost. The owner that the record
        has stays."""
        return self._save(key, data, expires_at, replacing, {})

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
        """The same, and the record is listed under *owner* alone, in the same command. It keeps its
        place in the list if it *was* listed there."""
        if owner is None:
            return self._save(key, data, expires_at, replacing, None)
        entry: dict[str, Any] = {"owner": owner}
        if owner != was or replacing is None:
            entry["listed_at"] = next(self._places)
        return self._save(key, data, expires_at, replacing, entry)

    def delete(self, key: str) -> None:
        """One command; a second one if the answer to the first was lost."""
        self._connections.run(lambda db: _remove(db, {"_id": key}))

    def keys(self) -> Iterator[str]:
        """One command for each batch, of the server's size."""
        with (
            faults_translated(),
            self._connections.current().records.find(self._live(), {"_id": True}) as documents,
        ):
            for document in documents:
                if isinstance(document["_id"], str):
                    yield document["_id"]

    def purge(self, limit: int = 1000) -> int:
        """Two commands."""
        return self._connections.run(lambda db: _remove_all(db.records, self._expired(), limit))

    def keys_of(self, owner: str) -> Sequence[str]:
        """The keys of the live records of *owner*, in the order in which they were listed. One
        command for each batch, of the server's size."""
        wanted, fields = {"owner": owner, **self._live()}, {"listed_at": True}
        found = self._connections.run(lambda db: list(db.records.find(wanted, fields)))
        found.sort(key=lambda entry: entry.get("listed_at", 0))  # a server sorts whole documents
        return [entry["_id"] for entry in found]

    @property
    def ddl(self) -> str:
        """What *create* makes, as commands for ``mongosh``."""
        return self._connections.ddl

    def command(self, name: str) -> dict[str, Any]:
        """The server's answer to a command on the database ``admin``, for operators. Raises
        :exc:`~wsgi_sessions.StoreUnavailable`, for a refusal too."""
        answer: dict[str, Any] = self._connections.run(lambda db: db.client.admin.command(name))
        return answer

    def indexes(self) -> list[dict[str, Any]] | None:
        """The indexes of the collection; ``None`` if it does not exist. Up to two commands."""
        return self._connections.run(lambda db: _indexes(db.records))

    def expired(self, limit: int) -> Expired:
        """What waits to be removed, counted up to *limit*. Two commands."""
        records = self._connections.run(
            lambda db: db.records.count_documents(self._expired(), limit=limit)
        )
        first = self._connections.run(
            lambda db: db.records.find_one(self._expired(), sort=[("expires_at", 1)])
        )
        if first is None:
            return Expired(0, 0.0)
        return Expired(records, self._clock() - first["expires_at"].replace(tzinfo=UTC).timestamp())

    def route(self) -> Route | None:
        """How the servers are reached; ``None`` for a client that was handed in. No I/O."""
        return _route(self._url) if self._url else None

    def close(self) -> None:
        """Close the connections of this process, unless the client was handed in. A later use
        connects again."""
        self._connections.close()

    def _save(
        self,
        key: str,
        data: bytes,
        expires_at: float,
        replacing: Hashable | None,
        entry: dict[str, Any] | None,
    ) -> Hashable | None:
        """*entry* is what changes of the owner's fields; with ``None`` they go."""
        version = secrets.randbits(63)
        if expires_at <= self._clock():
            return version if self._compare_and_delete(key, replacing) else None
        content = {"data": data, "version": version, "expires_at": _date(expires_at)}
        change: dict[str, Any] = {"$set": {**content, **(entry or {})}}
        if entry is None or (replacing is None and not entry):  # what expired there had an owner
            change["$unset"] = {"owner": "", "listed_at": ""}
        if replacing is None:
            saved = self._create(key, version, change)
        else:
            wanted = {"_id": key, "version": {"$in": [replacing, version]}, **self._live()}
            saved = self._connections.accepted(lambda db: _update(db, wanted, change))
        return version if saved else None

    def _create(self, key: str, version: int, change: dict[str, Any]) -> bool:
        """Store it where no record is, or one that has expired."""
        self._connections.create_indexes()
        free = {"_id": key, **self._expired()}
        made = {"_id": key, "version": version}
        return self._connections.accepted(
            lambda db: _update(db, free, change, create=True),
            again=lambda db: db.records.find_one(made, {"_id": True}) is not None,
        )

    def _compare_and_delete(self, key: str, replacing: Hashable | None) -> bool:
        """Delete that version. What would be created already ended is only looked for."""
        if replacing is None:
            there = {"_id": key, "expires_at": {"$not": {"$lte": self._now()}}}
            found = self._connections.run(lambda db: db.records.find_one(there, {"_id": True}))
            return found is None
        wanted = {"_id": key, "version": replacing, **self._live()}
        return self._connections.accepted(lambda db: _remove(db, wanted))

    def _now(self) -> DatetimeMS:
        from bson.datetime_ms import DatetimeMS

        return DatetimeMS(math.floor(self._clock() * 1000))

    def _live(self) -> dict[str, Any]:
        return {"expires_at": {"$gt": self._now()}}

    def _expired(self) -> dict[str, Any]:
        return {"expires_at": {"$lte": self._now()}}


def _route(url: str) -> Route:
    parts = urlsplit(url)
    query = {name.lower(): values[-1].lower() for name, values in parse_qs(parts.query).items()}
    hosts = unquote(parts.netloc.rpartition("@")[2]).split(",")
    default = "true" if parts.scheme == "mongodb+srv" else "false"
    return Route(
        hosts=tuple(re.sub(r":\d+$", "", host) for host in hosts),
        encrypted=query.get("tls", query.get("ssl", default)) == "true",
        verified=not any(query.get(name) == "true" for name in INSECURE),
        password="@" in parts.netloc,
    )


def _indexes(documents: Collection[dict[str, Any]]) -> list[dict[str, Any]] | None:
    if documents.name not in documents.database.list_collection_names():
        return None
    return list(documents.index_information().values())


def _date(seconds: float) -> DatetimeMS:
    from bson.datetime_ms import DatetimeMS

    return DatetimeMS(math.ceil(min(seconds * 1000, LAST_DATE)))


def _update(
    db: Connection, wanted: dict[str, Any], change: dict[str, Any], *, create: bool = False
) -> bool:
    from pymongo.errors import DuplicateKeyError

    try:
        result = db.records.update_one(wanted, change, upsert=create)
    except DuplicateKeyError:  # there is a document, but not a wanted one
        return False
    return result.matched_count > 0 or result.upserted_id is not None


def _remove(db: Connection, wanted: dict[str, Any]) -> bool:
    return db.records.delete_one(wanted).deleted_count > 0


def _remove_all(documents: Collection[dict[str, Any]], wanted: dict[str, Any], limit: int) -> int:
    found = [document["_id"] for document in documents.find(wanted, {"_id": True}).limit(limit)]
    if not found:
        return 0
    return documents.delete_many({"_id": {"$in": found}, **wanted}).deleted_count
