"""Django's sessions: rows of the table ``django_session``, or data in a signed cookie.

Django itself is not imported.
"""

from __future__ import annotations

import json
import re
import time
import zlib
from base64 import urlsafe_b64decode
from collections.abc import Sequence
from datetime import timedelta
from hashlib import sha256
from hmac import compare_digest
from hmac import digest as hmac_digest
from typing import Any

from wsgi_sessions.manager import OldSession
from wsgi_sessions.migration.table import Table
from wsgi_sessions.migration.values import django_session, seconds
from wsgi_sessions.stores import DEFAULT_TIMEOUTS, Timeouts

__all__ = ["DjangoCookieReader", "DjangoDatabaseReader"]

TWO_WEEKS = timedelta(days=14)
"""``SESSION_COOKIE_AGE``, unless it is configured."""

_BASE62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_is_key = re.compile(r"[a-z0-9]{32}", re.ASCII).fullmatch


class Signed:
    """What ``django.core.signing.dumps`` makes, ``data:timestamp:signature``, with JSON inside."""

    def __init__(self, secrets: Sequence[str | bytes], salt: str) -> None:
        texts = (one if isinstance(one, bytes) else one.encode() for one in secrets)
        self._keys = [sha256(f"{salt}signer".encode() + text).digest() for text in texts]

    def verify(self, value: str) -> tuple[str, int, bytes] | None:
        """The data, when they were signed, and the signature; ``None`` if it is not valid."""
        signed, _, signature = value.rpartition(":")
        data, _, timestamp = signed.rpartition(":")
        try:
            given = _base64(signature)
        except ValueError:
            return None
        for key in self._keys:
            if compare_digest(hmac_digest(key, signed.encode(), "sha256"), given):
                return data, _base62(timestamp), given
        return None

    @staticmethod
    def load(data: str) -> Any:
        """The value of verified *data*; ``None`` if it is not JSON."""
        try:
            text = _base64(data.removeprefix("."))
            return json.loads(zlib.decompress(text) if data.startswith(".") else text)
        except (ValueError, zlib.error):
            return None


class DjangoDatabaseReader:
    """Reads the sessions of ``django.contrib.sessions.backends.db``, also those of ``cached_db``.

    *engine_or_url* is an SQLAlchemy ``Engine`` or URL of the database, *secret* and
    *fallback_secrets* are ``SECRET_KEY`` and ``SECRET_KEY_FALLBACKS``, *lifetime* is
    ``SESSION_COOKIE_AGE``, *permanent* is false if ``SESSION_EXPIRE_AT_BROWSER_CLOSE`` was set.
    The times in the table are read as UTC, what ``USE_TZ`` makes of them.
    """

    def __init__(
        self,
        engine_or_url: Any,
        secret: str | bytes,
        *,
        fallback_secrets: Sequence[str | bytes] = (),
        cookie_name: str = "sessionid",
        table: str = "django_session",
        schema: str | None = None,
        lifetime: float | timedelta = TWO_WEEKS,
        permanent: bool = True,
        timeouts: Timeouts = DEFAULT_TIMEOUTS,
    ) -> None:
        self.cookie_name = cookie_name
        self.lifetime: float = seconds(lifetime)
        self._permanent = permanent
        self._signed = Signed((secret, *fallback_secrets), "django.contrib.sessions.SessionStore")
        columns = ("session_key", "session_data", "expire_date")
        self._table = Table(engine_or_url, table, schema, columns, timeouts)

    def key(self, cookie_value: str) -> str | None:
        return cookie_value if _is_key(cookie_value) else None

    def read(self, key: str) -> OldSession | None:
        """One ``SELECT``."""
        stored = self._table.read(key)
        verified = None if stored is None else self._signed.verify(str(stored))
        if verified is None:
            return None
        return django_session(self._signed.load(verified[0]), permanent=self._permanent)

    def delete(self, key: str) -> None:
        """One ``DELETE``."""
        self._table.delete(key)


class DjangoCookieReader:
    """Reads the cookies of ``django.contrib.sessions.backends.signed_cookies``.

    The arguments are those of :class:`DjangoDatabaseReader`. There is nothing to delete; what
    keeps a cookie from being migrated twice is the claim.
    """

    def __init__(
        self,
        secret: str | bytes,
        *,
        fallback_secrets: Sequence[str | bytes] = (),
        cookie_name: str = "sessionid",
        lifetime: float | timedelta = TWO_WEEKS,
        permanent: bool = True,
    ) -> None:
        self.cookie_name = cookie_name
        self.lifetime: float = seconds(lifetime)
        self._permanent = permanent
        salt = "django.contrib.sessions.backends.signed_cookies"
        self._signed = Signed((secret, *fallback_secrets), salt)

    def key(self, cookie_value: str) -> str | None:
        """The signed text and the signature's bytes, since those have several spellings."""
        verified = self._signed.verify(cookie_value)
        if verified is None or time.time() - verified[1] > self.lifetime:
            return None
        return f"{cookie_value.rpartition(':')[0]}:{verified[2].hex()}"

    def read(self, key: str) -> OldSession | None:
        """No I/O."""
        data = key.rsplit(":", 2)[0]
        return django_session(self._signed.load(data), permanent=self._permanent)

    def delete(self, key: str) -> None:
        """Nothing: the cookie is all there is."""


def _base64(text: str) -> bytes:
    return urlsafe_b64decode(text.encode("ascii") + b"=" * (-len(text) % 4))


def _base62(text: str) -> int:
    number = 0
    for digit in text:
        number = number * 62 + _BASE62.index(digit)
    return number
