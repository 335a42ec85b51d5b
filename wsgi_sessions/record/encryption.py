"""Encryption: bytes that only who has the key can read or make (AES-256-GCM).

Layout of what is encrypted: a format byte, four bytes that name the key, 24 random bytes, and the
ciphertext with its 16-byte tag. The first twelve random bytes and the master key give the key of
this one message, the others are its nonce; so the limit of 2^32 messages under one key (NIST SP
800-38D section 8.3) is out of reach however many sessions are saved. Format byte, key name and
*context* are authenticated: what was encrypted in one place does not open in another.

A name that fits no key says that the record is for workers that have another; one that fits, where
the tag does not, that it is damaged.
"""

from __future__ import annotations

from base64 import urlsafe_b64decode
from collections.abc import Sequence
from functools import lru_cache
from hmac import digest as hmac_digest
from os import urandom
from typing import Any

from wsgi_sessions.errors import BadRecord, ConfigurationError, cannot_import

__all__ = ["OVERHEAD", "RecordCipher", "derive_key", "is_encrypted", "key_name", "parse_key"]

FORMAT = b"\x81"
"""That of a record, with the highest bit set."""
OVERHEAD = 1 + 4 + 24 + 16
"""Bytes by which encryption makes data longer."""


class RecordCipher:
    """Encrypts with the first of *keys*, each 32 bytes; opens with all of them.

    ``None`` among them stands for no encryption: first, nothing is to be encrypted; anywhere, what
    is not encrypted is to be accepted. So a running site gets to encrypted records in three
    deployments.
    """

    __slots__ = ("_aead", "_by_name", "_invalid", "_writer", "opens_plain", "writes_plain")

    def __init__(self, keys: Sequence[bytes | None]) -> None:
        self._writer = keys[0]
        self.writes_plain: bool = keys[0] is None
        self.opens_plain: bool = None in keys
        self._by_name: dict[bytes, list[bytes]] = {}
        for key in keys:
            if key is not None:
                self._by_name.setdefault(key_name(key), []).append(key)
        self._aead, self._invalid = _cryptography()

    def encrypt(self, data: bytes, context: bytes) -> bytes:
        assert self._writer is not None
        random, front = urandom(24), FORMAT + key_name(self._writer)
        key = hmac_digest(self._writer, random[:12], "sha256")
        encrypted: bytes = self._aead(key).encrypt(random[12:], data, front + context)
        return front + random + encrypted

    def decrypt(self, encrypted: bytes, context: bytes) -> bytes | None:
        """The data; ``None`` if it was not encrypted by one of the keys. Raises
        :exc:`~wsgi_sessions.errors.BadRecord` if it was, but is damaged or of another context."""
        if not self.has_key_of(encrypted):
            return None
        front, random, ciphertext = encrypted[:5], encrypted[5:29], encrypted[29:]
        for master in self._by_name[front[1:]]:
            key = hmac_digest(master, random[:12], "sha256")
            try:
                data: bytes = self._aead(key).decrypt(random[12:], ciphertext, front + context)
            except self._invalid:
                continue
            return data
        raise BadRecord("damaged, or encrypted for another session")

    def has_key_of(self, encrypted: bytes) -> bool:
        """Whether *encrypted* names one of the keys."""
        return is_encrypted(encrypted) and encrypted[1:5] in self._by_name


@lru_cache(maxsize=64)
def key_name(key: bytes) -> bytes:
    """The four bytes by which a record names the key that opens it."""
    return hmac_digest(key, b"wsgi_sessions.key-name", "sha256")[:4]


def is_encrypted(data: bytes) -> bool:
    """Whether *data* looks as if :class:`RecordCipher` had made it, with whatever key."""
    return len(data) >= OVERHEAD and data[:1] == FORMAT


def parse_key(key: object) -> bytes:
    """An AES-256 key given as 32 bytes, 64 hexadecimal digits, or base64url of 32 bytes."""
    raw = key
    if isinstance(key, str):
        try:
            raw = (
                bytes.fromhex(key)
                if len(key) == 64
                else urlsafe_b64decode(key + "=" * (-len(key) % 4))
            )
        except ValueError:
            raw = b""
    if not isinstance(raw, bytes):
        raise TypeError(f"an encryption key is bytes or str, not {type(key).__name__}")
    if len(raw) != 32:
        raise ConfigurationError(
            "an encryption key has 32 random bytes: "
            "python -c 'import secrets; print(secrets.token_hex(32))'"
        )
    return raw


def derive_key(secret: str | bytes, purpose: str) -> bytes:
    """A key of 32 bytes from a secret of any length (HKDF with SHA-256, RFC 5869)."""
    _cryptography()
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF

    material = secret.encode() if isinstance(secret, str) else secret
    return HKDF(SHA256(), 32, salt=None, info=purpose.encode()).derive(material)


@lru_cache(maxsize=1)
def _cryptography() -> tuple[Any, type[Exception]]:
    try:
        from cryptography.exceptions import InvalidTag
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM
    except ImportError as error:
        needs = "encryption needs the package cryptography"
        raise cannot_import(error, needs, "wsgi-sessions[crypto]") from None
    return AESGCM, InvalidTag
