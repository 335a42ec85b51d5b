"""Options whose values are text: from an ini file, the environment or a URL."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from wsgi_sessions.errors import ConfigurationError
from wsgi_sessions.manager.options import Options, check_names
from wsgi_sessions.stores import (
    parse_boolean,
    parse_duration,
    parse_integer,
    parse_list,
)

__all__ = ["options_from_text"]

Parser = Callable[[str, str], object]

_FUNCTION = " | Callable[[dict[str, Any]], str | None]"


def options_from_text(texts: Mapping[str, str]) -> Options:
    """The options that *texts* describe, for a constructor that takes :class:`Options`.

    Durations are ``30 days``, ``15m``, ``1h30m`` or seconds, truth values ``true`` and ``false``;
    keys have blanks or line ends between them. An empty text, and for numbers ``none`` or
    ``never``, is ``None`` where the option can be that. Raises :exc:`TypeError` for an unknown name
    and :exc:`~wsgi_sessions.ConfigurationError`, with name and value, for what cannot be read.
    """
    check_names(dict(texts))
    options: Any = {}
    for name, text in texts.items():
        annotation = Options.__annotations__[name]
        kind = getattr(annotation, "__forward_arg__", str(annotation))
        options[name] = _parser(name, kind)(name, text)
    return options  # type: ignore[no-any-return]  # checked like any other by the constructor


def _parser(name: str, kind: str) -> Parser:
    kind = kind.replace(_FUNCTION, "")  # the other things that the option can be
    if kind.startswith("Literal["):
        return _as_it_is
    if kind in _PARSERS:
        return _PARSERS[kind]
    raise ConfigurationError(f"{name} cannot be given as text: give the object in Python")


def _as_it_is(_name: str, text: str) -> str:
    return text


def _or_none(parse: Parser, *words: str) -> Parser:
    def parse_optional(name: str, text: str) -> object:
        return None if text.strip().lower() in ("", *words) else parse(name, text)

    return parse_optional


def _keys_or_none(name: str, text: str) -> object:
    """A list in which ``none`` stands for no key."""
    return [None if one.lower() == "none" else one for one in parse_list(name, text)]


_PARSERS: dict[str, Parser] = {
    "str": _as_it_is,
    "str | None": _or_none(_as_it_is),  # SameSite has a value "None"
    "str | bytes | None": _or_none(_as_it_is),
    "bool": parse_boolean,
    "bool | None": _or_none(parse_boolean, "none"),
    "int": parse_integer,
    "float | timedelta": parse_duration,
    "float | timedelta | None": _or_none(parse_duration, "none", "never"),
    "Sequence[str]": parse_list,
    "Sequence[str | bytes]": parse_list,
    "Sequence[str | bytes | None] | None": _or_none(_keys_or_none, "none"),
}
"""By the type of the option in :class:`Options`."""
