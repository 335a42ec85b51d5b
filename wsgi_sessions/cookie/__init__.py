"""The cookie: finding ours in a request, proving it, and setting it in a response."""

from __future__ import annotations

from wsgi_sessions.cookie.encrypted import CookieStore, EncryptedCookies
from wsgi_sessions.cookie.given_key import KEY_HINT_NAME, GivenSigner
from wsgi_sessions.cookie.request_header import cookie_values
from wsgi_sessions.cookie.response_headers import (
    Headers,
    has_content_length,
    personal,
    setting_cookie,
)
from wsgi_sessions.cookie.set_cookie import SetCookie
from wsgi_sessions.cookie.shared_key import SHARED_KEY_NAME, SharedSigner
from wsgi_sessions.cookie.token import (
    ID_LENGTH,
    Token,
    TokenSigner,
    hash_secret,
    is_id,
    new_id,
    new_secret,
    new_sid,
)

__all__ = [
    "ID_LENGTH",
    "KEY_HINT_NAME",
    "SHARED_KEY_NAME",
    "CookieStore",
    "EncryptedCookies",
    "GivenSigner",
    "Headers",
    "SetCookie",
    "SharedSigner",
    "Token",
    "TokenSigner",
    "cookie_values",
    "has_content_length",
    "hash_secret",
    "is_id",
    "new_id",
    "new_secret",
    "new_sid",
    "personal",
    "setting_cookie",
]
