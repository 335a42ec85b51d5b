"""The Django project of these tests, configured once in the process."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import django
from django.conf import settings
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.urls import path

OURS = "wsgi_sessions.django.SessionMiddleware"
AUTHENTICATION = "django.contrib.auth.middleware.AuthenticationMiddleware"
MESSAGES = "django.contrib.messages.middleware.MessageMiddleware"
SECRET = "the secret key of this project of tests"

if not settings.configured:
    settings.configure(
        SECRET_KEY=SECRET,
        DEBUG=False,
        ALLOWED_HOSTS=["*"],
        ROOT_URLCONF=__name__,
        DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
        INSTALLED_APPS=[
            "django.contrib.contenttypes",
            "django.contrib.auth",
            "django.contrib.sessions",
            "django.contrib.messages",
        ],
        MIDDLEWARE=[OURS, AUTHENTICATION, MESSAGES],
        SESSION_ENGINE="wsgi_sessions.django",
        WSGI_SESSIONS_STORE="memory://",
        PASSWORD_HASHERS=["django.contrib.auth.hashers.MD5PasswordHasher"],
        USE_TZ=True,
        DEFAULT_AUTO_FIELD="django.db.models.AutoField",
    )
    django.setup()

    from django.core.management import call_command

    call_command("migrate", verbosity=0)

View = Callable[[HttpRequest], Any]
_view: list[View] = []


def _at_any_path(request: HttpRequest) -> Any:
    return _view[-1](request)


async def _async_at_any_path(request: HttpRequest) -> Any:
    return await _view[-1](request)


urlpatterns = [
    path("async/", _async_at_any_path),
    path("", _at_any_path),
]


def answer(view: View) -> None:
    """Let *view* answer every request from now on. What it returns and is no response is the text
    of one."""

    def respond(request: HttpRequest) -> Any:
        result = view(request)
        return result if hasattr(result, "status_code") else HttpResponse(repr(result))

    _view[:] = [respond]


def answer_async(view: View) -> None:
    """The same for the coroutine function *view*, at ``/async/``."""

    async def respond(request: HttpRequest) -> Any:
        result = await view(request)
        return result if hasattr(result, "status_code") else HttpResponse(repr(result))

    _view[:] = [respond]


def streamed(chunks: Iterator[bytes]) -> StreamingHttpResponse:
    return StreamingHttpResponse(chunks)
