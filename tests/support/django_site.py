"""A Django site of one view, run as a program: it makes a session and prints its cookie.

python -m tests.support.django_site BACKEND DATABASE_SETTINGS [SESSION_EXPIRY]
"""

from __future__ import annotations

import json
import sys
from typing import Any

import django
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.urls import path

SECRET = "the secret key of the site"
OLDER_SECRET = "the one before"
VALUES: dict[str, Any] = {"user": "ä", "cart": [{"id": 1, "price": 1.5}], "long": "x" * 500}


def view(request: HttpRequest) -> HttpResponse:
    request.session.update(VALUES | {"_auth_user_id": "7"})
    if len(sys.argv) > 3:
        request.session.set_expiry(int(sys.argv[3]))
    return HttpResponse("put")


urlpatterns = [path("", view)]


def main(backend: str, database: str) -> None:
    settings.configure(
        SECRET_KEY=SECRET,
        DATABASES={"default": json.loads(database)},
        INSTALLED_APPS=["django.contrib.sessions"],
        MIDDLEWARE=["django.contrib.sessions.middleware.SessionMiddleware"],
        SESSION_ENGINE=f"django.contrib.sessions.backends.{backend}",
        ROOT_URLCONF=__name__,
        ALLOWED_HOSTS=["testserver"],
    )
    django.setup()
    from django.core.management import call_command
    from django.test import Client

    if backend != "signed_cookies":
        call_command("migrate", verbosity=0)
    print(Client().get("/").cookies["sessionid"].value)


if __name__ == "__main__":
    main(*sys.argv[1:3])
