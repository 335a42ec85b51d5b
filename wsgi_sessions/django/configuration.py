"""The manager of a Django project: one for a process, made of the settings when it is needed.

How this works. Django's ``SESSION_…`` settings are the options of these names; ``WSGI_SESSIONS``
has the others and wins. When a test overrides a setting, Django says so by a signal, and the next
request gets a manager of the settings of then; a store lives as long as the process, so that what
was stored under one setting is found under the next.
"""

from __future__ import annotations

from threading import Lock
from typing import Any

from django.conf import settings
from django.core.signals import setting_changed

from wsgi_sessions.cookie import CookieStore
from wsgi_sessions.django.old_engine import engine_reader
from wsgi_sessions.errors import ConfigurationError
from wsgi_sessions.manager import (
    Options,
    SessionManager,
    Settings,
    StoreOrURL,
    check_place,
    renamed_options,
    settings_of,
    store_of,
)

__all__ = ["LOGIN_KEYS", "configured_options", "session_manager"]

KEYS = {
    "secret": "SECRET_KEY",
    "fallback_secrets": "SECRET_KEY_FALLBACKS",
    "lifetime": "SESSION_COOKIE_AGE",
    "permanent_lifetime": "SESSION_COOKIE_AGE",
    "absolute_lifetime": "SESSION_COOKIE_AGE",
    "permanent": "SESSION_EXPIRE_AT_BROWSER_CLOSE",
    "cookie_name": "SESSION_COOKIE_NAME",
    "cookie_domain": "SESSION_COOKIE_DOMAIN",
    "cookie_path": "SESSION_COOKIE_PATH",
    "cookie_secure": "SESSION_COOKIE_SECURE",
    "cookie_httponly": "SESSION_COOKIE_HTTPONLY",
    "cookie_samesite": "SESSION_COOKIE_SAMESITE",
    "migrate_from": "WSGI_SESSIONS_MIGRATE_FROM",
}
"""The options that a setting of Django's gives."""

LOGIN_KEYS = ("_auth_user_id",)
"""``django.contrib.auth.SESSION_KEY``, which cannot be imported before the applications are."""

_WATCHED = ("SESSION_", "SECRET_KEY", "WSGI_SESSIONS")

_lock = Lock()
_stores: list[tuple[Any, Any]] = []
"""What was given, and the store that it is or names."""
_managers: list[SessionManager] = []
"""The one of now; empty until it is needed."""


def session_manager() -> SessionManager:
    """The :class:`~wsgi_sessions.SessionManager` of this project's sessions, for
    :meth:`~wsgi_sessions.SessionManager.sessions_of`, ``revoke_all``, ``open_id`` and the like.

    Raises :exc:`~wsgi_sessions.ConfigurationError` or :exc:`TypeError`, by the names of the
    settings, for what is set wrongly. No I/O.
    """
    try:
        return _managers[0]  # nearly always, without the lock
    except IndexError:
        with _lock:
            if not _managers:
                _managers.append(_built())
            return _managers[0]


def _forget(*, setting: str, **_more: Any) -> None:
    """A test has overridden *setting*."""
    if setting.startswith(_WATCHED):
        with _lock:
            _managers.clear()


setting_changed.connect(_forget)


def _built() -> SessionManager:
    given: StoreOrURL | None = getattr(settings, "WSGI_SESSIONS_STORE", None)
    own = _own_options()
    with renamed_options({option: key for option, key in KEYS.items() if option not in own}):
        options = configured_options()
        options.update(own)
        if "login_keys" in own:
            options["login_keys"] = (*LOGIN_KEYS, *own["login_keys"])
        manager = SessionManager(_store(given), **options)
    manager.adopt_login_keys(LOGIN_KEYS)
    return manager


def _store(given: StoreOrURL | None) -> StoreOrURL:
    for known, store in _stores:
        if known is given or (isinstance(given, str) and known == given):
            return store  # type: ignore[no-any-return]
    opened = store_of(given)
    if isinstance(opened, CookieStore):
        raise ConfigurationError(
            "WSGI_SESSIONS_STORE is a CookieStore, which keeps nothing that a session_key could "
            "open: Django needs a store such as RedisStore or SQLAlchemyStore"
        )
    check_place(opened, is_default=given is None)
    _stores.append((given, opened))
    return opened


def _own_options() -> Options:
    own = getattr(settings, "WSGI_SESSIONS", {})
    if not isinstance(own, dict):
        raise TypeError(f"WSGI_SESSIONS is a dict of options, not {type(own).__name__}")
    return own  # type: ignore[return-value]  # checked like any other options


def configured_options() -> Options:
    """The options that Django's settings amount to. ``SESSION_COOKIE_AGE`` bounds the idle time of
    every session; nothing bounds one that is used, so the absolute lifetime is never shorter."""
    age = settings_of({"lifetime": settings.SESSION_COOKIE_AGE}).lifetime
    options: Options = {
        "secret": settings.SECRET_KEY,
        "fallback_secrets": settings.SECRET_KEY_FALLBACKS,
        "lifetime": age,
        "permanent_lifetime": age,
        "absolute_lifetime": max(Settings.absolute_lifetime or age, age),
        "permanent": not settings.SESSION_EXPIRE_AT_BROWSER_CLOSE,
        "cookie_name": settings.SESSION_COOKIE_NAME,
        "cookie_domain": settings.SESSION_COOKIE_DOMAIN or None,
        "cookie_path": settings.SESSION_COOKIE_PATH or "/",
        "cookie_secure": bool(settings.SESSION_COOKIE_SECURE) or None,
        "cookie_httponly": bool(settings.SESSION_COOKIE_HTTPONLY),
        "cookie_samesite": settings.SESSION_COOKIE_SAMESITE or None,
    }
    engines = getattr(settings, "WSGI_SESSIONS_MIGRATE_FROM", ())
    if isinstance(engines, str):
        raise TypeError("migrate_from is a list of engines, not a str: write [engine]")
    if engines:
        options["migrate_from"] = [engine_reader(engine) for engine in engines]
    return options
