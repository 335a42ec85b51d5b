"""Ids, secrets, and the signed value of the cookie.

A *sid* is an id and a secret, each 128 random bits in 22 base64url characters. The id names the
record and is public; the secret proves the session, and only its SHA-256 is stored. The cookie
carries ``sid.timestamp.signature``, exactly what ``itsdangerous.TimestampSigner`` makes of the sid
with HMAC-SHA256, so any program that has the secret can check one.

The signing is done here rather than by calling the signer because the signer derives its key
anew at every call, which is half of its cost; the key it derives is taken once per secret.
"""

from __future__ import annotations

import re
from binascii import a2b_base64, b2a_base64
from collections.abc import Callable, Sequence
from hashlib import sha256
from hmac import compare_digest
from os import urandom
from typing import NamedTuple

from itsdangerous import TimestampSigner

__all__ = [
    "ID_LENGTH",
    "Token",
    "TokenSigner",
    "hash_secret",
    "is_id",
    "new_id",
    "new_secret",
    "new_sid",
]

ID_LENGTH = 22  # 16 bytes in base64url without padding

# The last character of 16 bytes carries two bits, that of a 32-byte signature four: any other
# spelling would be an alias of the same bytes. Eight characters of timestamp are 48 bits.
_SID = r"[A-Za-z0-9_-]{21}[AQgw][A-Za-z0-9_-]{21}[AQgw]"
_well_formed = re.compile(
    _SID + r"\.[A-Za-z0-9_-]{0,8}\.[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]", re.ASCII
).fullmatch
_REMEMBERED = 1000  # verified values, of some 400 bytes each; and refused ones, of 200
_MAX_LENGTH = 44 + 1 + 8 + 1 + 43
_URLSAFE = bytes.maketrans(b"+/", b"-_")
_STANDARD = bytes.maketrans(b"-_", b"+/")


class Token(NamedTuple):
    """What a verified cookie says."""

    id: str
    secret: str
    issued_at: int

    secret_hash: bytes
    """What the record keeps of the secret. With the token it is remembered, which saves 6,000
    instructions for all but the first request with a cookie."""

    def __repr__(self) -> str:
        return f"Token(id={self.id!r})"


_has_form_of_id = re.compile(rf"[A-Za-z0-9_-]{{{ID_LENGTH}}}").fullmatch


def is_id(text: str) -> bool:
    """Whether *text* may be a session's id, and not the key of anything else in a store."""
    return _has_form_of_id(text) is not None


def new_sid() -> tuple[str, str]:
    """A :func:`new_id` and a :func:`new_secret`, in two thirds of what both take."""
    random = urandom(32)
    text = (b2a_base64(random[:16]) + b2a_base64(random[16:])).translate(_URLSAFE).decode()
    return text[:22], text[25:47]  # the rest of each 25 is "==" and a newline


def new_id() -> str:
    """A fresh public name for a session: 128 random bits."""
    return _base64url(urandom(16)).decode()


def new_secret() -> str:
    """A fresh proof of a session: 128 random bits."""
    return _base64url(urandom(16)).decode()


def hash_secret(secret: str) -> bytes:
    """What a record keeps of a secret. No salt or stretching: 128 random bits cannot be guessed."""
    return sha256(secret.encode("ascii")).digest()


