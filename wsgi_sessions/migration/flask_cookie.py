"""Flask's own sessions: the data are in the cookie, signed with ``SECRET_KEY``."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

from itsdangerous import BadData, TimestampSigner, URLSafeTimedSerializer
from itsdangerous.encoding import base64_decode

from wsgi_sessions.manager import OldSession
from wsgi_sessions.migration.values import as_bytes, flask_session, seconds

__all__ = ["FlaskCookieReader"]


class FlaskCookieReader:
    """Reads the cookies of Flask's ``SecureCookieSessionInterface``. Values keep their types.

    *secret* and *fallback_secrets* are ``SECRET_KEY`` and ``SECRET_KEY_FALLBACKS``, *lifetime* is
    ``PERMANENT_SESSION_LIFETIME``: an older cookie is refused. *salt*, *key_derivation* and
    *digest_method* are for interfaces that changed them.

    There is nothing to delete. What keeps a cookie from being migrated twice is the claim.
    """

    def __init__(
        self,
        secret: str | bytes,
        *,
        fallback_secrets: Sequence[str | bytes] = (),
        cookie_name: str = "session",
        lifetime: float | timedelta = timedelta(days=31),
        salt: str = "cookie-session",
        key_derivation: str = "hmac",
        digest_method: Callable[..., Any] = hashlib.sha1,
    ) -> None:
        from flask.json.tag import TaggedJSONSerializer

        self.cookie_name = cookie_name
        self.lifetime: float = seconds(lifetime)
        self._serializer = URLSafeTimedSerializer(
            as_bytes([secret, *fallback_secrets]),
            salt=salt,
            serializer=TaggedJSONSerializer(),
            signer_kwargs={"key_derivation": key_derivation, "digest_method": digest_method},
        )

    def key(self, cookie_value: str) -> str | None:
        """The signed text and the signature's bytes, since those have several spellings."""
        signer = self._serializer.make_signer(self._serializer.salt)
        assert isinstance(signer, TimestampSigner)
        try:
            signer.unsign(cookie_value, max_age=int(self.lifetime))
            signed, _, signature = cookie_value.rpartition(".")
            return f"{signed}.{base64_decode(signature).hex()}"
        except BadData:
            return None

    def read(self, key: str) -> OldSession | None:
        """No I/O."""
        payload = key.rsplit(".", 2)[0]
        try:
            values = self._serializer.load_payload(payload.encode())
        except BadData:
            return None
        return flask_session(values)

    def delete(self, key: str) -> None:
        """Nothing: the cookie is all there is."""
