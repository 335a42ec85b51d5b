"""What docs/django.md shows works; its commands are run by tests/docs/test_blocks.py."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from django.contrib.auth import login
from django.contrib.auth.models import User
from django.http import HttpRequest
from django.test import Client, override_settings

from tests.django.project import OURS, answer
from wsgi_sessions.django import SessionStore

DOCS = Path(__file__).parents[2] / "docs"
TEXT = (DOCS / "django.md").read_text()
BLOCKS = re.findall(r"```python[^\n]*\n(.*?)```", TEXT, re.DOTALL)
SETTINGS, URLS, DEVICES, OWNERS, MIGRATION = BLOCKS


def names_of(block: str, **given: Any) -> dict[str, Any]:
    exec(block, given)
    return given


def test_the_settings_are_those_that_the_checks_want(client: Client) -> None:
    from wsgi_sessions.django.checks import check_settings

    with override_settings(**{k: v for k, v in names_of(SETTINGS).items() if k.isupper()}):
        assert check_settings() == []


def test_the_page_counts_visits_and_devices(client: Client, user: User) -> None:
    home = names_of(URLS.partition("urlpatterns")[0])["home"]
    client.force_login(user)
    Client().force_login(user)
    answer(home)

    assert client.get("/").content == b"ann: visit 1, devices 2\n"


def test_the_devices_of_a_user_are_ended_but_this_one(client: Client, user: User) -> None:
    other = Client()
    other.force_login(user)
    client.force_login(user)

    def view(request: HttpRequest) -> None:
        names_of(DEVICES, user=user, request=request)

    answer(view)
    client.get("/")

    answer(lambda request: str(request.user))
    assert [one.get("/").content for one in (client, other)] == [b"'ann'", b"'AnonymousUser'"]


def test_a_login_elsewhere_in_the_session_is_djangos_user(
    client: Client, user: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = ModuleType("owners")
    exec(OWNERS, vars(module))
    monkeypatch.setitem(sys.modules, "owners", module)
    backends = ["owners.OwnerBackend", "django.contrib.auth.backends.ModelBackend"]
    middleware = [OURS, "owners.OwnerMiddleware"]
    with override_settings(MIDDLEWARE=middleware, AUTHENTICATION_BACKENDS=backends):
        elsewhere, here, unknown = Client(), Client(), Client()
        for visitor, owner in ((elsewhere, str(user.pk)), (unknown, "of another application")):
            answer(lambda request, owner=owner: request.session.session.login(owner))
            visitor.get("/")
        answer(lambda request: login(request, user, backends[1]))
        here.get("/")

        answer(lambda request: str(request.user))
        seen = [one.get("/").content.decode() for one in (elsewhere, here, unknown, Client())]

    assert seen == ["'ann'", "'ann'", "'AnonymousUser'", "'AnonymousUser'"]


def test_the_setting_of_the_engine_before_is_taken(client: Client) -> None:
    with override_settings(**{k: v for k, v in names_of(MIGRATION).items() if k.isupper()}):
        assert SessionStore()._manager.options.migrate_from


@pytest.mark.parametrize("target", re.findall(r"\[.*?\]\((?!http)([^#)]+)(?:#.*?)?\)", TEXT))
def test_links_lead_somewhere(target: str) -> None:
    """Inside the repository."""
    assert (DOCS / target).exists()
