"""A shop in Django, in one file: Django's own login, a cart that is changed in place, messages.

    pip install "wsgi-sessions[django]" gunicorn
    gunicorn --chdir examples --preload -w 2 --threads 4 django_app:application

The users are in an SQLite file in the working directory, the sessions too, or where the environment
says::

    WSGI_SESSIONS_STORE=redis://localhost SECRET_KEY=… gunicorn …
"""

from __future__ import annotations

import os

import django
from django.conf import settings

settings.configure(
    SECRET_KEY=os.environ.get("SECRET_KEY", "a key for this example, which is no secret"),
    ALLOWED_HOSTS=["*"],
    ROOT_URLCONF=__name__,
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": "django_app.db"}},
    INSTALLED_APPS=[
        "django.contrib.contenttypes",
        "django.contrib.auth",
        "django.contrib.messages",
        "wsgi_sessions.django",  # for its system checks
    ],
    MIDDLEWARE=[
        "wsgi_sessions.django.SessionMiddleware",  # in the place of Django's
        "django.middleware.common.CommonMiddleware",
        "django.middleware.csrf.CsrfViewMiddleware",
        "django.contrib.auth.middleware.AuthenticationMiddleware",
        "django.contrib.messages.middleware.MessageMiddleware",
    ],
    SESSION_ENGINE="wsgi_sessions.django",
    MESSAGE_STORAGE="django.contrib.messages.storage.session.SessionStorage",
    TEMPLATES=[{"BACKEND": "django.template.backends.django.DjangoTemplates"}],
    DEFAULT_AUTO_FIELD="django.db.models.AutoField",
    USE_TZ=True,
)
django.setup()

from django.contrib import messages  # noqa: E402
from django.contrib.auth import login, logout  # noqa: E402
from django.contrib.auth.models import User  # noqa: E402
from django.core.handlers.wsgi import WSGIHandler  # noqa: E402
from django.core.management import call_command  # noqa: E402
from django.db import connections  # noqa: E402
from django.http import HttpRequest, HttpResponse, HttpResponseBadRequest  # noqa: E402
from django.shortcuts import redirect  # noqa: E402
from django.template import engines  # noqa: E402
from django.urls import path  # noqa: E402
from django.views.decorators.http import require_POST  # noqa: E402

PAGE = """<!doctype html>
<html lang="en">
<title>Shop</title>
{% for message in messages %}<p class="message">{{ message }}</p>{% endfor %}
{% if user.is_authenticated %}
<form method="post" action="/logout">{% csrf_token %}
  <p>Hello, <b>{{ user }}</b>. <button>Log out</button></p>
</form>
{% else %}
<form method="post" action="/login">{% csrf_token %}
  <p><input name="user" required> <button>Log in</button></p>
</form>
{% endif %}
<form method="post" action="/add">{% csrf_token %}
  <p><input name="item" required> <button>Put into the cart</button></p>
</form>
<ul>
{% for item, number in cart.items %}  <li>{{ number }} &times; {{ item }}</li>
{% endfor %}</ul>
"""


def index(request: HttpRequest) -> HttpResponse:
    shown = {
        "messages": messages.get_messages(request),
        "user": request.user,
        "cart": {
            key.removeprefix("cart:"): number
            for key, number in request.session.items()
            if key.startswith("cart:")
        },
    }
    return HttpResponse(engines["django"].from_string(PAGE).render(shown, request))


@require_POST
def add(request: HttpRequest) -> HttpResponse:
    item = request.POST["item"]
    # A counter of its own for each item: however many tabs add at once, all are counted.
    request.session.session.increment(f"cart:{item}")
    messages.success(request, f"{item} is in the cart.")
    return redirect("/")


@require_POST
def log_in(request: HttpRequest) -> HttpResponse:
    name = request.POST["user"].strip()  # a real shop asks for a password
    if not name:
        return HttpResponseBadRequest()
    user, _ = User.objects.get_or_create(username=name)
    login(request, user, "django.contrib.auth.backends.ModelBackend")
    messages.success(request, "You are logged in.")
    return redirect("/")


@require_POST
def log_out(request: HttpRequest) -> HttpResponse:
    logout(request)
    messages.success(request, "You are logged out.")
    return redirect("/")


urlpatterns = [
    path("", index),
    path("add", add),
    path("login", log_in),
    path("logout", log_out),
]

call_command("migrate", verbosity=0)
connections.close_all()  # before the workers are forked
application = WSGIHandler()
