"""``wsgi-sessions list``: the sessions of a store, or of one owner."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import click

from wsgi_sessions.cli.found import find
from wsgi_sessions.cli.output import as_moment, json_option, print_json, printable
from wsgi_sessions.cli.owned import sessions_of
from wsgi_sessions.cli.steps import Steps
from wsgi_sessions.cli.target import opened_sessions, session_ids, store_option
from wsgi_sessions.manager import SessionManager

__all__ = ["list_sessions"]

LINE = "{id:22}  {last_seen:17}  {expires_at:17}  {owner:12}  {device}"
HEAD = {
    "id": "ID",
    "last_seen": "LAST SEEN",
    "expires_at": "EXPIRES",
    "owner": "OWNER",
    "device": "DEVICE",
}


@click.command("list")
@store_option
@click.option("--owner", help="Only this owner's sessions, the oldest first.")
@json_option
@click.pass_context
def list_sessions(context: click.Context, owner: str | None, as_json: bool) -> None:
    """List live sessions, one a line, as the store enumerates them.

    Nothing is collected, so millions need no memory. Of a session that cannot be read here the
    line says why. "Last seen" is when it was last saved or renewed, at most a tenth of its lifetime
    ago. With Redis, a session may be listed twice if the server resizes its table in this time.

    Exit status: 0, also if there is no session; 1 if interrupted; 2 if the store cannot be asked,
    or cannot list.
    """
    with opened_sessions() as manager, Steps() as steps:
        rows = _all_rows(manager, steps) if owner is None else _rows_of(manager, owner)
        if not as_json:
            click.echo(LINE.format(**HEAD))
        for row in rows:
            if as_json:
                print_json(row)
            else:
                click.echo(_line(row))
    context.exit(1 if steps.interrupted else 0)


def _all_rows(manager: SessionManager, steps: Steps) -> Iterator[dict[str, Any]]:
    for id in steps.of(session_ids(manager), "Sessions"):
        found = find(manager, id)
        if found is not None:
            yield found.row()


def _rows_of(manager: SessionManager, owner: str) -> Iterator[dict[str, Any]]:
    for found in sessions_of(manager, owner):
        yield found.row()


def _line(row: dict[str, Any]) -> str:
    if "problem" in row:
        return f"{row['id']}  {row['problem']}"
    return LINE.format(
        id=row["id"],
        last_seen=as_moment(row["last_seen"]),
        expires_at=as_moment(row["expires_at"]),
        owner=printable(row["owner"] or "-"),
        device=printable(row["device"] or "-"),
    ).rstrip()
