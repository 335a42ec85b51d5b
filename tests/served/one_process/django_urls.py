"""The pages of the Django project, by Django's own authentication."""

from __future__ import annotations

from django.contrib.auth import login, logout
from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse
from django.urls import path

from tests.served.one_process.site import put


def log_in(request: HttpRequest) -> HttpResponse:
    login(request, User.objects.get(pk=request.POST["user"]))
    return HttpResponse("ok")


def log_out(request: HttpRequest) -> HttpResponse:
    logout(request)
    return HttpResponse("ok")


def change(request: HttpRequest) -> HttpResponse:
    put(request.session.session, request.POST["key"])  # type: ignore[attr-defined]
    return HttpResponse("ok")


def who(request: HttpRequest) -> HttpResponse:
    return HttpResponse(str(request.user.pk or "nobody"))


def nothing(_request: HttpRequest) -> HttpResponse:
    return HttpResponse("ok")


urlpatterns = [
    path("login", log_in),
    path("logout", log_out),
    path("put", change),
    path("who", who),
    path("nothing", nothing),
]
