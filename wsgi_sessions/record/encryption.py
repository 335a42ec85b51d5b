"""Encryption: bytes that only who has the key can read or make (AES-256-GCM).

Layout of what is encrypted: a format byte, 24 random bytes, and the ciphertext with its 16-byte
tag. The first twelve random bytes and the master key give the key of this one message, the others
are its nonce; so the limit of 2^32 messages under one key (NIST SP 800-38D section 8.3) is out of
reach however many sessions are saved. Format byte and *context* are authenticated: what was
encrypted in one place does not open in another.
"""

from __future__ import annotations

from base64 import urlsafe_b64decode
from collections.abc import Sequence
from functools import lru_cache
from hmac import digest as hmac_digest
from os import urandom
from typing import Any

from wsgi_sessions.errors import ConfigurationError

__all__ = ["OVERHEAD", "RecordCipher", "derive_key", "is_encrypted", "parse_key"]

FORMAT = b"\xa1"
OVERHEAD = 1 + 24 + 16
"""Bytes by which encryption makes data longer."""


class RecordCipher:
    """Encrypts with the first of *keys*, each 32 bytes; opens with all of them.

    ``None`` among them stands for no encryption: first, nothing is encrypted; anywhere, what is
    not encrypted is accepted. So a running site gets to encrypted records in three deployments.
    """

    __slots__ = ("_aead", "_invalid", "_keys", "_opens_plain", "_writer")

    def __init__(self, keys: Sequence[bytes | None]) -> None:
        self._writer = keys[0]
        self._opens_plain = None in keys
        self._keys = tuple(key for key in keys if key is not None)
        self._aead, self._invalid = _cryptography()

    def encrypt(self, data: bytes, context: bytes) -> bytes:
        if self._writer is None:
            return data
        random = urandom(24)
        key = hmac_digest(self._writer, random[:12], "sha256")
        encrypted: bytes = self._aead(key).encrypt(random[12:], data, FORMAT + context)
        return FORMAT + random + encrypted

    def decrypt(self, encrypted: bytes, context: bytes) -> bytes | None:
        """The data; ``None`` if it was not encrypted by one of the keys in this context."""
        if encrypted[:1] != FORMAT and self._opens_plain:
            return encrypted
        if len(encrypted) < OVERHEAD or encrypted[:1] != FORMAT:
            return None
        random, ciphertext = encrypted[1:25], encrypted[25:]
        for master in self._keys:
            key = hmac_digest(master, random[:12], "sha256")
            try:
                data: bytes = self._aead(key).decrypt(random[12:], ciphertext, FORMAT + context)
            except self._invalid:
                continue
            return data
        return None


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
    except ImportError:
        raise ConfigurationError(
            'encryption needs the package cryptography: pip install "wsgi-sessions[crypto]"'
        ) from None
    return AESGCM, InvalidTag
