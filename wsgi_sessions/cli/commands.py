"""What ``wsgi-sessions`` can do. A new command is a module here, and a name in one of two lists."""

from __future__ import annotations

import click

from wsgi_sessions.cli.check import check
from wsgi_sessions.cli.demo import demo
from wsgi_sessions.cli.list import list_sessions
from wsgi_sessions.cli.purge import purge
from wsgi_sessions.cli.revoke import revoke
from wsgi_sessions.cli.secret import new_secret
from wsgi_sessions.cli.show import show
from wsgi_sessions.cli.stats import stats
from wsgi_sessions.cli.target import working_on
from wsgi_sessions.manager import SessionManager

__all__ = ["commands", "commands_of"]

ON_A_STORE: tuple[click.Command, ...] = (check, list_sessions, show, revoke, purge, stats)
OTHERS: tuple[click.Command, ...] = (new_secret, demo)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="wsgi-sessions")
def commands() -> None:
    """Look after the sessions of WSGI applications.

    Exit status: 0 if all went well; 1 if something was found wrong, missing or left out, or the
    command was interrupted or declined; 2 if the store cannot be asked, or the command line is
    wrong.
    """


_command: click.Command
for _command in (*ON_A_STORE, *OTHERS):
    commands.add_command(_command)


def commands_of(manager: SessionManager) -> dict[str, click.Command]:
    """Those that work on a store, by name, for the sessions of *manager*."""
    return {str(command.name): working_on(manager, command) for command in ON_A_STORE}
