"""Sessions in MongoDB, through pymongo.

A record is one document of one collection::

    {"_id": key, "data": binary, "version": int64, "expires_at": date}

How this works, and the rules for whoever edits it:

* Every operation is one command on one document, which MongoDB does as a whole or not at all.
* Every replacement names the version that it makes, and accepts a document that already has it. If
  its answer is lost it can therefore be sent again: it matches what the first one left, or does
  what the first one did not. If it does neither, it was refused, or done and something else done
  on top of it; nobody can tell, so it is an error.
* A creation is never sent again: the first one could arrive last, after the record was deleted, and
  bring it back. It is only looked for.
* A date has milliseconds: expiries are rounded up, the present is rounded down.
* Expiry is part of every filter. The TTL index only frees the space.
"""

from __future__ import annotations

import math
import secrets
from collections.abc import Callable, Hashable, Iterable, Iterator
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_plus

from wsgi_sessions.stores.base import Stored, system_clock
from wsgi_sessions.stores.mongodb.connections import Connections, faults_translated
from wsgi_sessions.stores.text import parse_boolean

if TYPE_CHECKING:
    from bson.datetime_ms import DatetimeMS
    from pymongo import MongoClient
    from pymongo.collection import Collection

    from wsgi_sessions.cli.checks import Finding
    from wsgi_sessions.stores.mongodb.connections import Connection

__all__ = ["MongoDBStore"]

LAST_DATE = 253_402_300_799_999  # ms: the end of the year 9999, the last that tools can show


class MongoDBStore:
    """Sessions in a collection of a MongoDB server, replica set or cluster (sharded by ``_id``).

    *client_or_url* is a ``mongodb://`` or ``mongodb+srv://`` URL (default: localhost) or a
    ``pymongo.MongoClient``. With a URL the store makes a client of its own in each process, which
    connects on first use, waits half a second for an answer and reports every fault within 1.2 s;
    options in the URL win over that (``timeoutMS``). A client handed in is used as it is, with its
    timeouts and its rules for ``fork``, and is not closed.

    *database* is by default the one in the client's URL, else ``wsgi_sessions``. The sessions of
    owners are noted in a second collection, named *collection* with ``_owners`` added.

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
        clock: Callable[[], float] = system_clock,
    ) -> None:
        if client_or_url is None:
            client_or_url = "mongodb://localhost"
        self._url = client_or_url if isinstance(client_or_url, str) else ""
        self._makes_indexes = create
        self._connections = Connections(client_or_url, database, collection, create=create)
        self._clock = clock

    @classmethod
    def from_url(cls, url: str, **options: Any) -> MongoDBStore:
        """The store for ``mongodb://host/database?collection=sessions&create=true``.

        Other options in the URL are pymongo's; *options* are those of the constructor.
        """
        address, _, query = url.partition("?")
        theirs = []
        for pair in filter(None, query.split("&")):
            name, _, value = pair.partition("=")
            if name == "collection":
                options[name] = unquote_plus(value)
            elif name == "create":
                options[name] = parse_boolean(f"MongoDB URL: {name}", value)
            else:
                theirs.append(pair)
        return cls(f"{address}?{'&'.join(theirs)}" if theirs else address, **options)

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
        """One command; a second one if the answer to the first was lost."""
        version = secrets.randbits(63)
        if expires_at <= self._clock():
            return version if self._end(key, replacing) else None
        content = {"data": data, "version": version, "expires_at": _date(expires_at)}
        if replacing is None:
            saved = self._create(key, content)
        else:
            wanted = {"_id": key, "version": {"$in": [replacing, version]}, **self._live()}
            saved = self._connections.accepted(lambda db: _set(db, wanted, content))
        return version if saved else None

    def touch(self, key: str, *, expires_at: float) -> bool:
        """One command; a second one if the answer to the first was lost."""
        wanted = {"_id": key, **self._live()}
        if expires_at <= self._clock():
            return self._connections.accepted(lambda db: _remove(db, wanted))
        return self._connections.accepted(
            lambda db: _set(db, wanted, {"expires_at": _date(expires_at)})
        )

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
        """Two commands for records, and two for links of owners, which have the same limit and are
        not counted."""
        self._connections.run(lambda db: _remove_all(db.links, self._expired(), limit))
        return self._connections.run(lambda db: _remove_all(db.records, self._expired(), limit))

    def link(self, owner: str, key: str, *, expires_at: float) -> None:
        """One command."""
        self._connections.create_indexes("links")
        wanted = {"_id": f"{key}:{owner}"}
        link = {"owner": owner, "key": key, "expires_at": _date(expires_at)}
        self._connections.run(lambda db: db.links.update_one(wanted, {"$set": link}, upsert=True))

    def unlink(self, owner: str, key: str) -> None:
        """One command."""
        self._connections.run(lambda db: db.links.delete_one({"_id": f"{key}:{owner}"}))

    def keys_of(self, owner: str) -> Iterable[str]:
        """One command for each batch, of the server's size."""
        wanted = {"owner": owner, **self._live()}
        return self._connections.run(
            lambda db: [link["key"] for link in db.links.find(wanted, {"key": True})]
        )

    @property
    def ddl(self) -> str:
        """What *create* makes, as commands for ``mongosh``."""
        return self._connections.ddl

    def findings(self) -> Iterator[Finding]:
        """For ``wsgi-sessions check``: server, way to it, indexes, and what has expired."""
        from wsgi_sessions.cli.checks.mongodb import findings

        return findings(self, self._connections, self._url, create=self._makes_indexes)

    def close(self) -> None:
        """Close the connections of this process, unless the client was handed in. A later use
        connects again."""
        self._connections.close()

    def _create(self, key: str, content: dict[str, Any]) -> bool:
        """Put it where nothing is, or something that has expired."""
        self._connections.create_indexes("records")
        free = {"_id": key, **self._expired()}
        made = {"_id": key, "version": content["version"]}
        return self._connections.accepted(
            lambda db: _set(db, free, content, create=True),
            again=lambda db: db.records.find_one(made, {"_id": True}) is not None,
        )

    def _end(self, key: str, replacing: Hashable | None) -> bool:
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


def _date(seconds: float) -> DatetimeMS:
    from bson.datetime_ms import DatetimeMS

    return DatetimeMS(math.ceil(min(seconds * 1000, LAST_DATE)))


def _set(
    db: Connection, wanted: dict[str, Any], content: dict[str, Any], *, create: bool = False
) -> bool:
    from pymongo.errors import DuplicateKeyError

    try:
        result = db.records.update_one(wanted, {"$set": content}, upsert=create)
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
