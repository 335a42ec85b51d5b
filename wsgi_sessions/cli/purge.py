"""``wsgi-sessions purge``: remove what has expired, for cron."""

from __future__ import annotations

from collections.abc import Iterator

import click

from wsgi_sessions.cli.output import counted, json_option, print_json
from wsgi_sessions.cli.steps import Steps
from wsgi_sessions.cli.target import opened_sessions, store_option
from wsgi_sessions.stores import Purgeable

__all__ = ["purge"]

BATCH = 1000
"""Records a call; the store makes it in transactions that disturb nobody."""


@click.command()
@store_option
@json_option
@click.pass_context
def purge(context: click.Context, as_json: bool) -> None:
    """Remove expired sessions. No session that is alive is touched.

    For cron. Databases and files purge a little with each save already; where nobody saves, or
    much expires at once, this is the tool. A store that drops by itself what has expired (Redis,
    Memcached, DynamoDB) needs none: then this says so, and is content.

    Exit status: 0; 1 if interrupted; 2 if the store cannot be asked.
    """
    removed = 0
    with opened_sessions() as manager, Steps() as steps:
        store = manager.store
        needed = isinstance(store, Purgeable)
        for number in steps.of(_batches(store) if needed else (), "Batches of 1,000"):
            removed += number
    if as_json:
        print_json({"purged": removed, "needed": needed, "interrupted": steps.interrupted})
    elif needed:
        end = ", then interrupted" if steps.interrupted else ""
        click.echo(f"{counted(removed, 'expired session')} removed{end}.")
    else:
        click.echo(f"{type(store).__name__} drops what has expired by itself: nothing to do.")
    context.exit(1 if steps.interrupted else 0)


def _batches(store: Purgeable) -> Iterator[int]:
    number = BATCH
    while number >= BATCH:
        number = store.purge(BATCH)
        yield number
