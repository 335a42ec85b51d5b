"""``wsgi-sessions new-secret``: a signing key."""

from __future__ import annotations

import secrets

import click

__all__ = ["new_secret"]


@click.command()
def new_secret() -> None:
    """Print a fresh random secret, for WSGI_SESSIONS_SECRET."""
    click.echo(secrets.token_urlsafe(32))
