"""System checks: what of the settings cannot work, or does less than it could.

They are registered when this package is imported, which a server does when it loads the middleware.
With ``"wsgi_sessions.django"`` among ``INSTALLED_APPS`` every ``manage.py check`` has them.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, Warning, register
from django.utils.module_loading import import_string

from wsgi_sessions.django.configuration import session_manager

__all__ = ["check_settings"]

ENGINE = "wsgi_sessions.django"
OURS = "wsgi_sessions.django.SessionMiddleware"
DJANGOS = "django.contrib.sessions.middleware.SessionMiddleware"
NEEDS_SESSION = (
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
)


@register(Tags.security)
def check_settings(**_more: Any) -> list[CheckMessage]:
    """What is set wrongly, with its remedy. No I/O."""
    if ENGINE not in (settings.SESSION_ENGINE, *settings.INSTALLED_APPS) and OURS not in _classes():
        return []
    return [*_check_options(), *_check_middleware(), *_check_serializer()]


def _check_options() -> Iterator[CheckMessage]:
    try:
        session_manager()
    except (TypeError, ValueError) as error:
        yield Error(f"Sessions cannot work: {error}", id="wsgi_sessions.E001")


def _check_middleware() -> Iterator[CheckMessage]:
    classes = _classes()
    if OURS not in classes:
        if settings.SESSION_ENGINE == ENGINE and DJANGOS in classes:
            yield Warning(
                "Django's SessionMiddleware serves the sessions of wsgi_sessions: the cookie holds "
                "the session_key, a logout in another tab is answered by 400, and a store that "
                "fails is a 500.",
                hint=f"Put {OURS!r} in the place of {DJANGOS!r} in MIDDLEWARE.",
                id="wsgi_sessions.W004",
            )
        return
    if settings.SESSION_ENGINE != ENGINE:
        yield Error(
            f"SESSION_ENGINE is {settings.SESSION_ENGINE!r}, so this engine keeps the sessions and "
            f"wsgi_sessions does nothing.",
            hint=f"Set SESSION_ENGINE = {ENGINE!r}; the former one belongs into "
            f"WSGI_SESSIONS_MIGRATE_FROM.",
            id="wsgi_sessions.E002",
        )
    if DJANGOS in classes or classes.count(OURS) > 1:
        yield Error(
            "MIDDLEWARE has more than one SessionMiddleware: the last one wins, and the others "
            "answer for a session that nobody has used.",
            hint=f"Leave {OURS!r} only.",
            id="wsgi_sessions.E003",
        )
    for later in NEEDS_SESSION:
        if later in classes and classes.index(later) < classes.index(OURS):
            yield Error(
                f"{later!r} stands before {OURS!r} in MIDDLEWARE and finds no session.",
                hint=f"Move {OURS!r} to the front of it.",
                id="wsgi_sessions.E005",
            )


def _check_serializer() -> Iterator[CheckMessage]:
    if settings.SESSION_SERIALIZER != "django.contrib.sessions.serializers.JSONSerializer":
        yield Warning(
            "SESSION_SERIALIZER is not used: wsgi_sessions stores values by its codec.",
            hint='Remove it; types of the project\'s own belong into WSGI_SESSIONS = {"codec": '
            "MsgpackCodec(types=[…])}.",
            id="wsgi_sessions.W006",
        )


def _classes() -> list[str]:
    """Full names of what MIDDLEWARE lists; a subclass counts as its nearest known parent."""
    return [_known(path) for path in settings.MIDDLEWARE or ()]


def _known(path: str) -> str:
    try:
        found = import_string(path)
    except ImportError:  # Django itself reports that
        return path
    for parent in found.__mro__ if isinstance(found, type) else ():
        name = f"{parent.__module__}.{parent.__qualname__}"
        if name == "wsgi_sessions.django.middleware.SessionMiddleware":
            return OURS
        if name in (DJANGOS, *NEEDS_SESSION):
            return name
    return path
