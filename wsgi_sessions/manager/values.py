"""One option's value, checked and brought into its final type.

Each function takes the option's name, for the message, and what the caller gave. It raises
:exc:`TypeError` for a value of a wrong type, and :exc:`~wsgi_sessions.ConfigurationError` for one
that cannot work. A message never holds a key.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import timedelta
from typing import Any, Literal, NoReturn

from wsgi_sessions.errors import ConfigurationError
from wsgi_sessions.manager.migrate import Reader
from wsgi_sessions.observe import Observer
from wsgi_sessions.record import Codec, parse_key
from wsgi_sessions.stores import CENTURY, Store

_LAST_TIME = 1e11  # in the year 5138; a clock beyond it counts milliseconds


def boolean(name: str, value: object) -> bool:
    if not isinstance(value, bool):
        _wrong_type(name, value, "True or False")
    return value


def optional_boolean(name: str, value: object) -> bool | None:
    if value is not None and not isinstance(value, bool):
        _wrong_type(name, value, "True, False or None")
    return value


def text(name: str, value: object) -> str:
    if not isinstance(value, str):
        _wrong_type(name, value, "a str")
    return value


def full_text(name: str, value: object) -> str:
    if not text(name, value):
        raise ConfigurationError(f"{name} is empty: leave it out for the default")
    return text(name, value)


def optional_text(name: str, value: object) -> str | None:
    if value is not None and not isinstance(value, str):
        _wrong_type(name, value, "a str or None")
    return value


def byte_count(name: str, value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        _wrong_type(name, value, "a number of bytes, an int")
    if value <= 0:
        raise ConfigurationError(f"{name} is {value}: it has to be a positive number of bytes")
    return value


def seconds(name: str, value: object) -> float:
    if isinstance(value, timedelta):
        value = value.total_seconds()
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        _wrong_type(name, value, "seconds or a timedelta")
    if not 0 < value <= CENTURY:
        raise ConfigurationError(f"{name} is {value!r}: more than 0 seconds and at most 100 years")
    return float(value)


def optional_seconds(name: str, value: object) -> float | None:
    return None if value is None else seconds(name, value)


def on_failure(name: str, value: object) -> Literal["raise", "anonymous"]:
    if value == "raise":
        return "raise"
    if value == "anonymous":
        return "anonymous"
    raise ConfigurationError(f"{name} is {value!r}: 'raise' or 'anonymous'")


def signing_key(name: str, value: object) -> str | bytes | None:
    return None if value is None else _one_key(name, value)


def signing_keys(name: str, value: object) -> tuple[str | bytes, ...]:
    """Without repetitions."""
    keys = [_one_key(name, one) for one in _items(name, value)]
    return tuple(dict.fromkeys(keys))


def names(name: str, value: object) -> tuple[str, ...]:
    """Without repetitions."""
    if isinstance(value, (str, bytes)):
        raise TypeError(f"{name} is a sequence of str: put the one into a list")
    if isinstance(value, Mapping) or not isinstance(value, Iterable):
        raise TypeError(f"{name} is a sequence of str, not {type(value).__name__}")
    return tuple(dict.fromkeys(full_text(f"one of {name}", one) for one in value))


def domain(name: str, value: Any) -> str | Callable[[Any], str | None] | None:
    return value if callable(value) and not isinstance(value, type) else optional_text(name, value)


def optional_function(name: str, value: Any) -> Callable[[Any], Any] | None:
    if value is not None and (isinstance(value, type) or not callable(value)):
        _wrong_type(name, value, "a function or None")
    function: Callable[[Any], Any] | None = value
    return function


def encryption_keys(name: str, value: object) -> tuple[bytes | None, ...]:
    """As 32 bytes each, without repetitions, and ``None`` for records that are not encrypted; empty
    for no encryption."""
    if value is None:
        return ()
    keys = [None if one is None else parse_key(one) for one in _items(name, value)]
    if not keys:
        raise ConfigurationError(f"{name} is empty: None for no encryption")
    return tuple(dict.fromkeys(keys))


def codec(name: str, value: Any) -> Codec:
    _check_instance(name, value, ("dumps", "loads"), "MsgpackCodec() for example")
    codec: Codec = value
    return codec


def observer(name: str, value: Any) -> Observer | None:
    if value is not None:
        needed = ("store_call", "event")
        _check_instance(name, value, needed, "PrometheusObserver() for example, or None")
    observer: Observer | None = value
    return observer


def former_places(name: str, value: Any) -> tuple[Reader | Store, ...]:
    """One reader or store, or several."""
    if value is None:
        return ()
    several = value if isinstance(value, (list, tuple)) else [value]
    for one in several:
        needed: tuple[str, ...] = ("cookie_name", "lifetime", "key", "read", "delete")
        if not isinstance(one, type) and callable(getattr(one, "save", None)):
            needed = ("load", "save", "delete")
        _check_instance(name, one, needed, "a reader of wsgi_sessions.migration, or a store")
    return tuple(several)


def clock(name: str, value: Any) -> Callable[[], float]:
    """Called once, to see that it gives seconds."""
    if isinstance(value, type) or not callable(value):
        _check_instance(name, value, ("__call__",), "a function such as time.time")
    now = value()
    if isinstance(now, bool) or not isinstance(now, (int, float)):
        raise TypeError(
            f"{name} gives a {type(now).__name__}: seconds since the epoch are needed, as time.time"
        )
    if not 0 <= now < _LAST_TIME:
        raise ConfigurationError(f"{name} gives {now!r}: seconds since the epoch are needed")
    clock: Callable[[], float] = value
    return clock


def _one_key(name: str, value: object) -> str | bytes:
    if not isinstance(value, (str, bytes)):
        raise TypeError(f"{name} must be str or bytes, not {type(value).__name__}")
    if not value:
        raise ConfigurationError(
            f"{name} is empty: python -c 'import secrets; print(secrets.token_hex())' makes one"
        )
    return value


def _items(name: str, value: object) -> Iterable[object]:
    if isinstance(value, (str, bytes)):
        raise TypeError(f"{name} is a sequence of keys: put the one into a list")
    if isinstance(value, Mapping) or not isinstance(value, Iterable):
        raise TypeError(f"{name} is a sequence of keys, not {type(value).__name__}")
    return value


def _check_instance(name: str, value: object, needed: tuple[str, ...], remedy: str) -> None:
    if isinstance(value, type):
        raise TypeError(f"{name} is the class {value.__name__}: write {value.__name__}(…)")
    missing = [method for method in needed if not hasattr(value, method)]
    if missing:
        raise TypeError(
            f"{name} is a {type(value).__name__}, which has no {', '.join(missing)}: give {remedy}"
        )


def _wrong_type(name: str, value: object, expected: str) -> NoReturn:
    raise TypeError(f"{name} must be {expected}, not {value!r} ({type(value).__name__})")
