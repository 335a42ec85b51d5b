"""``wsgi-sessions check``: problems in a deployment, and their remedies."""

from __future__ import annotations

import os
from collections.abc import Iterator

import click

from wsgi_sessions.cli.checks import EVICTION, Finding, Level, check_store
from wsgi_sessions.cli.output import json_option, print_json
from wsgi_sessions.cli.target import is_application, opened_manager, store_option
from wsgi_sessions.manager import SessionManager
from wsgi_sessions.stores import Store, evicts

__all__ = ["check"]

SHORT_SECRET = 22
"""Characters that 128 random bits take at least."""

_SHARED_LOGINS = Finding(
    Level.NOTE,
    "applications on this store that have no secret= share their logins",
    "they sign by one key, so who is logged in at one is logged in at all whose cookies have the "
    "same name: between the services of one site a feature, between unrelated ones a hole",
    "for unrelated ones a secret= each, and a prefix= (table=, collection=, file) each",
)


@click.command()
@store_option
@json_option
@click.pass_context
def check(context: click.Context, as_json: bool) -> None:
    """Report problems in a deployment.

    One line for each finding: ok, note, warning or error; what is, why it matters, and the remedy.
    Where tables or indexes are missing, the statements that make them follow. What the check
    stores, it removes; it makes no file, table or index.

    Exit status: 0 if there are no warnings or errors, 1 if there are, 2 if the store cannot be
    reached or the URL is wrong.
    """
    worst = Level.OK
    with opened_manager() as manager:
        for finding in _findings(manager):
            worst = max(worst, finding.level)
            if as_json:
                print_json(finding._asdict() | {"level": finding.level.name.lower()})
                continue
            click.echo(str(finding))
            if finding.statements:
                click.echo(f"\n{finding.statements.strip()}\n")
    context.exit(1 if worst >= Level.WARNING else 0)


def _findings(manager: SessionManager) -> Iterator[Finding]:
    secret: str | bytes | None
    name, secret = "WSGI_SESSIONS_SECRET", os.environ.get("WSGI_SESSIONS_SECRET")
    if is_application():
        name, secret = "the application's secret", manager.options.secret
    yield _check_secret(manager.store, name, secret)
    if not secret and not evicts(manager.store):
        yield _SHARED_LOGINS
    for finding in check_store(manager.store):
        yield finding
        if not secret and finding.what.startswith(EVICTION) and finding.level > Level.OK:
            yield _EVICTED_SECRET


_EVICTED_SECRET = Finding(
    Level.ERROR,
    "without a secret the workers share a key that this server may drop",
    "those that start later would make another one, and log everybody out",
    "WSGI_SESSIONS_SECRET, or secret= in the program; or a maxmemory-policy that keeps it",
)


def _check_secret(store: Store, name: str, secret: str | bytes | None) -> Finding:
    """The secret that signs cookies, as far as it can be seen from here."""
    remedy = "WSGI_SESSIONS_SECRET in the environment, of what `wsgi-sessions new-secret` prints"
    if secret:
        if len(secret) >= SHORT_SECRET:
            return Finding(Level.OK, f"{name} is set")
        return Finding(Level.WARNING, f"{name} is short", "it could be guessed", remedy)
    what = f"{name} is not set here"
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
