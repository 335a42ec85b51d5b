"""Options that are given as text: in a store's URL, the environment or an ini file.

Each function takes the name of the option and its text, and raises
:exc:`~wsgi_sessions.ConfigurationError`, with both and what is expected, for a text that it cannot
read. Blanks around a text do not count, and neither does case.
"""

from __future__ import annotations

import re
from typing import NoReturn

from wsgi_sessions.errors import ConfigurationError

__all__ = ["parse_boolean", "parse_duration", "parse_float", "parse_integer", "parse_list"]

_TRUE, _FALSE = ("true", "yes", "on", "1"), ("false", "no", "off", "0")
_UNITS = {
    1.0: ("s", "sec", "secs", "second", "seconds"),
    0.001: ("ms", "millisecond", "milliseconds"),
    60.0: ("m", "min", "mins", "minute", "minutes"),
    3_600.0: ("h", "hr", "hrs", "hour", "hours"),
    86_400.0: ("d", "day", "days"),
    604_800.0: ("w", "week", "weeks"),
}
_SECONDS = {word: seconds for seconds, words in _UNITS.items() for word in words}
_NUMBER = r"[0-9]+(?:\.[0-9]+)?"
_is_number = re.compile(_NUMBER).fullmatch
_is_duration = re.compile(rf"(?:{_NUMBER}\s*[a-z]+\s*)+").fullmatch
_parts = re.compile(rf"({_NUMBER})\s*([a-z]+)").findall


def parse_boolean(name: str, text: str) -> bool:
    """``true``, ``yes``, ``on``, ``1``; ``false``, ``no``, ``off``, ``0``."""
    word = text.strip().lower()
    if word not in _TRUE + _FALSE:
        _refuse(name, text, "true or false")
    return word in _TRUE


def parse_integer(name: str, text: str) -> int:
    """Decimal digits, with a sign perhaps."""
    return int(_matching(r"[+-]?[0-9]{1,30}", name, text, "a whole number"))


def parse_float(name: str, text: str) -> float:
    """Decimal digits, with a sign and a point perhaps."""
    return float(_matching(rf"[+-]?{_NUMBER}", name, text, "a number"))


def parse_duration(name: str, text: str) -> float:
    """Seconds: ``3600``, or numbers with units as in ``30 days``, ``15m``, ``1h30m``, ``2 weeks``.

    No unit stands twice, and there are none for months and years, whose lengths differ.
    """
    words = text.strip().lower()
    if _is_number(words):
        return float(words)
    parts = _parts(words)
    units = [_SECONDS.get(unit) for _, unit in parts]
    known = [unit for unit in units if unit is not None]
    if not _is_duration(words) or len(set(known)) != len(units):
        _refuse(name, text, "a duration such as 30 days, 15m, 1h30m or 3600 (seconds)")
    return sum(float(number) * unit for (number, _), unit in zip(parts, known, strict=True))


def parse_list(_name: str, text: str) -> list[str]:
    """Items with blanks or line ends between them."""
    return text.split()


def _matching(pattern: str, name: str, text: str, expected: str) -> str:
    found = re.fullmatch(pattern, text.strip())
    return found[0] if found else _refuse(name, text, expected)


def _refuse(name: str, text: str, expected: str) -> NoReturn:
    raise ConfigurationError(f"{name} is {text!r}: {expected} is expected")
