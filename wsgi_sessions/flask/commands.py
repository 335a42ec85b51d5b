"""``flask sessions``: the commands of ``wsgi-sessions`` for the application's own sessions."""

from __future__ import annotations

from importlib import import_module

import click
import flask

from wsgi_sessions.flask.configuration import ConfiguredMiddleware

__all__ = ["add_commands"]


class SessionCommands(click.Group):
    """Look after this application's sessions."""

    def __init__(self, middleware: ConfiguredMiddleware) -> None:
        super().__init__("sessions", help=type(self).__doc__)
        self._middleware = middleware

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  # click's
        return sorted(self._load())

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        return self._load().get(cmd_name)

    def _load(self) -> dict[str, click.Command]:
        """They stand above the integrations, so they are named by text, and only when wanted: a
        request never imports them."""
        manager = self._middleware.manager
        if manager is None:
            raise click.UsageError(f"this application has no sessions: {self._middleware.problem}")
        commands: dict[str, click.Command] = import_module("wsgi_sessions.cli").manager_commands(
            manager
        )
        return commands


def add_commands(app: flask.Flask, middleware: ConfiguredMiddleware) -> None:
    """``flask sessions …`` for *app*, unless the application has a command of that name."""
    if "sessions" not in app.cli.commands:
        app.cli.add_command(SessionCommands(middleware))
