"""What the clients in Flask-Session's configuration stand for: our store at the same place."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import flask

from wsgi_sessions.errors import ConfigurationError
from wsgi_sessions.migration import (
    FlaskSessionFileReader,
    FlaskSessionMongoDBReader,
    FlaskSessionRedisReader,
    Reader,
)
from wsgi_sessions.stores import MemoryStore, Store
from wsgi_sessions.stores.file import FileStore
from wsgi_sessions.stores.memcached import MemcachedStore
from wsgi_sessions.stores.mongodb import MongoDBStore
from wsgi_sessions.stores.redis import RedisStore

__all__ = [
    "FILE_DIRECTORY",
    "directory_below",
    "dynamodb_table",
    "engine_of",
    "naming",
    "prefix_of",
    "reader_behind",
    "require",
    "store_behind",
]

FILE_DIRECTORY = "flask_session"
"""Where Flask-Session keeps files by default, in the working directory."""


def require(client: object, key: str, example: str) -> None:
    if client is None:
        raise ConfigurationError(f"{key} is missing, and nothing is guessed: {key} = {example}")


@contextmanager
def naming(key: str) -> Iterator[None]:
    """Say in a configuration error which key it is about."""
    try:
        yield
    except ConfigurationError as error:
        raise ConfigurationError(f"{key}: {error}") from error


def directory_below(directory: str | os.PathLike[str]) -> str:
    """Where our files are if Flask-Session's are in *directory*. It counts, and at some number
    removes, what is beside its own."""
    return os.path.join(directory, "wsgi_sessions")


def store_behind(cache: Any, prefix: str) -> Store:
    """The store that works where a cache of cachelib does.

    A cache itself cannot be a store: it has no compare-and-set.
    """
    kinds = _kinds(cache)
    if cache is None:
        return FileStore(directory_below(FILE_DIRECTORY))
    if "FileSystemCache" in kinds:
        return FileStore(directory_below(vars(cache)["_path"]))
    if "SimpleCache" in kinds:
        return MemoryStore()
    if "BaseRedisCache" in kinds:
        return RedisStore(vars(cache)["_write_client"], prefix=prefix_of(cache) + prefix)
    if "MemcachedCache" in kinds:
        return MemcachedStore(vars(cache)["_client"], prefix=prefix_of(cache) + prefix)
    if "MongoDbCache" in kinds:
        database = cache.client.database
        return MongoDBStore(database.client, database=database.name, collection=cache.client.name)
    raise ConfigurationError(
        f"no store of this library works where a {type(cache).__name__} does: use a "
        f"FileSystemCache, RedisCache or MemcachedCache, or another SESSION_TYPE"
    )


def reader_behind(cache: Any) -> Callable[..., Reader] | None:
    """What makes a reader of the sessions in *cache*. There is none for Memcached, whose clients
    unpickle by themselves, nor for what ends with the process."""
    kinds = _kinds(cache)
    if cache is None:
        return partial(FlaskSessionFileReader, FILE_DIRECTORY)
    if "FileSystemCache" in kinds:
        return partial(FlaskSessionFileReader, vars(cache)["_path"])
    if "BaseRedisCache" in kinds:
        return partial(FlaskSessionRedisReader, vars(cache)["_write_client"])
    if "MongoDbCache" in kinds:
        database, collection = cache.client.database, cache.client.name
        return partial(
            FlaskSessionMongoDBReader, database.client, db=database.name, collection=collection
        )
    return None


def prefix_of(cache: Any) -> str:
    """What the cache puts before each key by itself."""
    prefix = getattr(cache, "key_prefix", None) or ""
    return str(prefix() if callable(prefix) else prefix)


def dynamodb_table(client: Any, name: str) -> Any:
    """What :class:`~wsgi_sessions.DynamoDBStore` takes, of a service resource of boto3. No I/O."""
    if not callable(getattr(client, "Table", None)):
        raise ConfigurationError(
            f"it is of type {type(client).__name__}, which has no tables: give "
            f'boto3.resource("dynamodb", …)'
        )
    return client.Table(name)


def _kinds(cache: object) -> set[str]:
    """cachelib itself is not imported."""
    return {kind.__name__ for kind in type(cache).__mro__}


def engine_of(app: flask.Flask, client: Any, bind_key: str | None) -> Any:
    """What :class:`~wsgi_sessions.SQLAlchemyStore` takes."""
    if client is None:
        client = app.extensions.get("sqlalchemy") or app.config.get("SQLALCHEMY_DATABASE_URI")
    require(client, "SESSION_SQLALCHEMY", "db, a flask_sqlalchemy.SQLAlchemy, an Engine or a URL")
    if not hasattr(type(client), "engines"):  # asking the object needs the context
        return client
    with app.app_context():
        return client.engines[bind_key]


def declare_table(app: flask.Flask, client: Any, bind_key: str | None, table: Any) -> None:
    """Add *table* to the metadata of a ``flask_sqlalchemy.SQLAlchemy``, so that a migration which
    Alembic writes by comparing does not drop it."""
    client = app.extensions.get("sqlalchemy") if client is None else client
    metadatas = getattr(client, "metadatas", None)
    if metadatas is None:
        return
    metadata = metadatas[bind_key]
    if table.key not in metadata.tables:
        table.to_metadata(metadata)
