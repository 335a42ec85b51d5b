"""The stores, one module each, and :func:`open_store`, which finds the one that a URL names.

A store that opens itself from a URL has a class method ``from_url(url)``. One that keeps its data
on this host needs none: its first argument is the path in the URL, and its keyword arguments of
simple types are the options.
"""

from __future__ import annotations

import inspect
import os
import re
from collections.abc import Callable
from importlib import import_module
from typing import Any, Protocol, cast, runtime_checkable
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from wsgi_sessions.errors import ConfigurationError
from wsgi_sessions.stores.base import Store
from wsgi_sessions.stores.text import parse_float
from wsgi_sessions.stores.url_options import (
    FLAG,
    NUMBER,
    SECONDS,
    TEXT,
    TIMEOUTS,
    Parse,
    timeouts_in,
)

__all__ = ["DEFAULT_STORE", "default_url", "open_store"]

DEFAULT_STORE = "sqlite:///wsgi-sessions.db"
"""The store where neither the program nor the environment names one."""

STORES = {
    "memory": "memory:MemoryStore",
    "file": "file:FileStore",
    "sqlite": "sqlite:SQLiteStore",
    "redis": "redis:RedisStore",
    "rediss": "redis:RedisStore",
    "unix": "redis:RedisStore",
    "valkey": "redis:RedisStore",
    "valkeys": "redis:RedisStore",
    "redis+sentinel": "redis:RedisStore",
    "rediss+sentinel": "redis:RedisStore",
    "valkey+sentinel": "redis:RedisStore",
    "valkeys+sentinel": "redis:RedisStore",
    "redis+cluster": "redis:RedisStore",
    "rediss+cluster": "redis:RedisStore",
    "valkey+cluster": "redis:RedisStore",
    "valkeys+cluster": "redis:RedisStore",
    "memcached": "memcached:MemcachedStore",
    "memcacheds": "memcached:MemcachedStore",
    "postgresql": "sqlalchemy:SQLAlchemyStore",
    "postgresql+psycopg": "sqlalchemy:SQLAlchemyStore",
    "postgresql+psycopg2": "sqlalchemy:SQLAlchemyStore",
    "mysql": "sqlalchemy:SQLAlchemyStore",
    "mysql+pymysql": "sqlalchemy:SQLAlchemyStore",
    "mysql+mysqldb": "sqlalchemy:SQLAlchemyStore",
    "mariadb": "sqlalchemy:SQLAlchemyStore",
    "mariadb+pymysql": "sqlalchemy:SQLAlchemyStore",
    "mariadb+mysqldb": "sqlalchemy:SQLAlchemyStore",
    "sqlite+pysqlite": "sqlalchemy:SQLAlchemyStore",
    "mongodb": "mongodb:MongoDBStore",
    "mongodb+srv": "mongodb:MongoDBStore",
    "dynamodb": "dynamodb:DynamoDBStore",
}
"""URL scheme → module in this package and class. The module is imported when it is needed."""


KINDS: dict[str, Any] = {"str": TEXT, "int": NUMBER, "bool": FLAG, "float": parse_float}
"""Annotation of a keyword argument → how it is written in a URL."""


@runtime_checkable
class OpensURL(Protocol):
    """A store's class with its own way to read a URL."""

    @classmethod
    def from_url(cls, url: str) -> Store:
        """The store that *url* names."""


def default_url() -> str:
    """The URL in the environment's ``WSGI_SESSIONS_STORE``, else :data:`DEFAULT_STORE`."""
    return os.environ.get("WSGI_SESSIONS_STORE") or DEFAULT_STORE


def open_store(url: str | None = None) -> Store:
    """The store that *url* names; nothing is connected to, created or read yet.

    ``memory://``, ``file:///abs/directory``, ``sqlite:///relative.db``, ``sqlite:////abs/path.db``
    (three slashes relative, four absolute), ``redis://…``, ``redis+sentinel://h1,h2/name``,
    ``redis+cluster://h1,h2``, ``memcached://…``, ``memcacheds://…``,
    ``postgresql+psycopg://…``, ``mongodb://…``, ``dynamodb://region/table``. Options follow in the
    query: ``?table=logins``; for all stores that can wait ``connect_timeout`` and
    ``answer_timeout``, in seconds.

    Without *url* it is the one in the environment's ``WSGI_SESSIONS_STORE``, by default an SQLite
    file, ``wsgi-sessions.db``, in the working directory.

    Raises :exc:`~wsgi_sessions.ConfigurationError`, which never contains the URL: it may hold a
    password.
    """
    if url is None:
        url = default_url()
    scheme, separator, _ = url.partition("://")
    target = STORES.get(scheme.lower()) if separator else None
    if target is None:
        known = ", ".join(f"{name}://" for name in STORES)
        raise ConfigurationError(f"a store's URL begins with one of {known}")
    module, _, name = target.partition(":")
    cls = getattr(import_module(f"wsgi_sessions.stores.{module}"), name)
    if issubclass(cls, OpensURL):
        return cast(Store, cls.from_url(url))
    parts = urlsplit(url)
    return cast(Store, cls(*_path(parts), **_options(parts, cls)))


def _path(parts: SplitResult) -> list[str]:
    """The path as the list of positional arguments."""
    path = unquote(parts.path)
    if parts.fragment:
        raise ConfigurationError(f"{parts.scheme}:// takes no '#'; in a path write it as %23")
    if parts.scheme == "memory":
        if parts.netloc or path:
            raise ConfigurationError("memory:// takes no host and no path")
        return []
    if parts.netloc or path in ("", "/"):
        right = {"file": "file:///absolute/directory", "sqlite": "sqlite:///relative/path.db"}
        raise ConfigurationError(
            f"{parts.scheme}:// needs a path and no host: {right[parts.scheme]} (three slashes)"
        )
    if parts.scheme == "sqlite" or (os.name == "nt" and re.match("/[A-Za-z]:", path)):
        path = path.removeprefix("/")
    return [path]


def _options(parts: SplitResult, cls: Callable[..., object]) -> dict[str, Any]:
    """The query as keyword arguments, converted to the types that the constructor declares."""
    kinds: dict[str, Parse] = {}
    for option in inspect.signature(cls).parameters.values():
        if option.name == "timeouts":
            kinds.update(dict.fromkeys(TIMEOUTS, SECONDS))
        elif option.kind is option.KEYWORD_ONLY and option.annotation in KINDS:
            kinds[option.name] = KINDS[option.annotation]
    given: dict[str, Any] = {}
    for name, text in parse_qsl(parts.query, keep_blank_values=True):
        if name not in kinds:
            known = ", ".join(sorted(kinds)) or "none"
            raise ConfigurationError(f"{parts.scheme}:// has no option {name!r}; known: {known}")
        if name in given:
            raise ConfigurationError(f"{parts.scheme}:// option {name!r} is given twice")
        given[name] = kinds[name](f"{parts.scheme}:// option {name!r}", text)
    return timeouts_in(given)
