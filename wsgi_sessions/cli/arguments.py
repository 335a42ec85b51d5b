"""Arguments and options that are more than text: callbacks for click."""

from __future__ import annotations

import click

from wsgi_sessions.cookie import ID_LENGTH, is_id
from wsgi_sessions.errors import ConfigurationError
from wsgi_sessions.stores import parse_duration

__all__ = ["CommandOnIds", "checked_duration", "checked_id", "checked_ids"]


class CommandOnIds(click.Command):
    """A command whose arguments are ids, of which one in 64 begins with a hyphen, as options do."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        ids = list(filter(_is_no_option, args))
        rest = [arg for arg in args if not _is_no_option(arg)]
        return super().parse_args(ctx, [*rest, "--", *ids] if ids and "--" not in rest else args)


def _is_no_option(arg: str) -> bool:
    """No option of ours is as long as an id, unless its value is behind a ``=``."""
    return arg.startswith("-") and len(arg) >= ID_LENGTH and "=" not in arg


def checked_id(_: click.Context, param: click.Parameter, text: str) -> str:
    """An id. Of anything else the message shows no character: it may be a sid."""
    if not is_id(text):
        raise click.BadParameter(
            f"an id has {ID_LENGTH} characters of A-Z a-z 0-9 _ - and this has {len(text)}, or "
            f"others; of a sid and of a cookie's value the first {ID_LENGTH} are the id",
            param=param,
        )
    return text


def checked_ids(
    context: click.Context, param: click.Parameter, texts: tuple[str, ...]
) -> tuple[str, ...]:
    """Ids, each once."""
    return tuple(dict.fromkeys(checked_id(context, param, text) for text in texts))


def checked_duration(_: click.Context, param: click.Parameter, text: str | None) -> float | None:
    """Seconds, of ``15m``, ``30 days`` or ``3600``."""
    try:
        return None if text is None else parse_duration(str(param.name), text)
    except ConfigurationError as error:
        raise click.BadParameter(str(error), param=param) from None
