"""Live sessions of any other session engine: the engine itself reads them."""

from __future__ import annotations

import re
from importlib import import_module
from typing import Any

from django.conf import settings
from django.http import parse_cookie

from wsgi_sessions.errors import ConfigurationError
from wsgi_sessions.migration import DjangoCookieReader, OldSession, Reader, django_session

__all__ = ["engine_reader"]

_SIGNED_COOKIES = "django.contrib.sessions.backends.signed_cookies"
_DJANGOS = "django.contrib.sessions.backends."
_is_key = re.compile(r"[a-z0-9]{32}", re.ASCII).fullmatch  # what Django's own engines make
_may_be_key = re.compile(r"[\x21-\x7e]{8,4096}", re.ASCII).fullmatch


def engine_reader(engine: object) -> Reader:
    """A reader of the sessions of *engine*, a former value of ``SESSION_ENGINE``.

    Raises :exc:`~wsgi_sessions.ConfigurationError` for what cannot be imported and for what is no
    engine.
    """
    if not isinstance(engine, str):
        return engine  # type: ignore[return-value]  # a reader or a store, checked like any option
    if engine == _SIGNED_COOKIES:
        return DjangoCookieReader(
            settings.SECRET_KEY,
            fallback_secrets=settings.SECRET_KEY_FALLBACKS,
            cookie_name=settings.SESSION_COOKIE_NAME,
            lifetime=settings.SESSION_COOKIE_AGE,
            permanent=not settings.SESSION_EXPIRE_AT_BROWSER_CLOSE,
        )
    return EngineReader(engine)


class EngineReader:
    """Reads and deletes by the ``SessionStore`` of *engine*, so whatever serializer, cache or table
    that has is used as before. One session costs what it costs that engine."""

    def __init__(self, engine: str) -> None:
        try:
            self._store: Any = import_module(engine).SessionStore
        except (ImportError, AttributeError) as error:
            raise ConfigurationError(
                f"migrate_from names {engine!r}, which is no session engine ({error}): it is a "
                f"former value of SESSION_ENGINE"
            ) from None
        self._is_key = _is_key if engine.startswith(_DJANGOS) else _may_be_key
        self.cookie_name: str = settings.SESSION_COOKIE_NAME
        self.lifetime: float = float(settings.SESSION_COOKIE_AGE)

    def key(self, cookie_value: str) -> str | None:
        """What Django gives the engine: it unquotes the values of cookies."""
        key: str = parse_cookie(f"key={cookie_value}").get("key", "")
        return key if self._is_key(key) else None

    def read(self, key: str) -> OldSession | None:
        """What the engine loads; an engine forgets the key of what it does not have."""
        old = self._store(key)
        values = old.load()
        if not values or not old.session_key:
            return None
        permanent = not settings.SESSION_EXPIRE_AT_BROWSER_CLOSE
        return django_session(dict(values), permanent=permanent)

    def delete(self, key: str) -> None:
        self._store(key).delete(key)
