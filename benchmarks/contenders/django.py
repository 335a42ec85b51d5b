"""Applications of Django's: sessions in the cache on Redis, in the database on SQLite, and of this
library."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import django
from django.conf import settings
from django.core.handlers.wsgi import WSGIHandler
from django.http import HttpRequest, HttpResponse
from django.test.utils import override_settings
from django.urls import path

from benchmarks.contenders import Pair, Places
from benchmarks.contenders.ours import SECRET
from tests.support.patience import patient_url
from tests.support.scenarios import PATHS, Scenario


def _view(request: HttpRequest, scenario: Scenario) -> HttpResponse:
    if scenario.use is not None and hasattr(request, "session"):
        scenario.use(request.session)
    return HttpResponse(b"ok", content_type="text/plain")


urlpatterns = [
    path(name.removeprefix("/"), partial(_view, scenario=scenario))
    for name, scenario in PATHS.items()
]


def ours_redis(places: Places) -> Pair:
    return _pair(places, "wsgi_sessions.django", "wsgi_sessions.django.SessionMiddleware")


def cache(places: Places) -> Pair:
    return _pair(places, "django.contrib.sessions.backends.cache")


def db(places: Places) -> Pair:
    from django.core.management import call_command

    pair = _pair(places, "django.contrib.sessions.backends.db")
    call_command("migrate", verbosity=0)
    return pair


def _pair(
    places: Places,
    engine: str,
    middleware: str = "django.contrib.sessions.middleware.SessionMiddleware",
) -> Pair:
    if not settings.configured:
        _configure(places)
    with override_settings(MIDDLEWARE=[]):
        bare = WSGIHandler()
    with override_settings(MIDDLEWARE=[middleware], SESSION_ENGINE=engine):
        return Pair(bare, WSGIHandler())


def _configure(places: Places) -> None:
    """A connection that is kept, and a write-ahead log, as the documentation advises."""
    settings.configure(
        SECRET_KEY=SECRET,
        ALLOWED_HOSTS=["*"],
        ROOT_URLCONF=__name__,
        INSTALLED_APPS=["django.contrib.sessions"],
        WSGI_SESSIONS_STORE=patient_url(f"{places.get('redis')}?prefix=ours-django:"),
        CACHES={
            "default": {
                "BACKEND": "django.core.cache.backends.redis.RedisCache",
                "LOCATION": places.get("redis", ""),
            }
        },
        DATABASES={
            "default": {
                "ENGINE": "django.db.backends.sqlite3",
                "NAME": str(Path(places["directory"], "django.db")),
                "CONN_MAX_AGE": None,
                "OPTIONS": {
                    "init_command": "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL",
                    "transaction_mode": "IMMEDIATE",
                },
            }
        },
    )
    django.setup()
