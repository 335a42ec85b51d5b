"""``wsgi-sessions revoke``: end sessions."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import click

from wsgi_sessions.cli.arguments import CommandOnIds, checked_duration, checked_ids
from wsgi_sessions.cli.ending import Ending
from wsgi_sessions.cli.output import json_option, printable
from wsgi_sessions.cli.target import opened_sessions, store_option

__all__ = ["revoke"]


@click.command(cls=CommandOnIds)
@click.argument("ids", callback=checked_ids, nargs=-1, metavar="[ID]...")
@click.option("--owner", help="End all sessions of this owner.")
@click.option(
    "--idle",
    metavar="DURATION",
    callback=checked_duration,
    help="End every session unused for that long: 15m, 30 days.",
)
@click.option("--all", "every", is_flag=True, help="End every session.")
@click.option("--dry-run", is_flag=True, help="End none, say how many it would be.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@store_option
@json_option
@click.pass_context
def revoke(
    context: click.Context,
    ids: Sequence[str],
    owner: str | None,
    idle: float | None,
    every: bool,
    dry_run: bool,
    yes: bool,
    as_json: bool,
) -> None:
    """End sessions: those named by ID, or of one owner, or unused for long, or all.

    A session that is ended stays so: no request in flight brings it back. Asks before, on a
    terminal; elsewhere --yes is needed. Ctrl-C stops between two sessions, and the command says how
    many were ended; run again, it goes on.

    "Unused" goes by when a session was last saved or renewed, so --idle may end one that has been
    read since, within the last tenth of its lifetime. It leaves what it cannot read.

    Exit status: 0; 1 if one of the IDs names no session, something was left out, or the command was
    interrupted or declined; 2 if the store cannot be asked.
    """
    if (bool(ids), owner is not None, idle is not None, every).count(True) != 1:
        raise click.UsageError("say which: one or more IDs, or --owner, or --idle, or --all")
    with opened_sessions() as manager:
        ending = Ending(manager, dry_run=dry_run)
        if not (dry_run or yes):
            _confirm(_described(ids, owner, idle), type(manager.store).__name__)
        with ending.reported(as_json=as_json):
            if ids:
                ending.named(ids)
            elif owner is not None:
                ending.of_owner(owner)
            elif idle is not None:
                ending.unused_for(idle)
            else:
                ending.all()
    context.exit(0 if ending.complete else 1)


def _described(ids: Sequence[str], owner: str | None, idle: float | None) -> str:
    if ids:
        return "this session" if len(ids) == 1 else f"these {len(ids)} sessions"
    if owner is not None:
        return f"all sessions of {printable(owner)}"
    return "all sessions" if idle is None else f"all sessions unused for {idle:g} s"


def _confirm(what: str, where: str) -> None:
    if not sys.stdin.isatty():
        raise click.UsageError("there is no terminal to ask on: say --yes")
    click.confirm(f"End {what} in {where}?", abort=True, err=True)
