"""pymongo: which clients can be used, how one is made, and what its errors mean."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from wsgi_sessions.errors import ConfigurationError, StoreUnavailable, cannot_import
from wsgi_sessions.stores.given import check_client

if TYPE_CHECKING:
    from pymongo import MongoClient

BUSY = (24, 64, 112, 14031)
"""A lock that somebody holds, a replica that does not confirm, a conflict with another write, and a
full disk."""

__all__ = ["check", "faults_translated", "own_client"]


def check(client: MongoClient[Any] | str) -> None:
    """Raise unless it can be used."""
    try:
        from pymongo.collection import Collection
        from pymongo.database import Database
    except ImportError as error:
        needs = "MongoDBStore needs pymongo"
        raise cannot_import(error, needs, "wsgi-sessions[mongodb]") from error
    if isinstance(client, str):
        _check_url(client)
        return
    check_client(client, "server_info")
    if isinstance(client, Database | Collection) or not hasattr(client, "get_default_database"):
        raise ConfigurationError(
            f"MongoDBStore needs a URL or a pymongo.MongoClient, not {type(client).__name__}; "
            f"database= and collection= say where in it"
        )


def _check_url(url: str) -> None:
    """Raise for options that pymongo would only warn of. Their values may be secret."""
    from pymongo.errors import PyMongoError
    from pymongo.uri_parser import split_options

    for option in filter(None, url.partition("?")[2].split("&")):
        try:
            split_options(option)
        except (PyMongoError, ValueError, TypeError):
            raise ConfigurationError(
                f"MongoDB URL: {option.partition('=')[0]!r} is no option, or not with that value. "
                f"open_store has collection, create, connect_timeout and answer_timeout; all "
                f"others are pymongo's. The database is the path of the URL"
            ) from None


def own_client(url: str, defaults: dict[str, Any]) -> MongoClient[Any]:
    from pymongo import MongoClient
    from pymongo.errors import PyMongoError

    given = {option.partition("=")[0].lower() for option in url.partition("?")[2].split("&")}
    options: dict[str, Any] = {
        name: value for name, value in defaults.items() if name.lower() not in given
    }
    try:
        return MongoClient(url, connect=False, **options)
    except (PyMongoError, ValueError, TypeError) as error:
        raise ConfigurationError(
            f"not a MongoDB URL ({type(error).__name__}): it has the form "
            f"mongodb://user:password@host:27017/database?option=value, "
            f"user and password percent-encoded"
        ) from None  # the parser quotes what may be the password


@contextmanager
def faults_translated() -> Iterator[None]:
    """Whatever pymongo raises is :exc:`StoreUnavailable`. A server's refusal is not shown, since it
    may quote the command with key and data."""
    from bson.errors import BSONError
    from pymongo.errors import (
        OperationFailure,
        PyMongoError,
        ServerSelectionTimeoutError,
        WaitQueueTimeoutError,
        WriteConcernError,
        WTimeoutError,
    )

    try:
        yield
    except OperationFailure as error:
        name = (error.details or {}).get("codeName", type(error).__name__)
        raise StoreUnavailable(
            f"MongoDB refused ({name}, code {error.code})",
            applied=None if isinstance(error, WriteConcernError) else False,
            busy=error.code in BUSY or isinstance(error, WTimeoutError),
        ) from None
    except (PyMongoError, BSONError) as error:
        sent = not isinstance(error, ServerSelectionTimeoutError | WaitQueueTimeoutError)
        raise StoreUnavailable(
            f"MongoDB did not answer ({type(error).__name__})",
            applied=None if sent else False,
            busy=isinstance(error, WaitQueueTimeoutError),
        ) from error
