"""The session interfaces that Flask-Session has, over our stores."""

from __future__ import annotations

import os
from functools import partial
from typing import Any, Unpack

import flask

from wsgi_sessions.flask_session.base import (
    PREFIX,
    InterfaceOptions,
    ServerSideSessionInterface,
    check_prefix,
    warn,
)
from wsgi_sessions.flask_session.clients import (
    FILE_DIRECTORY,
    declare_table,
    directory_below,
    dynamodb_table,
    engine_of,
    naming,
    prefix_of,
    reader_behind,
    require,
    store_behind,
)
from wsgi_sessions.migration import (
    FlaskSessionDynamoDBReader,
    FlaskSessionFileReader,
    FlaskSessionMemcachedReader,
    FlaskSessionMongoDBReader,
    FlaskSessionRedisReader,
    FlaskSessionSQLAlchemyReader,
)
from wsgi_sessions.stores.dynamodb import DynamoDBStore
from wsgi_sessions.stores.file import FileStore
from wsgi_sessions.stores.memcached import MemcachedStore
from wsgi_sessions.stores.mongodb import MongoDBStore
from wsgi_sessions.stores.redis import RedisStore
from wsgi_sessions.stores.sqlalchemy import SQLAlchemyStore

__all__ = [
    "CacheLibSessionInterface",
    "DynamoDBSessionInterface",
    "FileSystemSessionInterface",
    "MemcachedSessionInterface",
    "MongoDBSessionInterface",
    "RedisSessionInterface",
    "SqlAlchemySessionInterface",
]

FILE_THRESHOLD = 500


class RedisSessionInterface(ServerSideSessionInterface):
    """Sessions in Redis or Valkey: *client* is what :class:`~wsgi_sessions.RedisStore` takes.

    *redis* and *prefix* are other names of *client* and *key_prefix*, those of the snippet on
    flask.pocoo.org that this class has its name from.
    """

    def __init__(
        self,
        app: Any = None,
        client: Any = None,
        key_prefix: str = PREFIX,
        *,
        redis: Any = None,
        prefix: str | None = None,
        **options: Unpack[InterfaceOptions],
    ) -> None:
        if app is not None and not isinstance(app, flask.Flask):
            app, redis, prefix, client = None, app, client, None  # the snippet's first arguments
        client = redis if client is None else client
        require(client, "SESSION_REDIS", "redis.Redis(host=…), or a URL: 'redis://localhost:6379'")
        with naming("SESSION_REDIS"):
            key_prefix = key_prefix if prefix is None else prefix
            store = RedisStore(client, prefix=key_prefix)
        reader = partial(FlaskSessionRedisReader, client)
        super().__init__(app, store, reader, key_prefix=key_prefix, **options)


class MemcachedSessionInterface(ServerSideSessionInterface):
    """Sessions in Memcached: *client* is what :class:`~wsgi_sessions.MemcachedStore` takes."""

    def __init__(
        self,
        app: flask.Flask | None = None,
        client: Any = None,
        key_prefix: str = PREFIX,
        **options: Unpack[InterfaceOptions],
    ) -> None:
        require(client, "SESSION_MEMCACHED", "the address of the server: '127.0.0.1:11211'")
        with naming("SESSION_MEMCACHED"):
            store = MemcachedStore(client, prefix=key_prefix)
        several = isinstance(client, (list, tuple))  # nobody can tell which of them has a session
        reader = None if several else partial(FlaskSessionMemcachedReader, client)
        super().__init__(app, store, reader, key_prefix=key_prefix, **options)


class FileSystemSessionInterface(ServerSideSessionInterface):
    """Sessions in the directory ``wsgi_sessions`` below *cache_dir*, so that Flask-Session, where
    it still runs, does not take our files for its own.

    Flask-Session removed files, live sessions among them, when there were more than *threshold*.
    Here expired ones are removed, on average every *threshold* requests.
    """

    def __init__(
        self,
        app: flask.Flask | None = None,
        key_prefix: str = PREFIX,
        *,
        cache_dir: str | os.PathLike[str] = FILE_DIRECTORY,
        threshold: int = FILE_THRESHOLD,
        mode: int = 0o600,
        **options: Unpack[InterfaceOptions],
    ) -> None:
        check_prefix(key_prefix, "SESSION_FILE_DIR")
        if mode != 0o600:
            warn(f"SESSION_FILE_MODE={mode:#o}", "files of sessions are for their owner alone")
        options.setdefault("cleanup_n_requests", threshold)
        store = FileStore(directory_below(cache_dir))
        reader = partial(FlaskSessionFileReader, cache_dir)
        super().__init__(app, store, reader, key_prefix=key_prefix, **options)


