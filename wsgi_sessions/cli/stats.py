"""``wsgi-sessions stats``: how many sessions, how large, how recently used."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import click

from wsgi_sessions.cli.found import Found, find
from wsgi_sessions.cli.output import counted, json_option, print_json
from wsgi_sessions.cli.steps import Steps
from wsgi_sessions.cli.target import opened_sessions, session_ids, store_option

__all__ = ["stats"]

HOUR, DAY, WEEK = 3_600.0, 86_400.0, 604_800.0


@dataclass
class Statistics:
    """Of the sessions counted so far. A handful of numbers, however many there are."""

    sessions: int = 0
    logged_in: int = 0
    permanent: int = 0
    unreadable: int = 0
    seen_last_hour: int = 0
    seen_last_day: int = 0
    seen_last_week: int = 0
    bytes: int = 0
    largest_bytes: int = 0

    def add(self, found: Found, now: float) -> None:
        size = len(found.stored.data)
        self.sessions += 1
        self.bytes += size
        self.largest_bytes = max(self.largest_bytes, size)
        record = found.record
        if record is None:
            self.unreadable += 1
            return
        self.logged_in += record.owner is not None
        self.permanent += record.permanent
        unused = now - record.saved_at
        self.seen_last_hour += unused <= HOUR
        self.seen_last_day += unused <= DAY
        self.seen_last_week += unused <= WEEK


@click.command()
@store_option
@json_option
@click.pass_context
def stats(context: click.Context, as_json: bool) -> None:
    """Count live sessions: logged in, permanent, used within an hour, a day, a week; their bytes.

    Every session is loaded, one after the other, and none is kept in memory. "Unreadable" are
    those that are damaged, or encrypted with a key that WSGI_SESSIONS_ENCRYPTION_KEYS has not.

    Exit status: 0; 1 if interrupted, with what was counted so far; 2 if the store cannot be asked,
    or cannot list.
    """
    counts = Statistics()
    with opened_sessions() as manager, Steps() as steps:
        for id in steps.of(session_ids(manager), "Sessions"):
            found = find(manager, id)
            if found is not None:
                counts.add(found, manager.repository.now())
    if as_json:
        print_json(asdict(counts) | {"interrupted": steps.interrupted})
    else:
        _print(counts)
        if steps.interrupted:
            click.echo("Interrupted: these are the sessions counted so far.")
    context.exit(1 if steps.interrupted else 0)


def _print(counts: Statistics) -> None:
    mean = counts.bytes / counts.sessions if counts.sessions else 0
    click.echo(counted(counts.sessions))
    for name, number in (
        ("logged in", counts.logged_in),
        ("permanent", counts.permanent),
        ("seen in the last hour", counts.seen_last_hour),
        ("seen in the last day", counts.seen_last_day),
        ("seen in the last week", counts.seen_last_week),
        ("unreadable", counts.unreadable),
    ):
        click.echo(f"  {name:<22} {number:>11,}")
    click.echo(f"{counts.bytes:,} bytes, {mean:,.0f} a session, {counts.largest_bytes:,} at most")
