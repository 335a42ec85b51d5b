"""Beaker's sessions, of every type, by Beaker's own names of options.

How this works. Beaker's cookie holds an id, which is signed if there is a ``secret``, or of type
``cookie`` the values. What is stored is text: values that are pickled or JSON, and encrypted if
there is an ``encrypt_key``. All of it is read without Beaker, and pickles without executing
anything. Where sessions hold more than plain values, Beaker itself may be asked instead, which
executes its pickles as it always has.
"""

from __future__ import annotations

import json
import re
import time
import zlib
from base64 import b64decode
from collections.abc import Mapping
from datetime import timedelta
from hashlib import pbkdf2_hmac
from hmac import compare_digest
from hmac import digest as hmac_digest
from typing import Any

from wsgi_sessions.errors import ConfigurationError, cannot_import
from wsgi_sessions.log import ThrottledLog
from wsgi_sessions.manager import OldSession
from wsgi_sessions.migration.beaker_places import Place, place_of
from wsgi_sessions.migration.restricted_pickle import loads as unpickle
from wsgi_sessions.migration.tree import MAX_BYTES, NotPlain
from wsgi_sessions.migration.values import seconds
from wsgi_sessions.stores import DEFAULT_TIMEOUTS, Timeouts

__all__ = ["BeakerReader"]

LONGEST = timedelta(days=400)
"""A browser keeps no cookie longer (RFC 6265bis section 5.5)."""

_SIGNATURE = 40  # hexadecimal digits of SHA-1
_is_id = re.compile(r"[0-9a-f]{32,64}", re.ASCII).fullmatch
_OF_BEAKER = ("_accessed_time", "_creation_time", "_id", "_path")
_log = ThrottledLog("wsgi_sessions")


class BeakerReader:
    """Reads the live sessions of Beaker. The arguments are Beaker's options, without ``session.``.

    *type* and what belongs to it say where they are: ``memory``, ``file``, ``dbm``,
    ``ext:database``, ``ext:sqla``, ``ext:redis``, ``ext:rediscluster``, ``ext:memcached``,
    ``ext:mongodb``, ``cookie``. What a browser has to show is checked as Beaker does it. Sessions
    that hold more than plain values are left alone, unless *trust_pickles* lets Beaker itself read
    them, which executes what they say. *timeouts* hold for clients that are built from a URL.

    Raises :exc:`~wsgi_sessions.ConfigurationError` for options that cannot work.
    """

    def __init__(
        self,
        *,
        type: str | None = None,
        key: str = "beaker.session.id",
        secret: str | None = None,
        validate_key: str | None = None,
        encrypt_key: str | None = None,
        encrypt_nonce_bits: int = 128,
        data_serializer: Any = "pickle",
        timeout: float | timedelta | None = None,
        cookie_expires: object = True,
        trust_pickles: bool = False,
        timeouts: Timeouts = DEFAULT_TIMEOUTS,
        **options: Any,
    ) -> None:
        kind = type or ("file" if options.get("data_dir") else "memory")
        self.cookie_name = key
        self._timeout = None if timeout is None else seconds(timeout)
        self.lifetime: float = seconds(LONGEST) if self._timeout is None else self._timeout
        self._permanent = cookie_expires is not True
        self._in_cookie = kind == "cookie"
        self._signing_key = validate_key if self._in_cookie else secret
        if self._in_cookie and not validate_key:
            raise ConfigurationError("Beaker's option validate_key is missing")
        self._form = _Form(encrypt_key, validate_key, encrypt_nonce_bits, data_serializer)
        self._place: Place | None = None
        if trust_pickles:
            given = {
                "validate_key": validate_key,
                "encrypt_key": encrypt_key,
                "encrypt_nonce_bits": encrypt_nonce_bits,
                "data_serializer": data_serializer,
            }
            self._place = _Beaker(kind, {**options, **given}, self.cookie_name)
        elif not self._in_cookie:
            self._place = place_of(kind, options, timeouts)

    def key(self, cookie_value: str) -> str | None:
        """The session's id without its signature; of type ``cookie`` all of the value."""
        value = cookie_value.strip('"')
        if self._signing_key:
            signature, signed = value[:_SIGNATURE], value[_SIGNATURE:]
            expected = hmac_digest(self._signing_key.encode(), signed.encode(), "sha1").hex()
            if not (signed and compare_digest(signature.encode(), expected.encode())):
                return None
            if self._in_cookie:
                return value
            value = signed
        return value if _is_id(value) else None

    def read(self, key: str) -> OldSession | None:
        """One round trip, none for type ``cookie``."""
        try:
            stored = key[_SIGNATURE:] if self._place is None else self._place.load(key)
        except NotPlain as error:
            _log.warning("an old session of Beaker's was not migrated: %s", error)
            return None
        values = self._form.values(stored)
        if values is None or self._is_over(values):
            return None
        domain = values.pop("_domain", None)
        if domain is not None:
            values["_domain"] = domain
        return OldSession(
            {name: value for name, value in values.items() if name not in _OF_BEAKER},
            self._permanent,
        )

    def delete(self, key: str) -> None:
        """One round trip; of type ``cookie`` the cookie is all there is."""
        if self._place is not None:
            self._place.delete(key)

    def _is_over(self, values: Mapping[Any, Any]) -> bool:
        accessed = values.get("_accessed_time")
        if self._timeout is None or not isinstance(accessed, (int, float)):
            return False
        return time.time() - accessed > self._timeout


