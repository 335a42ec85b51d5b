"""The stores, one module each, and :func:`open_store`, which finds the one that a URL names.

A store that opens itself from a URL has a class method ``from_url(url)``. One that keeps its data
on this host needs none: its first argument is the path in the URL, and its keyword arguments of
simple types are the options.
"""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable
from importlib import import_module
from typing import Any, cast
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from wsgi_sessions.errors import ConfigurationError
from wsgi_sessions.stores.base import Store
from wsgi_sessions.stores.text import parse_boolean, parse_float, parse_integer

__all__ = ["DEFAULT_STORE", "open_store"]

STORES = {
    "memory": "memory:MemoryStore",
    "file": "file:FileStore",
    "sqlite": "sqlite:SQLiteStore",
    "redis": "redis:RedisStore",
    "rediss": "redis:RedisStore",
    "unix": "redis:RedisStore",
    "valkey": "redis:RedisStore",
    "valkeys": "redis:RedisStore",
    "memcached": "memcached:MemcachedStore",
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
}
"""URL scheme → module in this package and class. The module is imported when it is needed."""


DEFAULT_STORE = "sqlite:///wsgi-sessions.db"


def open_store(url: str | None = None) -> Store:
    """The store that *url* names; nothing is connected to, created or read yet.

    ``memory://``, ``file:///abs/directory``, ``sqlite:///relative.db``, ``sqlite:////abs/path.db``
    (three slashes relative, four absolute), ``redis://…``, ``memcached://…``,
    ``postgresql+psycopg://…``, ``mongodb://…``. Options follow in the query: ``?table=logins``.
    ``None`` stands for the environment's ``WSGI_SESSIONS_STORE``, else for an SQLite file in the
    working directory.

    Raises :exc:`~wsgi_sessions.ConfigurationError`, which never contains the URL: it may hold a
    password.
    """
    if url is None:
        url = os.environ.get("WSGI_SESSIONS_STORE") or DEFAULT_STORE
    scheme, separator, _ = url.partition("://")
    target = STORES.get(scheme.lower()) if separator else None
    if target is None:
        known = ", ".join(f"{name}://" for name in STORES)
        raise ConfigurationError(f"a store's URL begins with one of {known}")
    module, _, name = target.partition(":")
    cls = getattr(import_module(f"wsgi_sessions.stores.{module}"), name)
    if hasattr(cls, "from_url"):
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
    return [path.removeprefix("/") if parts.scheme == "sqlite" else path]


def _options(parts: SplitResult, cls: Callable[..., object]) -> dict[str, Any]:
    """The query as keyword arguments, converted to the types that the constructor declares."""
    kinds = {
        option.name: CONVERT[option.annotation]
        for option in inspect.signature(cls).parameters.values()
        if option.kind is option.KEYWORD_ONLY and option.annotation in CONVERT
    }
    options: dict[str, Any] = {}
    for name, text in parse_qsl(parts.query, keep_blank_values=True):
        if name not in kinds:
            known = ", ".join(sorted(kinds)) or "none"
            raise ConfigurationError(f"{parts.scheme}:// has no option {name!r}; known: {known}")
        if name in options:
            raise ConfigurationError(f"{parts.scheme}:// option {name!r} is there twice")
        options[name] = kinds[name](f"{parts.scheme}:// option {name!r}", text)
    return options


CONVERT: dict[str, Callable[[str, str], object]] = {
    "str": lambda _, text: text,
    "int": parse_integer,
    "float": parse_float,
    "bool": parse_boolean,
}
