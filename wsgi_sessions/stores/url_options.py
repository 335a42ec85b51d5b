"""The options of a store that stand in the query of its URL."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import unquote_plus

from wsgi_sessions.errors import ConfigurationError
from wsgi_sessions.stores.text import parse_boolean, parse_duration, parse_integer
from wsgi_sessions.stores.timeouts import Timeouts

__all__ = [
    "FLAG",
    "NUMBER",
    "SECONDS",
    "TEXT",
    "TIMEOUTS",
    "Parse",
    "take_options",
    "timeouts_in",
]

Parse = Callable[[str, str], object]
"""Reads an option: what to call it in an error, and its text."""


def _as_it_is(_name: str, text: str) -> str:
    return text


TEXT: Parse = _as_it_is
NUMBER: Parse = parse_integer
FLAG: Parse = parse_boolean
SECONDS: Parse = parse_duration

TIMEOUTS = {"connect_timeout": "connect", "answer_timeout": "answer"}
"""Option → field of :class:`~wsgi_sessions.stores.Timeouts`."""


def take_options(url: str, kinds: Mapping[str, Parse]) -> tuple[str, dict[str, Any]]:
    """*url* without the options that *kinds* names, and these as keyword arguments.

    ``connect_timeout`` and ``answer_timeout`` are among them always, as ``timeouts``, which is
    missing if both are. All other options stay in the URL as they are written.

    Raises :exc:`~wsgi_sessions.ConfigurationError` for an option that is given twice or cannot be
    read.
    """
    kinds = {**kinds, **dict.fromkeys(TIMEOUTS, SECONDS)}
    address, _, query = url.partition("?")
    scheme = address.partition("://")[0]
    given: dict[str, Any] = {}
    others = []
    for pair in filter(None, query.split("&")):
        name, _, text = pair.partition("=")
        if name not in kinds:
            others.append(pair)
            continue
        if name in given:
            raise ConfigurationError(f"{scheme}:// option {name!r} is given twice")
        given[name] = kinds[name](f"{scheme}:// option {name!r}", unquote_plus(text))
    return f"{address}?{'&'.join(others)}" if others else address, timeouts_in(given)


def timeouts_in(given: Mapping[str, Any]) -> dict[str, Any]:
    """*given* with the two time limits in it as one argument, ``timeouts``."""
    options = {name: value for name, value in given.items() if name not in TIMEOUTS}
    limits = {field: given[name] for name, field in TIMEOUTS.items() if name in given}
    if limits:
        options["timeouts"] = Timeouts(**limits)
    return options
