"""Options as text: what is read, and what is refused by name and value."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from wsgi_sessions import ConfigurationError
from wsgi_sessions.stores import (
    open_store,
    parse_boolean,
    parse_duration,
    parse_float,
    parse_integer,
    parse_list,
)

HOUR, DAY = 3600, 86_400


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("3600", HOUR),
        ("0", 0),
        ("0.25", 0.25),
        (" 90 ", 90),
        ("30 days", 30 * DAY),
        ("30days", 30 * DAY),
        ("1 day", DAY),
        ("1 Day 12 HOURS", 1.5 * DAY),
        ("15m", 900),
        ("15 min", 900),
        ("1h30m", 1.5 * HOUR),
        ("1h 30m", 1.5 * HOUR),
        ("30m 1h", 1.5 * HOUR),
        ("1.5h", 1.5 * HOUR),
        ("2w", 14 * DAY),
        ("1 week", 7 * DAY),
        ("90 s", 90),
        ("1 second", 1),
        ("250ms", 0.25),
        ("500 milliseconds", 0.5),
        ("1\tday\n2 hours", DAY + 2 * HOUR),
    ],
)
def test_durations(text: str, seconds: float) -> None:
    assert parse_duration("lifetime", text) == pytest.approx(seconds)


@pytest.mark.parametrize(
    "text",
    [
        *("", " ", "day", "1 month", "1y", "1h1h", "1h 60", "1 h 30", "1,5h", "-5m", "+5m", "- 1"),
        *("1e3", "inf", "nan", "0x10", "1_000", "P30D", "1:30:00", "1h.5", "h1", "1 hour!", "½ h"),
        *("١٥m", "15 m m", "none", "1d2", "1..5h", ".5h"),
    ],
)
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(ConfigurationError, match=r"^lifetime is .*: a duration such as 30 days"):
        parse_duration("lifetime", text)


@pytest.mark.parametrize(
    ("parse", "text", "value"),
    [
        *((parse_boolean, text, True) for text in ("true", "True", "yes", "on", "1", " 1 ")),
        *((parse_boolean, text, False) for text in ("false", "False", "no", "off", "OFF", "0")),
        *((parse_integer, text, int(text)) for text in ("0", "1048576", "-1", "+7", " 7 ")),
        *((parse_float, text, float(text)) for text in ("0", "1.5", "-1.5", "+7")),
        (parse_list, "one two", ["one", "two"]),
        (parse_list, "\n  one\n  two\n", ["one", "two"]),
        (parse_list, "one", ["one"]),
        (parse_list, "", []),
    ],
)
def test_other_values(parse: Callable[[str, str], Any], text: str, value: object) -> None:
    assert parse("option", text) == value


@pytest.mark.parametrize(
    ("parse", "expected"),
    [
        (parse_boolean, "true or false"),
        (parse_integer, "a whole number"),
        (parse_float, "a number"),
    ],
)
@pytest.mark.parametrize("text", ["", "maybe", "2.5.1", "1_0", "٣", "1 0", "tru", "None", "9" * 99])
def test_what_is_no_value_is_refused_by_name_and_text(
    parse: Callable[[str, str], Any], expected: str, text: str
) -> None:
    if parse is parse_float and text.isdecimal() and text.isascii():
        return
    with pytest.raises(ConfigurationError) as caught:
        parse("the_option", text)
    assert str(caught.value) == f"the_option is {text!r}: {expected} is expected"


@pytest.mark.parametrize(
    "url",
    [
        "sqlite:///a.db?create={}",
        "postgresql://localhost/?create={}",
        "mongodb://localhost/?create={}",
        "redis://localhost/?wait_replicas={}",
        "memcached://localhost/?max_bytes={}",
        "memory://?max_sessions={}",
    ],
)
def test_the_options_of_every_url_are_read_alike(url: str) -> None:
    """And refused in the same words."""
    for word in ("true", "yes", "ON") if "create" in url else ("1", " 10 ", "+100"):
        open_store(url.format(word.replace("+", "%2B")))
    with pytest.raises(ConfigurationError, match=r" is 'maybe': .* is expected"):
        open_store(url.format("maybe"))
