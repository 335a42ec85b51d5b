"""A Django site whose requests wait for each other, served by gunicorn for :mod:`.races`.

``RACED_ENGINE`` is its session engine. A request that has ``?gate=…&name=…`` looks at its session,
leaves a file of that name at the gate, and goes on when the gate is open.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

import django
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.urls import path

ENGINE = os.environ["RACED_ENGINE"]
IS_OURS = ENGINE == "wsgi_sessions.django"
PATIENCE = 60.0  # seconds at a gate before a request gives up

settings.configure(
    SECRET_KEY="the secret key of a site that is raced",
    ALLOWED_HOSTS=["*"],
    ROOT_URLCONF=__name__,
    DATABASES={
        "default": {
            "ENGINE": "django.db.backends.sqlite3",
            "NAME": "raced.db",
            "OPTIONS": {"timeout": 60},
        }
    },
    CACHES={
        "default": {
            "BACKEND": "django.core.cache.backends.redis.RedisCache",
            "LOCATION": os.environ.get("RACED_REDIS", "redis://localhost"),
        }
    },
    INSTALLED_APPS=[
        "django.contrib.contenttypes",
        "django.contrib.auth",
        "django.contrib.sessions",
    ],
    MIDDLEWARE=[
        "wsgi_sessions.django.SessionMiddleware"
        if IS_OURS
        else "django.contrib.sessions.middleware.SessionMiddleware",
        "django.contrib.auth.middleware.AuthenticationMiddleware",
    ],
    SESSION_ENGINE=ENGINE,
    WSGI_SESSIONS={"merge_keys": ["seen"]},
    DEFAULT_AUTO_FIELD="django.db.models.AutoField",
    USE_TZ=True,
)
django.setup()

from django.contrib.auth import login, logout  # noqa: E402
from django.contrib.auth.models import User  # noqa: E402
from django.core.handlers.wsgi import WSGIHandler  # noqa: E402
from django.core.management import call_command  # noqa: E402
from django.db import connections  # noqa: E402


def wait(request: HttpRequest) -> None:
    """Have loaded the session, and go on when all others have."""
    request.session.get("loaded")
    if "gate" not in request.GET:
        return
    gate = Path(request.GET["gate"])
    (gate / request.GET["name"]).touch()
    deadline = time.monotonic() + PATIENCE
    while not (gate / "open").exists():
        if time.monotonic() > deadline:
            raise TimeoutError("nobody has opened the gate")
        time.sleep(0.005)


def begin(request: HttpRequest) -> HttpResponse:
    request.session.update({"begun": 1, "cart": {"items": []}, "seen": [], "count": 0})
    return HttpResponse()


def put(request: HttpRequest) -> HttpResponse:
    wait(request)
    request.session[f"key {request.GET['name']}"] = 1
    return HttpResponse()


def nest(request: HttpRequest) -> HttpResponse:
    """As it is easily forgotten: nothing says ``request.session.modified = True``."""
    request.session["cart"]["items"].append(1)
    return HttpResponse()


def see(request: HttpRequest) -> HttpResponse:
    wait(request)
    request.session["seen"] = [*request.session["seen"], request.GET["name"]]
    return HttpResponse()


def count(request: HttpRequest) -> HttpResponse:
    wait(request)
    if IS_OURS:
        request.session.session.increment("count")
    else:
        request.session["count"] += 1
    return HttpResponse()


def enter(request: HttpRequest) -> HttpResponse:
    wait(request)
    login(request, User.objects.get(), "django.contrib.auth.backends.ModelBackend")
    return HttpResponse()


def leave(request: HttpRequest) -> HttpResponse:
    logout(request)
    return HttpResponse()


def look(request: HttpRequest) -> HttpResponse:
    """The user, and what is in the session: keys that were put, items, seen, count."""
    session = request.session
    keys = sum(key.startswith("key ") for key in session.keys())  # noqa: SIM118  # no mapping
    items = len(session.get("cart", {}).get("items", []))
    seen, number = len(session.get("seen", [])), session.get("count", 0)
    return HttpResponse(f"{request.user.get_username() or '-'} {keys} {items} {seen} {number}")


urlpatterns = [
    path(f"{view.__name__}/", view) for view in (begin, put, nest, see, count, enter, leave, look)
]

call_command("migrate", verbosity=0)
User.objects.get_or_create(username="ann")
connections.close_all()  # before the workers are forked
application = WSGIHandler()
