"""Sessions without a server: the cookie holds the record, encrypted.

How this works. A :class:`CookieStore` is given where a store is given, and is none: nothing is
kept, so there is nothing to load, to compare or to delete. The manager has it encrypt a record into
a cookie value, bound to the cookie's name, and open such a value again. All lifetimes are enforced
from the record inside.
"""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Hashable, Sequence

from wsgi_sessions.cookie.token import ID_LENGTH
from wsgi_sessions.errors import BadRecord, ConfigurationError
from wsgi_sessions.record import OVERHEAD, RecordCipher, derive_key
from wsgi_sessions.stores import Stored

__all__ = ["CookieStore", "EncryptedCookies"]

MAX_COOKIE = 4096
"""Bytes of a cookie's name and value that every browser keeps (RFC 6265bis section 5.6)."""


class CookieStore:
    """Keeps sessions in the cookie itself: AES-256-GCM, up to about 3,000 bytes of data.

    Needs ``secret`` (or ``WSGI_SESSIONS_SECRET``) and ``pip install "wsgi-sessions[crypto]"``; keys
    are derived from ``secret`` and ``fallback_secrets`` by HKDF. Costs no round trip ever. A read
    sends no cookie, a change sends the whole session.

    What no cookie can do: a session that was ended lives on in a copy of its cookie until its
    lifetimes end, so ``invalidate()``, ``regenerate()`` and ``login()`` do not kill the old cookie;
    of overlapping requests the last response wins, so ``mutate`` and ``get_or_create`` agree with
    nobody; sessions cannot be listed by owner. What must not be lost belongs into a store.
    """

    def bind(self, secrets: Sequence[str | bytes], cookie_name: str) -> EncryptedCookies:
        """For the manager: the same with keys and a name."""
        return EncryptedCookies(secrets, cookie_name)


class EncryptedCookies:
    """Makes and opens the values of one cookie. It has the :meth:`save` and :meth:`delete` of a
    store; the version that a save returns *is* the cookie value."""

    def __init__(self, secrets: Sequence[str | bytes], cookie_name: str) -> None:
        purpose = f"wsgi_sessions.cookie:{cookie_name}"
        self._cipher = RecordCipher([derive_key(secret, purpose) for secret in secrets])
        self._context = purpose.encode()
        room = (MAX_COOKIE - len(cookie_name) - 1) // 4 * 3
        self.max_bytes: int = room - OVERHEAD - ID_LENGTH
        if self.max_bytes <= 0:
            raise ConfigurationError("the cookie's name leaves no room for a session")

    def decrypt(self, value: str) -> tuple[str, Stored] | None:
        """Id and record of a cookie value; ``None`` if this library did not make it."""
        if len(value) > MAX_COOKIE:
            return None
        try:
            encrypted = urlsafe_b64decode(value.encode("ascii") + b"=" * (-len(value) % 4))
        except ValueError:
            return None
        if _text(encrypted) != value:
            return None  # another spelling of the same bytes
        try:
            data = self._cipher.decrypt(encrypted, self._context)
        except BadRecord:
            return None
        if data is None:
            return None
        return data[:ID_LENGTH].decode("ascii"), Stored(data[ID_LENGTH:], value)

    def load(self, key: str) -> None:
        """Nothing is kept."""

    def save(self, key: str, data: bytes, **_options: object) -> Hashable | None:
        encrypted = self._cipher.encrypt(key.encode("ascii") + data, self._context)
        return _text(encrypted)

    def delete(self, key: str) -> None:
        """There is nothing to delete; the manager expires the cookie."""


def _text(encrypted: bytes) -> str:
    return urlsafe_b64encode(encrypted).rstrip(b"=").decode("ascii")
