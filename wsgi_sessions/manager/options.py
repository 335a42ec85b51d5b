"""The options of a session manager, checked when it is built."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cached_property
from typing import Any, cast

from wsgi_sessions.errors import ConfigurationError
from wsgi_sessions.record import Codec, MsgpackCodec, parse_key

__all__ = ["DEFAULT_MAX_BYTES", "Options"]

DAY = 86_400.0
DEFAULT_MAX_BYTES = 1 << 20


@dataclass(frozen=True, kw_only=True, repr=False)
class Options:
    """How sessions behave. Durations are seconds or a ``timedelta``."""

    secret: str | bytes | None = None
    """Signs the cookie. ``None``: the environment's ``WSGI_SESSIONS_SECRET``, else a random key
    that the first worker puts into the store and all share."""
    fallback_secrets: Sequence[str | bytes] = ()
    """Older secrets whose cookies are still accepted."""
    cookie_name: str = "sid"
    cookie_path: str = "/"
    cookie_domain: str | None = None
    cookie_secure: bool | None = None
    """``None``: as the request came, by ``wsgi.url_scheme``."""
    cookie_httponly: bool = True
    cookie_samesite: str | None = "Lax"
    cookie_partitioned: bool = False
    lifetime: float | timedelta = DAY
    """Idle time after which an ordinary session ends; its cookie ends with the browser."""
    permanent_lifetime: float | timedelta = 31 * DAY
    """The same for ``session.permanent = True``, whose cookie outlives the browser."""
    permanent: bool = False
    """What new sessions begin as, and ``clear()`` returns to."""
    absolute_lifetime: float | timedelta | None = 90 * DAY
    """End counted from creation or login, whatever the activity; ``None`` for never."""
    max_bytes: int = DEFAULT_MAX_BYTES
    """A record over it is :exc:`~wsgi_sessions.SessionTooLarge` before anything is sent."""
    codec: Codec = field(default_factory=MsgpackCodec)
    """How one value becomes bytes."""
    encryption_keys: Sequence[bytes | str] | None = None
    """AES-256-GCM for records, bound to the record's key: 32 bytes each, also as hexadecimal or
    base64url text. The first encrypts, all decrypt; records that are not encrypted are refused."""
    migrate_from: Any = None
    """What reads the sessions of the library used before: a reader of
    :mod:`wsgi_sessions.migration`, or several."""
    on_store_error: str = "raise"
    """``"anonymous"``: a failed load gives an empty session that is not saved, and a log line."""
    environ_key: str = "wsgi.session"
    clock: Callable[[], float] = time.time
    """Seconds since the epoch."""

    def __post_init__(self) -> None:
        self._set("secret", self._one_secret())
        self._set("fallback_secrets", self._older_secrets())
        self._check_keys()
        self._set("migrate_from", self.readers)
        for name in ("lifetime", "permanent_lifetime", "absolute_lifetime"):
            self._set(name, _seconds(name, getattr(self, name)))
        if self.on_store_error not in ("raise", "anonymous"):
            raise ConfigurationError(
                f"on_store_error is {self.on_store_error!r}: 'raise' or 'anonymous'"
            )
        if type(self.max_bytes) is not int or self.max_bytes <= 0:
            raise ConfigurationError(f"max_bytes is {self.max_bytes!r}: a positive number of bytes")

    @property
    def lifetimes(self) -> tuple[float, float, float | None]:
        """Ordinary, permanent and absolute, in seconds."""
        return cast(  # what they became when they were checked
            tuple[float, float, float | None],
            (self.lifetime, self.permanent_lifetime, self.absolute_lifetime),
        )

    @cached_property
    def readers(self) -> tuple[Any, ...]:
        """What ``migrate_from`` names."""
        given = self.migrate_from
        several = given if isinstance(given, Sequence) else [given]
        readers = () if given is None else tuple(several)
        if not all(hasattr(one, name) for one in readers for name in ("cookie_name", "lifetime")):
            raise ConfigurationError("migrate_from takes readers: see wsgi_sessions.migration")
        return readers

    @cached_property
    def keys(self) -> tuple[bytes, ...]:
        """The encryption keys as bytes."""
        return tuple(parse_key(key) for key in self.encryption_keys or ())

    def _set(self, name: str, value: Any) -> None:
        object.__setattr__(self, name, value)

    def _one_secret(self) -> str | bytes | None:
        if self.secret is None:
            return os.environ.get("WSGI_SESSIONS_SECRET") or None
        return _checked("secret", self.secret)

    def _older_secrets(self) -> tuple[str | bytes, ...]:
        if isinstance(self.fallback_secrets, (str, bytes)):
            raise TypeError("fallback_secrets is a sequence of secrets: put the one into a list")
        return tuple(_checked("a fallback secret", one) for one in self.fallback_secrets)

    def _check_keys(self) -> None:
        if isinstance(self.encryption_keys, (str, bytes)):
            raise TypeError("encryption_keys is a sequence of keys: put the one into a list")
        if self.encryption_keys is not None and not self.keys:
            raise ConfigurationError("encryption_keys is empty: None for no encryption")


def _checked(name: str, secret: object) -> str | bytes:
    if not isinstance(secret, (str, bytes)):
        raise TypeError(f"{name} must be str or bytes, not {type(secret).__name__}")
    if not secret:
        raise ConfigurationError(
            f"{name} is empty: python -c 'import secrets; print(secrets.token_hex())'"
        )
    return secret


def _seconds(name: str, value: float | timedelta | None) -> float | None:
    if value is None and name == "absolute_lifetime":
        return None
    if isinstance(value, timedelta):
        value = value.total_seconds()
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError(f"{name} must be seconds or a timedelta, not {type(value).__name__}")
    if not 0 < value <= 100 * 366 * DAY:
        raise ConfigurationError(f"{name} is {value!r}: more than 0 seconds and at most 100 years")
    return float(value)
