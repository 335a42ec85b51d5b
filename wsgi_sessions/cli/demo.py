"""``wsgi-sessions demo``: the shop that shows its session."""

from __future__ import annotations

import runpy
import sys

import click

__all__ = ["demo"]


@click.command(
    add_help_option=False,
    context_settings={"ignore_unknown_options": True},
)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def demo(arguments: tuple[str, ...]) -> None:
    """Serve a small shop that shows its session, as python -m wsgi_sessions.demo does.

    `wsgi-sessions demo --help` shows its options.
    """
    sys.argv[1:] = arguments
    runpy.run_module("wsgi_sessions.demo", run_name="__main__", alter_sys=True)
