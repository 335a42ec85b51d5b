"""How :class:`~wsgi_sessions.stores.mongodb.store.MongoDBStore` reaches its server: one
connection for each process, its collections and indexes, and what is sent a second time.

A balancer or a firewall forgets connections without a word. pymongo replaces what was idle for
longer than 30 s, and keeps the others after one of them got no answer; so after that the store
makes a client anew, and asks once more.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from wsgi_sessions.errors import StoreUnavailable
from wsgi_sessions.stores.forks import PerProcess
from wsgi_sessions.stores.mongodb.client import check, faults_translated, own_client
from wsgi_sessions.stores.repeating import Repeating
from wsgi_sessions.stores.timeouts import IDLE_SECONDS, Timeouts

if TYPE_CHECKING:
    from pymongo import MongoClient
    from pymongo.collection import Collection

_T = TypeVar("_T")

RECHECK_SECONDS = 0.51
"""pymongo looks for a lost server every 500 ms, and notices in the same rhythm that it has waited
long enough: a wait of a little more than 500 ms ends after a second at the latest."""

GOODBYE_SECONDS = 0.05
"""For what pymongo still reports to the server when a client is closed, which nothing depends on:
over a dead connection it would wait until its monitor has noticed that, for the limit of connecting
and more."""

TTL_SLACK_SECONDS = 60
"""By which the server's clock may be ahead of ours."""

TTL: dict[str, Any] = {"expireAfterSeconds": TTL_SLACK_SECONDS}
INDEXES: dict[str, dict[str, Any]] = {"expires_at": TTL, "owner": {"sparse": True}}
INDEX_EXISTS = (85, 86)  # on the same field, with another name or other options
NOT_IMPLEMENTED = 238
UNAUTHORIZED = 13


class Limits(NamedTuple):
    """The time limits of a store, derived from its timeouts."""

    own_client: dict[str, Any]
    """The options of a client that the store builds."""
    fast_failure: float
    """Seconds: a command that failed later leaves no time to wait until pymongo has looked again
    for a server."""
    majority: int
    """Milliseconds until a majority has a write, where the client sets no limit of its own."""


def limits_of(timeouts: Timeouts) -> Limits:
    """The limits of a store with these *timeouts*."""
    return Limits(
        own_client={
            "connectTimeoutMS": round(timeouts.connect * 1000),
            # For a command and all it waits for: to answer, and what is around that.
            "timeoutMS": round(timeouts.answer * 1100),
            "maxIdleTimeMS": IDLE_SECONDS * 1000,
            "retryReads": False,  # the store asks again where it is safe, of whatever server
            "retryWrites": False,
        },
        fast_failure=0.2 * timeouts.answer,
        majority=round(timeouts.answer * 1000),
    )


@dataclass(slots=True)
class Connection:
    """What one process uses."""

    client: MongoClient[Any]
    records: Collection[dict[str, Any]]
    served: bool = False
    """Whether it has given an answer: then what lies idle in it may be dead."""


Command = Callable[[Connection], _T]


