"""Pyramid's own sessions: the data are in the cookie, signed by ``SignedCookieSessionFactory``."""

from __future__ import annotations

import hashlib
import json
import time
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Sequence
from datetime import timedelta
from hmac import compare_digest
from hmac import digest as hmac_digest

from wsgi_sessions.errors import ConfigurationError
from wsgi_sessions.manager import OldSession
from wsgi_sessions.migration.restricted_pickle import loads as unpickle
from wsgi_sessions.migration.values import as_bytes, seconds

__all__ = ["PyramidCookieReader"]


class PyramidCookieReader:
    """Reads the cookies of Pyramid's ``SignedCookieSessionFactory``, whose arguments *secret*,
    *salt* and *hashalg* are; *lifetime* is its ``timeout``, *permanent* whether it had a
    ``max_age``, *fallback_secrets* are older secrets.

    Values are JSON. *allow_pickle* accepts also the pickles of Pyramid before 2.0, which are read
    without executing anything. There is nothing to delete; what keeps a cookie from being migrated
    twice is the claim.
    """

    def __init__(
        self,
        secret: str | bytes,
        *,
        fallback_secrets: Sequence[str | bytes] = (),
        cookie_name: str = "session",
        lifetime: float | timedelta = timedelta(minutes=20),
        permanent: bool = False,
        salt: str = "pyramid.session.",
        hashalg: str = "sha512",
        allow_pickle: bool = False,
    ) -> None:
        self.cookie_name = cookie_name
        self.lifetime: float = seconds(lifetime)
        self._permanent = permanent
        self._loads = unpickle if allow_pickle else json.loads
        self._keys = [salt.encode() + key for key in as_bytes([secret, *fallback_secrets])]
        self._algorithm = hashalg
        try:
            self._size = hashlib.new(hashalg).digest_size
        except ValueError:
            raise ConfigurationError(
                f"hashalg is {hashalg!r}, which hashlib does not have"
            ) from None

    def key(self, cookie_value: str) -> str | None:
        """What was signed, in one spelling, and the signature."""
        text = cookie_value.strip('"').encode()
        try:
            data = urlsafe_b64decode(text + b"=" * (-len(text) % 4))
        except ValueError:
            return None
        signature, signed = data[: self._size], data[self._size :]
        for key in self._keys:
            if signed and compare_digest(hmac_digest(key, signed, self._algorithm), signature):
                return f"{urlsafe_b64encode(signed).decode()}:{signature.hex()}"
        return None

    def read(self, key: str) -> OldSession | None:
        """No I/O."""
        try:
            renewed, _created, values = self._loads(urlsafe_b64decode(key.partition(":")[0]))
            expired = time.time() - float(renewed) > self.lifetime
        except (ValueError, TypeError, RecursionError):
            return None
        if expired or type(values) is not dict:
            return None
        return OldSession(values, self._permanent)

    def delete(self, key: str) -> None:
        """Nothing: the cookie is all there is."""
