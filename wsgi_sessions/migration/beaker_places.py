"""The places where Beaker keeps sessions, read without Beaker.

Each gives what is stored for a session: text that holds the session's values, or their dict, which
Beaker before 1.7 stored. Beaker pickles that once more in most places; those pickles are read
without executing anything (:mod:`wsgi_sessions.migration.restricted_pickle`).
"""

from __future__ import annotations

import dbm
import os
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from time import monotonic
from typing import Any

from wsgi_sessions.errors import ConfigurationError
from wsgi_sessions.migration.restricted_pickle import loads as unpickle
from wsgi_sessions.migration.table import Table
from wsgi_sessions.stores import Timeouts
from wsgi_sessions.stores.memcached import connect

__all__ = ["Place", "place_of"]

_DBM_ENDINGS = ("", ".db", ".dat", ".dir", ".pag", ".bak")


class Place(ABC):
    """Where sessions are, by their id, which is hexadecimal."""

    @abstractmethod
    def load(self, id: str) -> Any:
        """What is stored; ``None`` if nothing is."""

    @abstractmethod
    def delete(self, id: str) -> None: ...


class Memory(Place):
    """A dict of this process, if Beaker is imported there."""

    @property
    def _namespaces(self) -> Any:
        module = sys.modules.get("beaker.container")
        return {} if module is None else module.MemoryNamespaceManager.namespaces.dict

    def load(self, id: str) -> Any:
        return self._namespaces.get(id, {}).get("session")

    def delete(self, id: str) -> None:
        self._namespaces.pop(id, None)


class Files(Place):
    """A pickled dict in a file for each session."""

    def __init__(self, directory: str, ending: str = ".cache") -> None:
        self._directory = Path(directory)
        self._ending = ending

    def _path(self, id: str) -> Path:
        return self._directory / id[0] / id[:2] / (id + self._ending)

    def load(self, id: str) -> Any:
        with suppress(FileNotFoundError):
            return _session_in(unpickle(self._path(id).read_bytes()))
        return None

    def delete(self, id: str) -> None:
        self._path(id).unlink(missing_ok=True)


class Databases(Files):
    """A dbm database for each session."""

    def __init__(self, directory: str) -> None:
        super().__init__(directory, ".dbm")

    def load(self, id: str) -> Any:
        path = str(self._path(id))
        if not any(os.path.exists(path + ending) for ending in _DBM_ENDINGS):
            return None
        with dbm.open(path, "r") as database:
            return unpickle(database[b"session"]) if b"session" in database else None

    def delete(self, id: str) -> None:
        for ending in _DBM_ENDINGS:
            Path(f"{self._path(id)}{ending}").unlink(missing_ok=True)


class Redis(Place):
    """A key for each session. *client* is a client, or makes one."""

    def __init__(self, client: Any) -> None:
        self._client = client

    def load(self, id: str) -> Any:
        stored = self._client.get(f"beaker_cache:{id}:session")
        return None if stored is None else unpickle(stored)

    def delete(self, id: str) -> None:
        self._client.delete(f"beaker_cache:{id}:session")


class Memcached(Place):
    """A key for each session, whose value is no pickle. Which of several servers has it depends on
    Beaker's client, so each is asked."""

    def __init__(self, addresses: str, timeouts: Timeouts) -> None:
        self._servers = [connect(address, timeouts) for address in addresses.split(";")]
        self._total = 2 * timeouts.answer

    def load(self, id: str) -> Any:
        name = f"{id}_session"
        for server in self._servers:
            until = monotonic() + self._total
            found = server.run(name, lambda client: client.get(name), until)
            if found is not None:
                return found
        return None

    def delete(self, id: str) -> None:
        name = f"{id}_session"
        for server in self._servers:
            until = monotonic() + self._total
            server.run(name, lambda client: client.delete(name, noreply=False), until)