class TokenSigner:
    """Makes and checks cookie values with the first of *secrets*; checks with all of them.

    *learn* is asked once for one more secret that verifies, when the first value is met that is
    well-formed and signed with none of them. What it raises leaves :meth:`verify`.
    """

    __slots__ = ("_date", "_keys", "_learn", "_refused", "_salt", "_verified")

    def __init__(
        self,
        secrets: Sequence[str | bytes],
        cookie_name: str,
        learn: Callable[[], bytes | None] | None = None,
    ) -> None:
        # The salt ties a signature to this library, this purpose and this cookie, so that a
        # value signed for anything else with the same secret is worth nothing here.
        self._salt = f"wsgi_sessions.sid:{cookie_name}"
        self._keys = [self._key(secret) for secret in secrets]
        self._learn = learn
        # A page and what it loads carry the same cookie: 27 k instructions less for all but the
        # first. Only what was found to be signed gets in, and a lookup tells nothing of it by the
        # time it takes: strings are compared where their keyed hashes are equal, and else not.
        self._verified: dict[str, Token] = {}
        # After a change of keys a visitor brings the old cookie until there is something to store.
        self._refused: set[str] = set()
        self._date = (-1, "")  # a second, and how it was written last

    def _key(self, secret: str | bytes) -> _Hmac:
        signer = TimestampSigner(
            secret, salt=self._salt, key_derivation="hmac", digest_method=sha256
        )
        return _Hmac(signer.derive_key())

    def sign(self, sid: str, now: float) -> str:
        """The cookie value for *sid*, dated *now*."""
        second, date = self._date
        if second != int(now):
            second = max(0, int(now))
            date = _base64url(second.to_bytes((second.bit_length() + 7) // 8, "big")).decode()
            self._date = second, date
        payload = f"{sid}.{date}"
        return f"{payload}.{self._keys[0].signature(payload.encode())}"

    def verify(self, value: str) -> Token | None:
        """What *value* proves; ``None`` if it is malformed or carries no valid signature of this
        library.

        Only the one canonical spelling of a value is accepted, and its form is checked before
        any cryptography.
        """
        token = self._verified.get(value)
        if token is None and value not in self._refused and len(value) <= _MAX_LENGTH:
            token = self._verify(value)
            if token is None:
                if len(self._refused) >= _REMEMBERED:
                    self._refused.clear()
                self._refused.add(value)
        return token

    def _verify(self, value: str) -> Token | None:
        if _well_formed(value) is None:
            return None
        payload, _, signature = value.rpartition(".")
        encoded = payload.encode("ascii")
        learn = self._learn  # before the keys: once it is gone, they have what was learnt
        for key in self._keys:
            if compare_digest(key.signature(encoded), signature):
                id, secret = value[:ID_LENGTH], value[ID_LENGTH:44]
                token = Token(id, secret, _number(encoded[45:]), hash_secret(secret))
                if len(self._verified) >= _REMEMBERED:
                    self._verified.clear()
                self._verified[value] = token
                return token
        return None if learn is None else self._verify_by_learning(value, learn)

    def _verify_by_learning(self, value: str, learn: Callable[[], bytes | None]) -> Token | None:
        secret = learn()
        if secret is not None and self._learn is not None:
            self._keys = [*self._keys, self._key(secret)]
        self._learn = None
        return None if secret is None else self._verify(value)


def _base64url(data: bytes) -> bytes:
    return b2a_base64(data, newline=False).translate(_URLSAFE, b"=")


def _number(text: bytes) -> int:
    """The integer in a timestamp; itsdangerous takes seven calls for it."""
    return int.from_bytes(a2b_base64(text.translate(_STANDARD) + b"=="), "big")


class _Hmac:
    """HMAC-SHA256 (RFC 2104) with the key's two blocks hashed beforehand: 1.0 µs a signature, where
    ``hmac.digest`` takes 2.1."""

    __slots__ = ("_inner", "_outer")

    def __init__(self, key: bytes) -> None:
        block = key.ljust(64, b"\0")  # a derived key has 32 bytes
        self._inner = sha256(bytes(byte ^ 0x36 for byte in block))
        self._outer = sha256(bytes(byte ^ 0x5C for byte in block))

    def signature(self, payload: bytes) -> str:
        """In base64url without padding, as the cookie has it."""
        inner = self._inner.copy()
        inner.update(payload)
        outer = self._outer.copy()
        outer.update(inner.digest())
        # _base64url(), for a third: what is cut off is "=" and a newline.
        return b2a_base64(outer.digest()).translate(_URLSAFE)[:43].decode()
