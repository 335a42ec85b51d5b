"""The command ``wsgi-sessions``. This module is there also where click is not."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import click

    from wsgi_sessions.manager import SessionManager

__all__ = ["main", "manager_commands"]


def main() -> None:
    """Run the command with the arguments of this process, and exit with its status."""
    try:
        from wsgi_sessions.cli.commands import commands
    except ModuleNotFoundError as error:
        if error.name != "click":
            raise
        sys.exit('wsgi-sessions needs click: pip install "wsgi-sessions[cli]"')
    commands(prog_name="wsgi-sessions")


def manager_commands(manager: SessionManager) -> dict[str, click.Command]:
    """The commands that work on a store, for the sessions of *manager*: without ``--store``. For
    the command line of a framework. Costs nothing until one is run."""
    from wsgi_sessions.cli.commands import commands_of

    return commands_of(manager)