class MongoDB(Place):
    """A document for each session, in the collection ``backer_cache``."""

    def __init__(self, client_or_url: Any) -> None:
        self._client = client_or_url

    @cached_property
    def _documents(self) -> Any:
        """Not before the first use: a client of our own should not be there at a ``fork``."""
        if isinstance(self._client, str):
            from pymongo import MongoClient

            self._client = MongoClient(self._client, timeoutMS=1000)
        return self._client.get_default_database().backer_cache

    def load(self, id: str) -> Any:
        found = self._documents.find_one({"_id": f"{id}:session"})
        return None if found is None else unpickle(bytes(found["value"]))

    def delete(self, id: str) -> None:
        self._documents.delete_one({"_id": f"{id}:session"})


class Rows(Place):
    """A row for each session, whose column ``data`` is a pickled dict."""

    def __init__(
        self, engine_or_url: Any, name: str, schema: str | None, timeouts: Timeouts
    ) -> None:
        self._table = Table(engine_or_url, name, schema, ("namespace", "data"), timeouts)

    def load(self, id: str) -> Any:
        data = self._table.read(id)
        return None if data is None else _session_in(unpickle(bytes(data)))

    def delete(self, id: str) -> None:
        self._table.delete(id)


def _session_in(stored: Any) -> Any:
    return stored.get("session") if type(stored) is dict else None


# By Beaker's names of types


def _directory(options: dict[str, Any], own: str, below: str) -> str:
    directory, data_dir = options.get(own), options.get("data_dir")
    if not (directory or data_dir):
        raise ConfigurationError(f"Beaker's option data_dir or {own} is missing")
    return str(directory or f"{data_dir}/{below}")


def _address(options: dict[str, Any]) -> Any:
    for name in ("url", "urls", "sa.url", "bind"):
        if options.get(name) is not None:
            return options[name]
    raise ConfigurationError("Beaker's option url is missing")


def _redis(options: dict[str, Any], timeouts: Timeouts) -> Place:
    client = _address(options)
    if isinstance(client, str):
        from redis import Redis as Client

        client = Client.from_url(
            client, socket_connect_timeout=timeouts.connect, socket_timeout=timeouts.answer
        )
    return Redis(client)


def _redis_cluster(options: dict[str, Any], timeouts: Timeouts) -> Place:
    client = _address(options)
    if isinstance(client, str):
        from redis.cluster import RedisCluster

        client = RedisCluster.from_url(
            client.split(",")[0],
            socket_connect_timeout=timeouts.connect,
            socket_timeout=timeouts.answer,
        )
    return Redis(client)


def _memcached(options: dict[str, Any], timeouts: Timeouts) -> Place:
    return Memcached(_address(options), timeouts)


def _table(options: dict[str, Any], timeouts: Timeouts) -> Place:
    name, schema = options.get("table_name", "beaker_cache"), options.get("schema_name")
    if options.get("table") is not None:  # of type ext:sqla
        name, schema = options["table"].name, options["table"].schema
    return Rows(_address(options), name, schema, timeouts)


_PLACES: dict[str, Callable[[dict[str, Any], Timeouts], Place]] = {
    "memory": lambda _options, _timeouts: Memory(),
    "file": lambda options, _: Files(_directory(options, "file_dir", "container_file")),
    "dbm": lambda options, _: Databases(_directory(options, "dbm_dir", "container_dbm")),
    "ext:redis": _redis,
    "ext:rediscluster": _redis_cluster,
    "ext:memcached": _memcached,
    "ext:mongodb": lambda options, _: MongoDB(_address(options)),
    "ext:database": _table,
    "ext:sqla": _table,
}


def place_of(kind: str, options: dict[str, Any], timeouts: Timeouts) -> Place:
    """The place of Beaker's type *kind* with Beaker's *options*. Raises
    :exc:`~wsgi_sessions.ConfigurationError` for an unknown one. Nothing is connected to."""
    if kind not in _PLACES:
        raise ConfigurationError(
            f"Beaker's type {kind!r} cannot be read without Beaker: trust_pickles=True lets Beaker "
            f"itself read; known are {', '.join(_PLACES)}, cookie"
        )
    return _PLACES[kind](options, timeouts)
