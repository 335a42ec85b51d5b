"""The command ``wsgi-sessions``. This module is there also where click is not."""

from __future__ import annotations

import sys

__all__ = ["main"]


def main() -> None:
    """Run the command with the arguments of this process, and exit with its status."""
    try:
        from wsgi_sessions.cli.commands import commands
    except ModuleNotFoundError as error:
        if error.name != "click":
            raise
        sys.exit('wsgi-sessions needs click: pip install "wsgi-sessions[cli]"')
    commands(prog_name="wsgi-sessions")
