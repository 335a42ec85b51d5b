"""What ``wsgi-sessions`` can do. A new command is a function here, or is added to :data:`commands`
by a module that :mod:`wsgi_sessions.cli` imports."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import click

from wsgi_sessions.cli.checks import Finding, Level, check_store
from wsgi_sessions.errors import ConfigurationError, StoreUnavailable
from wsgi_sessions.stores import (
    DEFAULT_STORE,
    Store,
    close_store,
    default_url,
    evicts,
    open_store,
)

__all__ = ["commands"]

SHORT_SECRET = 22
"""Characters that 128 random bits take at least."""
PATHS = ("file", "memory", "memcached", "sqlite", "sqlite+pysqlite")
"""Schemes whose URLs have no password."""


_SHARED_LOGINS = Finding(
    Level.NOTE,
    "applications on this store that have no secret= share their logins",
    "they sign by one key, so who is logged in at one is logged in at all whose cookies have the "
    "same name: between the services of one site a feature, between unrelated ones a hole",
    "for unrelated ones a secret= each, and a prefix= (table=, collection=, file) each",
)


class Unavailable(click.ClickException):
    """The store cannot be reached, or does not answer."""

    exit_code = 2


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="wsgi-sessions")
def commands() -> None:
    """Look after the sessions of WSGI applications."""


def store_option(function: Any) -> Any:
    """``--store URL``, for each command that works on a store; the default is the library's."""
    return click.option(
        "--store",
        "url",
        metavar="URL",
        default=default_url,
        help=f"Where sessions are kept. Default: $WSGI_SESSIONS_STORE, else {DEFAULT_STORE}.",
    )(function)


@commands.command()
@store_option
@click.pass_context
def check(context: click.Context, url: str) -> None:
    """Report problems in a deployment.

    One line for each finding: ok, note, warning or error; what is, why it matters, and the remedy.
    Where tables or indexes are missing, the statements that make them follow. What the check
    stores, it removes; it makes no file, table or index.

    Exit status: 0 if there are no warnings or errors, 1 if there are, 2 if the store cannot be
    reached or the URL is wrong.
    """
    worst = Level.OK
    with opened(url) as store:
        for finding in _findings(store):
            worst = max(worst, finding.level)
            click.echo(str(finding))
            if finding.statements:
                click.echo(f"\n{finding.statements.strip()}\n")
    context.exit(1 if worst >= Level.WARNING else 0)


@commands.command()
def new_secret() -> None:
    """Print a fresh random secret, for WSGI_SESSIONS_SECRET."""
    click.echo(secrets.token_urlsafe(32))


@contextmanager
def opened(url: str) -> Iterator[Store]:
    """The store of *url*, closed afterwards. What is wrong with either is one line."""
    store = _open(url)
    try:
        yield store
    except StoreUnavailable as error:
        raise Unavailable(f"cannot ask the store: {error}") from None
    finally:
        close_store(store)


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


def _findings(store: Store) -> Iterator[Finding]:
    yield _check_secret(store)
    if not os.environ.get("WSGI_SESSIONS_SECRET") and not evicts(store):
        yield _SHARED_LOGINS
    yield from check_store(store)


def _check_secret(store: Store) -> Finding:
    """The secret that signs cookies, as far as it can be seen from here."""
    secret = os.environ.get("WSGI_SESSIONS_SECRET", "")
    remedy = "WSGI_SESSIONS_SECRET in the environment, of what `wsgi-sessions new-secret` prints"
    if secret:
        if len(secret) >= SHORT_SECRET:
            return Finding(Level.OK, "WSGI_SESSIONS_SECRET is set")
        return Finding(
            Level.WARNING, "WSGI_SESSIONS_SECRET is short", "it could be guessed", remedy
        )
    what = "WSGI_SESSIONS_SECRET is not set here"
    if evicts(store):
        return Finding(
            Level.ERROR,
            what,
            "this store cannot keep a secret, so without secret= the program does not start",
            remedy,
        )
    return Finding(
        Level.NOTE,
        what,
        "without secret= in the program, the workers share a random one through the store, and "
        "anyone who can write to the store can choose it",
        remedy,
    )