class _Form:
    """How the values of a session are written as text."""

    def __init__(
        self, encrypt_key: str | None, validate_key: str | None, nonce_bits: int, serializer: Any
    ) -> None:
        keys = (encrypt_key or "").encode(), (validate_key or "").encode()
        self._keys = keys if encrypt_key else None
        self._nonce_size = (4 * (nonce_bits // 8) // 3 + 3) & ~3
        self._serializer = serializer
        if self._keys is not None:
            try:
                import cryptography  # noqa: F401
            except ImportError as error:
                needs = "reading encrypted sessions of Beaker needs cryptography"
                raise cannot_import(error, needs, "wsgi-sessions[crypto]") from error

    def values(self, stored: Any) -> dict[Any, Any] | None:
        """The values that were *stored*; ``None`` if they cannot be read."""
        if type(stored) is dict:
            return stored
        if not isinstance(stored, (str, bytes)):
            return None
        text = stored.encode() if isinstance(stored, str) else stored
        try:
            values = self._load(b64decode(text) if self._keys is None else self._decrypt(text))
        except Exception as error:  # noqa: BLE001  # hostile bytes raise whatever they like
            _log.warning(
                "an old session of Beaker's was not migrated (%s): if it holds more than plain "
                "values, trust_pickles=True lets Beaker itself read it",
                type(error).__name__,
            )
            return None
        return values if type(values) is dict else None

    def _load(self, data: bytes) -> Any:
        if self._serializer == "json":
            return json.loads(zlib.decompressobj().decompress(data, MAX_BYTES))
        if self._serializer == "pickle":
            return unpickle(data)
        return self._serializer.loads(data)

    def _decrypt(self, text: bytes) -> bytes:
        """AES-256-GCM, as Beaker does it with cryptography: its tag stands before the data."""
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        assert self._keys is not None
        nonce, data = text[: self._nonce_size], b64decode(text[self._nonce_size :])
        key = pbkdf2_hmac("sha1", self._keys[0], self._keys[1] + nonce, 1, 32)
        return AESGCM(key).decrypt(data[:12], data[28:] + data[12:28], None)


_OF_VALUES = ("builtins", "_pickle", "zlib", "binascii", "json.decoder", "beaker.exceptions")


def _is_about_values(error: Exception) -> bool:
    """Whether what Beaker says is about what it has read, not about a server or a disk."""
    return type(error).__module__ in _OF_VALUES and not isinstance(error, OSError)


class _Beaker(Place):
    """Whatever place Beaker finds with *options*, read by Beaker itself."""

    def __init__(self, kind: str, options: dict[str, Any], cookie_name: str) -> None:
        try:
            from beaker import session
        except ImportError as error:
            needs = "trust_pickles lets Beaker itself read, and needs it"
            raise cannot_import(error, needs, "wsgi-sessions[beaker]") from error
        self._sessions = session
        self._kind, self._name = kind, cookie_name
        self._options = {name: value for name, value in options.items() if value is not None}

    def _open(self, key: str) -> Any:
        options = {**self._options, "key": self._name, "invalidate_corrupt": False}
        if self._kind == "cookie":
            cookie = {"cookie": f'{self._name}="{key}"'}
            return self._sessions.CookieSession(cookie, **options)
        return self._sessions.Session({}, id=key, use_cookies=False, type=self._kind, **options)

    def load(self, id: str) -> Any:
        try:
            found = self._open(id)
        except Exception as error:
            if _is_about_values(error):
                raise NotPlain(f"Beaker cannot read it ({type(error).__name__})") from None
            raise
        return None if found.is_new else dict(found)

    def delete(self, id: str) -> None:
        if self._kind == "cookie":
            return
        namespace = self._open(id).namespace
        namespace.acquire_write_lock()
        try:
            if "session" in namespace:
                del namespace["session"]
        finally:
            namespace.release_write_lock()
