"""How a command prints: for people, or as JSON, one object a line."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, TypeVar

import click

__all__ = ["as_moment", "counted", "json_option", "json_value", "print_json", "printable"]

F = TypeVar("F", bound=Callable[..., Any])


def json_option(function: F) -> F:
    """``--json``."""
    return click.option(
        "--json",
        "as_json",
        is_flag=True,
        help="Print JSON, one object a line; times are seconds since the epoch.",
    )(function)


def print_json(row: dict[str, Any]) -> None:
    """One object, on one line."""
    click.echo(json.dumps(row, ensure_ascii=True))


def json_value(value: Any) -> Any:
    """*value* if JSON has it, else its text as Python writes it."""
    try:
        json.dumps(value, allow_nan=False)
    except (TypeError, ValueError):
        return repr(value)
    return value


def printable(text: str) -> str:
    """*text* without what would steer a terminal: owners, devices and names of values come from
    outside."""
    return "".join(one if one.isprintable() else ascii(one)[1:-1] for one in text)


def as_moment(moment: float | None) -> str:
    """To the minute, in UTC: ``2026-11-28T05:13Z``."""
    if moment is None:
        return "never"
    try:
        return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%MZ")
    except (OverflowError, ValueError, OSError):  # after the year 9999
        return "never"


def counted(number: int, noun: str = "session") -> str:
    """``1 session``, ``1,200 sessions``."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
