"""What a command works on: the manager of an application, or that of a store's URL."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import copy
from secrets import token_hex
from typing import Any, TypeVar
from urllib.parse import urlsplit

import click

from wsgi_sessions.cli.place import missing_place
from wsgi_sessions.cookie import EncryptedCookies, is_id
from wsgi_sessions.errors import ConfigurationError, StoreError, StoreUnavailable
from wsgi_sessions.manager import SessionManager
from wsgi_sessions.stores import (
    DEFAULT_STORE,
    Listable,
    MemoryStore,
    Store,
    close_store,
    default_url,
    open_store,
)

__all__ = [
    "CannotDo",
    "is_application",
    "opened_manager",
    "opened_sessions",
    "session_ids",
    "store_option",
    "working_on",
]

F = TypeVar("F", bound=Callable[..., Any])

ENCRYPTION_KEYS = "WSGI_SESSIONS_ENCRYPTION_KEYS"
PATHS = ("file", "memory", "memcached", "sqlite", "sqlite+pysqlite")
"""Schemes whose URLs have no password."""
MAX_RECORD_BYTES = 1 << 30
"""An application may have raised ``max_bytes``; what it could store, the command reads."""

_MANAGER, _URL = f"{__name__}.manager", f"{__name__}.url"


class CannotDo(click.ClickException):
    """The store cannot be reached, does not answer, or has not what the command needs."""

    exit_code = 2


def store_option(function: F) -> F:
    """``--store URL``, for each command that works on a store; the default is the library's."""
    return click.option(
        "--store",
        "url",
        metavar="URL",
        default=default_url,
        expose_value=False,
        callback=_remember_url,
        help=f"Where sessions are kept. Default: $WSGI_SESSIONS_STORE, else {DEFAULT_STORE}.",
    )(function)


def _remember_url(context: click.Context, _: click.Parameter, url: str) -> None:
    context.meta[_URL] = url


def working_on(manager: SessionManager, command: click.Command) -> click.Command:
    """*command* without ``--store``, for the sessions of *manager*."""
    bound = copy(command)
    bound.params = [param for param in command.params if param.name != "url"]
    run = command.callback
    assert run is not None

    def callback(*args: Any, **kwargs: Any) -> Any:
        click.get_current_context().meta[_MANAGER] = manager
        return run(*args, **kwargs)

    bound.callback = callback
    return bound


def is_application() -> bool:
    """Whether the manager is that of an application."""
    return _MANAGER in click.get_current_context().meta


@contextmanager
def opened_manager() -> Iterator[SessionManager]:
    """The manager to work with. A store of the command's own is closed afterwards. What is wrong
    with URL, keys or store is one line, and exit status 2."""
    meta = click.get_current_context().meta
    with _faults_in_one_line():
        if is_application():
            yield meta[_MANAGER]
            return
        store = _open(meta[_URL])
        try:
            yield _manager_of(store)
        finally:
            close_store(store)


@contextmanager
def opened_sessions() -> Iterator[SessionManager]:
    """The same for commands about single sessions, which not every store can serve."""
    with opened_manager() as manager:
        if isinstance(manager.store, EncryptedCookies):
            raise CannotDo("the sessions are in the browsers' cookies: no command reaches them")
        missing = missing_place(manager.store)
        if missing:
            raise CannotDo(
                f"{missing} does not exist: either the path is another, or the application has "
                f"stored no session yet"
            )
        if isinstance(manager.store, MemoryStore):
            click.echo(
                "note: MemoryStore keeps the sessions of one process, and these are this one's",
                err=True,
            )
        yield manager


def session_ids(manager: SessionManager) -> Iterator[str]:
    """The ids of all live sessions, as the store enumerates them: a batch at a time."""
    store = manager.store
    if not isinstance(store, Listable):
        raise CannotDo(
            f"{type(store).__name__} cannot enumerate its sessions: "
            f"every other store of this library can, Redis or SQLite for example"
        )
    return filter(is_id, store.keys())


@contextmanager
def _faults_in_one_line() -> Iterator[None]:
    try:
        yield
    except StoreUnavailable as error:
        raise CannotDo(f"cannot ask the store: {error}") from None
    except (StoreError, ConfigurationError) as error:
        raise CannotDo(str(error)) from None


def _manager_of(store: Store) -> SessionManager:
    """It reads what records say themselves, so it needs no option but the keys. It signs nothing:
    its signing key is random."""
    logging.getLogger("wsgi_sessions").addHandler(logging.NullHandler())  # the command says it
    keys: list[str | None] = [*os.environ.get(ENCRYPTION_KEYS, "").split()]
    try:
        return SessionManager(
            store,
            secret=token_hex(),
            max_bytes=MAX_RECORD_BYTES,
            encryption_keys=[*keys, None] if keys else None,
        )
    except ConfigurationError as error:
        raise click.UsageError(f"{ENCRYPTION_KEYS}: {error}") from None


def _open(url: str) -> Store:
    scheme, _, rest = url.partition("://")
    try:
        # A password with one of these characters as it is would be read as a host's name, a path
        # or an option, and shown in an error.
        stray = rest.count("@") - (1 if "@" in urlsplit(url).netloc else 0)
        if stray > 0 and scheme.lower() not in PATHS:
            raise ConfigurationError(
                "in user, password and options of a URL write @ : / ? # % as "
                "%40 %3A %2F %3F %23 %25"
            )
        return open_store(url)
    except ConfigurationError as error:
        raise click.UsageError(str(error)) from None
    except ValueError:  # of urlsplit, which quotes the URL
        raise click.UsageError("this is no URL") from None
