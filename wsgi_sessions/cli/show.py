"""``wsgi-sessions show``: what a session is, without its values."""

from __future__ import annotations

from typing import Any

import click

from wsgi_sessions.cli.arguments import CommandOnIds, checked_id
from wsgi_sessions.cli.found import Found, find
from wsgi_sessions.cli.output import as_moment, json_option, json_value, print_json, printable
from wsgi_sessions.cli.target import opened_sessions, store_option
from wsgi_sessions.manager import SessionManager
from wsgi_sessions.record import Record, content, stored_at

__all__ = ["show"]


@click.command(cls=CommandOnIds)
@click.argument("id", callback=checked_id)
@click.option("--values", "with_values", is_flag=True, help="Show the values too.")
@store_option
@json_option
@click.pass_context
def show(context: click.Context, id: str, with_values: bool, as_json: bool) -> None:
    """Show one session: owner, device, times, and its values by name and size.

    An encrypted session is shown with its values if WSGI_SESSIONS_ENCRYPTION_KEYS in the
    environment has its key (blanks between several); without, what can be said.

    Exit status: 0; 1 if there is no such session, or it cannot be read; 2 if the store cannot be
    asked.
    """
    with opened_sessions() as manager:
        found = find(manager, id)
        if found is None:
            raise click.ClickException(f"there is no session {id}")
        values = _values(manager, found.record, with_values)
    if as_json:
        print_json(found.row() | found.details() | {"values": values})
    else:
        _print(found, values)
    context.exit(1 if found.problem else 0)


def _values(
    manager: SessionManager, record: Record | None, with_values: bool
) -> dict[str, dict[str, Any]]:
    """For each name the bytes that it takes, and the value if that is wanted."""
    shown: dict[str, dict[str, Any]] = {}
    stored = {} if record is None else record.values
    for name in stored:
        shown[name] = {"bytes": len(content(stored, name))}
        if with_values:
            try:
                value = manager.repository.codec.loads(stored_at(stored, name))
                shown[name]["value"] = json_value(value)
            except ValueError:  # damaged, or of a type that only the application knows
                shown[name]["problem"] = "cannot be decoded here"
    return shown


def _print(found: Found, values: dict[str, dict[str, Any]]) -> None:
    lines = {"id": found.id}
    if found.record is None:
        lines |= {"size": _size(len(found.stored.data)), "problem": found.problem}
    else:
        lines |= _about(found, found.record)
    for name, text in lines.items():
        click.echo(f"{name + ':':<11}{text}")
    if values:
        click.echo("values:")
    for name, about in values.items():
        text = about.get("problem", "")
        if "value" in about:
            text = printable(repr(about["value"]))
        click.echo(f"  {printable(name):<20}  {_size(about['bytes']):>13}  {text}".rstrip())


def _about(found: Found, record: Record) -> dict[str, str]:
    row, details = found.row(), found.details()
    how = "permanent, " if record.permanent else ""
    own = " (its own)" if details["own_lifetime"] else ""
    return {
        "owner": printable(record.owner or "-"),
        "device": printable(record.device or "-"),
        "created": as_moment(row["created_at"]),
        "last seen": as_moment(row["last_seen"]),
        "expires": f"{as_moment(row['expires_at'])}, at the latest {as_moment(record.ends_at)}",
        "lifetime": f"{how}{record.idle:g} s unused{own}",
        "size": _size(details["bytes"]) + (", encrypted" if details["encrypted"] else ""),
    }


def _size(number: int) -> str:
    return f"{number:,} byte{'' if number == 1 else 's'}"
