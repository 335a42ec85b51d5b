"""The store that a constructor was given: an instance, a URL, or nothing."""

from __future__ import annotations

from inspect import iscoroutinefunction
from typing import NoReturn

from wsgi_sessions.cookie import CookieStore
from wsgi_sessions.errors import ConfigurationError
from wsgi_sessions.stores import Store, check_place_of, open_store

__all__ = ["StoreOrURL", "check_place", "is_store", "store_of"]

StoreOrURL = Store | CookieStore | str
"""What the constructors take as store."""

_OPERATIONS = ("load", "save", "delete")
_REMEDIES = {
    "redis": "RedisStore(client)",
    "valkey": "RedisStore(client)",
    "pymemcache": "MemcachedStore(client)",
    "pymongo": "MongoDBStore(client)",
    "boto3": "DynamoDBStore(table)",
    "botocore": "DynamoDBStore(table)",
    "sqlalchemy": "SQLAlchemyStore(engine)",
    "flask_sqlalchemy": "SQLAlchemyStore(db.engine)",
    "sqlite3": "SQLiteStore(path)",
    "pathlib": "SQLiteStore(path) or FileStore(directory)",
}
"""For things that are mistaken for a store, by their package, the store to make of them."""


def store_of(given: StoreOrURL | None) -> Store | CookieStore:
    """The store that *given* is or names; that of ``WSGI_SESSIONS_STORE`` for ``None``. Nothing is
    created or connected to. Raises :exc:`TypeError` for what is no store."""
    if given is None or isinstance(given, str):
        return open_store(given)
    if isinstance(given, CookieStore):
        return given
    if isinstance(given, type):
        raise TypeError(f"the store is the class {given.__name__}: write {given.__name__}(…)")
    if not is_store(given):
        _refuse(given)
    if iscoroutinefunction(given.load):
        raise TypeError(
            f"the store is a {type(given).__name__}, whose methods are coroutines: "
            f"one with ordinary methods is needed"
        )
    return given


def is_store(given: object) -> bool:
    """Whether *given* has the operations of a store."""
    return all(callable(getattr(given, operation, None)) for operation in _OPERATIONS)


def check_place(store: object, *, is_default: bool) -> None:
    """Raise :exc:`~wsgi_sessions.ConfigurationError` if a store on this host cannot be where it was
    said to be. Nothing is created."""
    try:
        check_place_of(store)
    except ConfigurationError as error:
        remedy = (
            "name another store by the environment's WSGI_SESSIONS_STORE or by store=…"
            if is_default
            else "name another place, or give this user the right to write"
        )
        raise ConfigurationError(f"sessions cannot be stored: {error}; {remedy}") from None


def _refuse(given: object) -> NoReturn:
    kind = type(given).__name__
    remedy = _REMEDIES.get(type(given).__module__.partition(".")[0])
    if remedy is not None:
        raise TypeError(f"the store is a {kind}: write {remedy}")
    missing = [name for name in _OPERATIONS if not callable(getattr(given, name, None))]
    hint = "; a callable, perhaps the application, is the first argument" if callable(given) else ""
    raise TypeError(
        f"the store is a {kind}, which has no {', '.join(missing)}: give a store such as "
        f"RedisStore(…), or a URL{hint}"
    )
