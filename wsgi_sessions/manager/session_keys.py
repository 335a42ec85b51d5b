"""Session keys: 40 characters that open a session where no cookie can be, and are no cookie.

How this works. Frameworks hand the key of a session to programs that keep it in a column, put it
into a token of their own, or open the session by it. Such a key is, in base64url, 16 bytes of id,
4 bytes of an HMAC of the id, and 10 bytes of an HMAC of id and secret's hash. The first HMAC makes
a forged key cost no round trip, the second ends a key with the secret it was made for: 80 bits, to
be guessed over the network. The HMACs' key is a signing key, so neither a log, which has ids, nor a
store, which has hashes, gives what a key is made of.

Rules for maintainers: keys stand in other programs' tables. They are made with the *oldest* signing
key, so that a rotation changes none until that one is dropped.
"""

from __future__ import annotations

import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Sequence
from functools import partial
from hmac import compare_digest, digest

from wsgi_sessions.cookie import ID_LENGTH

__all__ = ["SessionKeys"]

_PURPOSE = b"wsgi_sessions.session-key"
_ID_BYTES, _CHECK_BYTES, _PROOF_BYTES = 16, 4, 10
_has_form = re.compile(r"[A-Za-z0-9_-]{40}", re.ASCII).fullmatch  # 30 bytes: each has one spelling


class SessionKeys:
    """Makes session keys with the last of *signing_keys*; checks them with all."""

    def __init__(self, signing_keys: Sequence[str | bytes]) -> None:
        as_bytes = [key.encode() if isinstance(key, str) else key for key in signing_keys]
        self._keys = [digest(key, _PURPOSE, "sha256") for key in as_bytes]

    def make(self, id: str, secret_hash: bytes) -> str:
        """The key of the session *id* while its secret has this hash."""
        key, id_bytes = self._keys[-1], _bytes_of(id)
        made = id_bytes + _check(key, id_bytes) + _proof(key, id_bytes, secret_hash)
        return urlsafe_b64encode(made).decode("ascii")

    def open(self, session_key: str) -> tuple[str, Callable[[bytes], bool]] | None:
        """The id in *session_key*, and what says of the hash of that session's secret whether the
        key was made for it; ``None`` for what this library did not make. No I/O."""
        if _has_form(session_key) is None:
            return None
        data = urlsafe_b64decode(session_key)
        id_bytes, rest = data[:_ID_BYTES], data[_ID_BYTES:]
        for key in self._keys:
            if compare_digest(_check(key, id_bytes), rest[:_CHECK_BYTES]):
                id = urlsafe_b64encode(id_bytes).decode("ascii")[:ID_LENGTH]
                return id, partial(_proves, key, id_bytes, rest[_CHECK_BYTES:])
        return None


def _proves(key: bytes, id_bytes: bytes, proof: bytes, secret_hash: bytes) -> bool:
    return compare_digest(_proof(key, id_bytes, secret_hash), proof)


def _check(key: bytes, id_bytes: bytes) -> bytes:
    return digest(key, id_bytes, "sha256")[:_CHECK_BYTES]


def _proof(key: bytes, id_bytes: bytes, secret_hash: bytes) -> bytes:
    return digest(key, id_bytes + secret_hash, "sha256")[:_PROOF_BYTES]


def _bytes_of(id: str) -> bytes:
    return urlsafe_b64decode(f"{id}==")
