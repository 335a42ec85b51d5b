"""A Django project whose users are known by their primary key in every framework."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any


class OwnerMiddleware:
    """After Django's own ``AuthenticationMiddleware``: the session's owner is Django's user, no
    matter who has logged him in."""

    def __init__(self, get_response: Callable[[Any], Any]) -> None:
        self._get_response = get_response

    def __call__(self, request: Any) -> Any:
        from django.contrib.auth.models import AnonymousUser, User
        from django.utils.functional import SimpleLazyObject

        django_user = request.user

        def user() -> Any:
            owner = request.session.session.owner
            if django_user.is_authenticated or owner is None:
                return django_user._wrapped
            return User.objects.filter(pk=owner).first() or AnonymousUser()

        request.user = SimpleLazyObject(user)
        return self._get_response(request)


def application() -> Any:
    import django
    from django.conf import settings

    settings.configure(
        SECRET_KEY="the secret key of this project of tests",
        ALLOWED_HOSTS=["*"],
        ROOT_URLCONF="tests.served.one_process.django_urls",
        DATABASES={
            "default": {"ENGINE": "django.db.backends.sqlite3", "NAME": os.environ["USERS"]}
        },
        INSTALLED_APPS=["django.contrib.contenttypes", "django.contrib.auth"],
        MIDDLEWARE=[
            "django.middleware.common.CommonMiddleware",
            "wsgi_sessions.django.SessionMiddleware",
            "django.contrib.auth.middleware.AuthenticationMiddleware",
            "tests.served.one_process.django_project.OwnerMiddleware",
        ],
        SESSION_ENGINE="wsgi_sessions.django",
        WSGI_SESSIONS_STORE="memory://",
        PASSWORD_HASHERS=["django.contrib.auth.hashers.MD5PasswordHasher"],
        DEFAULT_AUTO_FIELD="django.db.models.AutoField",
        USE_TZ=True,
    )
    django.setup()
    from django.core.handlers.wsgi import WSGIHandler

    return WSGIHandler()


def make_users(count: int) -> None:
    """A table of users ``1`` to *count*, made once, before the workers start."""
    application()
    from django.contrib.auth.models import User
    from django.core.management import call_command

    call_command("migrate", verbosity=0)
    for number in range(1, count + 1):
        User.objects.create_user(f"user{number}", pk=number)


if __name__ == "__main__":
    make_users(8)