class CacheLibSessionInterface(ServerSideSessionInterface):
    """Sessions where the cachelib cache *client* keeps its values: in a directory, Redis,
    Memcached, MongoDB or this process. By default in the directory ``flask_session``."""

    def __init__(
        self,
        app: flask.Flask | None = None,
        client: Any = None,
        key_prefix: str = PREFIX,
        **options: Unpack[InterfaceOptions],
    ) -> None:
        with naming("SESSION_CACHELIB"):
            store = store_behind(client, key_prefix)
        reader = reader_behind(client)
        key_prefix = prefix_of(client) + key_prefix
        if isinstance(store, FileStore):
            options.setdefault("cleanup_n_requests", getattr(client, "_threshold", FILE_THRESHOLD))
        super().__init__(app, store, reader, key_prefix=key_prefix, **options)


class MongoDBSessionInterface(ServerSideSessionInterface):
    """Sessions in the collection *collection* of the database *db*; *client* is what
    :class:`~wsgi_sessions.MongoDBStore` takes."""

    def __init__(
        self,
        app: flask.Flask | None = None,
        client: Any = None,
        key_prefix: str = PREFIX,
        *,
        db: str = "flask_session",
        collection: str = "sessions",
        **options: Unpack[InterfaceOptions],
    ) -> None:
        check_prefix(key_prefix, "SESSION_MONGODB_COLLECT")
        require(
            client, "SESSION_MONGODB", "pymongo.MongoClient(…), or a URL: 'mongodb://localhost'"
        )
        with naming("SESSION_MONGODB"):
            store = MongoDBStore(client, database=db, collection=collection)
        reader = partial(FlaskSessionMongoDBReader, client, db=db, collection=collection)
        super().__init__(app, store, reader, key_prefix=key_prefix, **options)


class DynamoDBSessionInterface(ServerSideSessionInterface):
    """Sessions in the table *table_name* of DynamoDB, the same as Flask-Session's, where old and
    new items do not disturb each other. *client* is the service resource of boto3."""

    def __init__(
        self,
        app: flask.Flask | None = None,
        client: Any = None,
        key_prefix: str = PREFIX,
        *,
        table_name: str = "Sessions",
        **options: Unpack[InterfaceOptions],
    ) -> None:
        check_prefix(key_prefix, "SESSION_DYNAMODB_TABLE")
        require(
            client, "SESSION_DYNAMODB", 'boto3.resource("dynamodb", region_name="eu-west-1", …)'
        )
        with naming("SESSION_DYNAMODB"):
            table = dynamodb_table(client, table_name)
            store = DynamoDBStore(table)
        reader = partial(FlaskSessionDynamoDBReader, table)
        super().__init__(app, store, reader, key_prefix=key_prefix, **options)


class SqlAlchemySessionInterface(ServerSideSessionInterface):
    """Sessions in the table ``wsgi_{table}``, since Flask-Session's has other columns.

    *client* is a ``flask_sqlalchemy.SQLAlchemy``, an ``Engine`` or a URL; by default what the
    application has registered, or its ``SQLALCHEMY_DATABASE_URI``.
    """

    def __init__(
        self,
        app: flask.Flask,
        client: Any = None,
        key_prefix: str = PREFIX,
        *,
        table: str = "sessions",
        sequence: str | None = None,
        schema: str | None = None,
        bind_key: str | None = None,
        **options: Unpack[InterfaceOptions],
    ) -> None:
        check_prefix(key_prefix, "SESSION_SQLALCHEMY_TABLE")
        if sequence is not None:
            warn("SESSION_SQLALCHEMY_SEQUENCE", "the table has no number to count up")
        engine = engine_of(app, client, bind_key)
        with naming("SESSION_SQLALCHEMY"):
            store = SQLAlchemyStore(engine, table=f"wsgi_{table}", schema=schema)
        declare_table(app, client, bind_key, store.table)
        reader = partial(FlaskSessionSQLAlchemyReader, engine, table=table, schema=schema)
        super().__init__(app, store, reader, key_prefix=key_prefix, **options)