class Connections(Repeating[Connection]):
    """One connection for each process that uses the store. None is made before it is used."""

    called = "MongoDB"

    def __init__(
        self,
        client_or_url: MongoClient[Any] | str,
        database: str | None,
        collection: str,
        timeouts: Timeouts,
        *,
        create: bool,
    ) -> None:
        check(client_or_url)
        self._client = client_or_url
        self._limits = limits_of(timeouts)
        self._database, self._collection = database, collection
        self._to_index = create
        # By process: a child needs a client of its own, and keeps its parent's, because to close
        # that would be to speak on the parent's connections.
        self._connections: dict[int, Connection] = {}
        self._replaced: dict[int, Connection] = {}
        self._replacing = PerProcess(Lock)
        self.current()  # says at once what is wrong with a URL

    def current(self) -> Connection:
        """That of this process."""
        process = os.getpid()
        connection = self._connections.get(process)
        if connection is None:  # of several threads one is first; the others' have not connected
            connection = self._connections.setdefault(process, self._connect())
        return connection

    def create_indexes(self) -> None:
        """Once in each process. Others may do it at the same time: the server makes them once."""
        if self._to_index:
            self.run(lambda db: _index(db.records, INDEXES))
            self._to_index = False

    @property
    def ddl(self) -> str:
        """The commands for ``mongosh`` that do the same."""
        records = self.current().records
        return "\n".join(
            f"db.getSiblingDB({json.dumps(records.database.name)})"
            f".getCollection({json.dumps(records.name)})"
            f".createIndex({json.dumps({field: 1})}, {json.dumps(options)})"
            for field, options in INDEXES.items()
        )

    def close(self) -> None:
        """Close that of this process, unless the client was handed in."""
        for connections in (self._connections, self._replaced):
            connection = connections.pop(os.getpid(), None)
            if connection is not None and isinstance(self._client, str):
                _close(connection)

    def _replace(self, dead: Connection) -> Connection:
        """A connection in place of *dead*. That is closed when another one is replaced: threads may
        be about to use it."""
        process = os.getpid()
        with self._replacing.get():
            if self._connections.get(process) is dead:
                self._connections[process] = self._connect()
                former = self._replaced.get(process)
                self._replaced[process] = dead
                if former is not None:
                    _close(former)
        return self.current()

    def _ask(self, command: Command[_T], again: Command[_T]) -> tuple[_T, bool]:
        from pymongo.errors import AutoReconnect, NetworkTimeout, ServerSelectionTimeoutError

        sent = False
        try:
            with faults_translated():
                db = self.current()
                started = time.monotonic()
                try:
                    answer = command(db)
                    db.served = True
                    return answer, False
                except AutoReconnect as error:
                    sent = not isinstance(error, ServerSelectionTimeoutError)
                    passed = time.monotonic() - started
                    own = isinstance(self._client, str)
                    if own and db.served and isinstance(error, NetworkTimeout):
                        db = self._replace(db)
                    elif not _has_server(db.client, wait=passed < self._limits.fast_failure):
                        raise
                    with _rest_of_two(db.client, started):
                        return again(db), True
        except StoreUnavailable as error:
            if sent:
                error.applied = None  # whatever became of the second attempt
            raise

    def _connect(self) -> Connection:
        from bson.codec_options import CodecOptions
        from pymongo import ReadPreference, WriteConcern

        client = (
            own_client(self._client, self._limits.own_client)
            if isinstance(self._client, str)
            else self._client
        )
        if self._database is None:
            database = client.get_default_database("wsgi_sessions")
        else:
            database = client.get_database(self._database)
        limit = client.write_concern.document.get("wtimeout", self._limits.majority)
        records: Collection[dict[str, Any]] = database.get_collection(
            self._collection,
            codec_options=CodecOptions(),
            read_preference=ReadPreference.PRIMARY,
            write_concern=WriteConcern("majority", wtimeout=limit),
        )
        return Connection(client, records)


def _close(connection: Connection) -> None:
    from pymongo import timeout

    with timeout(GOODBYE_SECONDS):
        connection.client.close()


def _index(documents: Collection[dict[str, Any]], indexes: dict[str, dict[str, Any]]) -> None:
    from pymongo.errors import OperationFailure

    for field, options in indexes.items():
        try:
            documents.create_index(field, **options)
        except OperationFailure as error:
            if error.code == NOT_IMPLEMENTED and options:  # no TTL there: purge() will need it
                _index(documents, {field: {}})
            elif error.code == UNAUTHORIZED:
                raise StoreUnavailable(
                    "MongoDB does not let this user create indexes: create them as another "
                    "(MongoDBStore.ddl has the commands) and pass create=False"
                ) from None
            elif error.code not in INDEX_EXISTS:
                raise


def _has_server(client: MongoClient[Any], *, wait: bool) -> bool:
    """Whether it is worth asking again; *wait* for pymongo to find a server, at most a second."""
    from pymongo import timeout
    from pymongo.errors import ServerSelectionTimeoutError

    if not client.options.timeout:
        return True  # its own limits decide
    if wait:
        try:
            with timeout(RECHECK_SECONDS):
                _ = client.is_mongos  # to know this, it has to find one
        except ServerSelectionTimeoutError:
            return False
    return client.topology_description.has_writable_server()


def _rest_of_two(client: MongoClient[Any], started: float) -> AbstractContextManager[None]:
    """The client's limit for a command twice, less what has passed of it; if it has one."""
    from pymongo import timeout

    limit = client.options.timeout
    if not limit:
        return nullcontext()
    return timeout(max(started + 2 * limit - time.monotonic(), 0.05))
