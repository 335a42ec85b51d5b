"""What other libraries wrote, as values."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any

import ormsgpack

from wsgi_sessions.errors import ConfigurationError
from wsgi_sessions.log import ThrottledLog
from wsgi_sessions.manager import OldSession
from wsgi_sessions.migration.msgpack import loads as unpack_any_keys
from wsgi_sessions.migration.restricted_pickle import loads as unpickle
from wsgi_sessions.stores import CENTURY

__all__ = ["as_bytes", "decode", "django_session", "flask_session", "seconds"]

_MSGPACK = ormsgpack.OPT_DATETIME_AS_TIMESTAMP_EXT
_END = os.urandom(16)
_PACKED_END: bytes = ormsgpack.packb(_END)
_SHORTEST = 1e-6  # seconds: a session whose time is over already
_log = ThrottledLog("wsgi_sessions")


def decode(data: bytes | str, *, allow_pickle: bool) -> dict[Any, Any] | None:
    """The dict in *data*, which is msgpack, JSON, or, if that is allowed, a pickle; else ``None``.

    No bytes are a dict in two of them. What is none of them is left alone, and logged if it may
    be a pickle.
    """
    if isinstance(data, str):
        data = data.encode()
    ways: list[Callable[[bytes], Any]] = [_unpack, unpack_any_keys, json.loads]
    if allow_pickle:
        ways.append(unpickle)
    for loads in ways:
        try:
            value = loads(data)
        except (ValueError, RecursionError):
            continue
        if type(value) is dict:
            return value
    if data.startswith(b"\x80"):
        _log.warning(
            "an old session is a pickle and was not migrated: "
            + ("it holds more than plain values" if allow_pickle else "set allow_pickle=True")
        )
    return None


def _unpack(data: bytes) -> Any:
    """ormsgpack ignores what follows the first object. So what is decoded is an array of two."""
    value, end = ormsgpack.unpackb(b"\x92" + data + _PACKED_END, option=_MSGPACK)
    if end != _END:
        raise ValueError("something follows the value")
    return value


def flask_session(values: Any) -> OldSession | None:
    """A session of Flask's or Flask-Session's; Flask-Login's user is its owner."""
    if type(values) is not dict:
        return None
    permanent = bool(values.pop("_permanent", False))
    return OldSession(values, permanent, _text(values.get("_user_id")))


def django_session(values: Any, *, permanent: bool) -> OldSession | None:
    """A session of Django's; who is logged in is its owner. What ``set_expiry()`` was given is
    its lifetime: seconds, or 0 for until the browser is closed, or a time."""
    if type(values) is not dict:
        return None
    expiry, lifetime = values.get("_session_expiry"), None
    if expiry is not None:
        permanent = expiry != 0
    if isinstance(expiry, str):
        with suppress(ValueError):
            expiry = datetime.fromisoformat(expiry).timestamp() - time.time()
    if isinstance(expiry, (int, float)) and expiry != 0:
        lifetime = min(max(float(expiry), _SHORTEST), CENTURY)
    return OldSession(values, permanent, _text(values.get("_auth_user_id")), lifetime=lifetime)


def _text(user: object) -> str | None:
    return str(user) if isinstance(user, (str, int)) and str(user) else None


def as_bytes(secrets: Sequence[str | bytes]) -> list[bytes]:
    """*secrets* as itsdangerous takes them."""
    return [secret.encode() if isinstance(secret, str) else secret for secret in secrets]


def seconds(lifetime: float | timedelta) -> float:
    """*lifetime* as a number. Raises :exc:`ConfigurationError` unless it is positive."""
    value = lifetime.total_seconds() if isinstance(lifetime, timedelta) else lifetime
    if not value > 0:
        raise ConfigurationError(f"lifetime is {lifetime!r}: more than 0 seconds")
    return float(value)
