"""Nobody is logged out by the change of engines: live sessions of the former one are migrated."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from datetime import timedelta
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth import login
from django.contrib.auth.models import User
from django.contrib.sessions.backends.db import SessionStore as DatabaseStore
from django.test import Client, override_settings

from tests.django.project import AUTHENTICATION, answer
from tests.support.recording import RecordingStore
from wsgi_sessions import SessionManager

DJANGOS = "django.contrib.sessions.middleware.SessionMiddleware"
BACKENDS = "django.contrib.sessions.backends."
THIRD_PARTY = "third_party_sessions"


class ThirdParty:
    """A module with an engine whose keys look like no other's."""

    class SessionStore(DatabaseStore):  # type: ignore[misc]
        def _get_new_session_key(self) -> str:
            return f"t/{super()._get_new_session_key()[:30].upper()}"


ENGINES = [
    *(f"{BACKENDS}{name}" for name in ("db", "cache", "cached_db", "file", "signed_cookies")),
    THIRD_PARTY,
]


@pytest.fixture(params=ENGINES, ids=lambda engine: engine.rpartition(".")[2])
def engine(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[str]:
    monkeypatch.setitem(sys.modules, THIRD_PARTY, ThirdParty)  # type: ignore[arg-type]
    with override_settings(SESSION_FILE_PATH=str(tmp_path)):
        yield request.param


def begun(engine: str, user: User | None = None, expiry: Any = None) -> Client:
    """A visitor with a session of the former engine."""

    def view(request: Any) -> None:
        if user is not None:
            login(request, user)
        request.session["cart"] = {"items": [1, 2]}
        if expiry is not None:
            request.session.set_expiry(expiry)

    answer(view)
    with override_settings(SESSION_ENGINE=engine, MIDDLEWARE=[DJANGOS, AUTHENTICATION]):
        client = Client()
        client.get("/")
    other = Client()  # that loads the middleware of then
    other.cookies.load(client.cookies.output(header=""))
    return other


def look(client: Client) -> tuple[str, Any]:
    found: list[Any] = []
    answer(lambda request: found.append((str(request.user), request.session.get("cart"))))
    client.get("/")
    return found[0]  # type: ignore[no-any-return]


def test_a_visitor_of_the_former_engine_stays_logged_in(
    engine: str, user: User, manager: SessionManager
) -> None:
    client = begun(engine, user)

    with override_settings(WSGI_SESSIONS_MIGRATE_FROM=[engine]):
        assert look(client) == ("ann", {"items": [1, 2]})
        assert look(client) == ("ann", {"items": [1, 2]})

    assert look(client) == ("ann", {"items": [1, 2]})  # by a cookie of ours
    [device] = manager.sessions_of(str(user.pk))
    assert device.owner == str(user.pk)


def test_the_old_session_is_gone_and_its_cookie_opens_what_it_became(
    engine: str, user: User
) -> None:
    client = begun(engine, user)
    old = client.cookies["sessionid"].value

    with override_settings(WSGI_SESSIONS_MIGRATE_FROM=[engine]):
        look(client)
        twin = Client()
        twin.cookies["sessionid"] = old
        assert look(twin) == ("ann", {"items": [1, 2]})

    if not engine.endswith("signed_cookies"):
        assert import_module(engine).SessionStore(old).load() == {}


def test_a_logout_is_not_undone_by_the_old_cookie(engine: str, user: User) -> None:
    client = begun(engine, user)
    twin = Client()
    twin.cookies["sessionid"] = client.cookies["sessionid"].value

    with override_settings(WSGI_SESSIONS_MIGRATE_FROM=[engine]):
        answer(lambda request: request.session.flush())
        client.get("/")

        assert look(twin) == ("AnonymousUser", None)


def test_without_the_setting_the_visitor_is_anonymous(engine: str, user: User) -> None:
    assert look(begun(engine, user)) == ("AnonymousUser", None)


def test_a_cookie_of_nobodys_is_anonymous(engine: str, store: RecordingStore) -> None:
    with override_settings(WSGI_SESSIONS_MIGRATE_FROM=[engine]):
        for value in ("x", "a" * 32, "A" * 40, "../../etc/passwd", "a:b:c"):
            client = Client()
            client.cookies["sessionid"] = value
            assert look(client) == ("AnonymousUser", None)


@pytest.mark.parametrize("engine", [f"{BACKENDS}db"], indirect=True)
@pytest.mark.parametrize(
    ("expiry", "seconds"), [(0, ""), (900, 900), (timedelta(hours=1), pytest.approx(3600, abs=60))]
)
def test_an_expiry_that_was_set_is_kept(engine: str, expiry: Any, seconds: Any) -> None:
    client = begun(engine, expiry=expiry)

    with override_settings(WSGI_SESSIONS_MIGRATE_FROM=[engine]):
        answer(lambda request: request.session["cart"])
        response = client.get("/")

    assert response.cookies["sessionid"]["max-age"] == seconds


@pytest.mark.parametrize("engine", [f"{BACKENDS}db"], indirect=True)
def test_an_old_store_that_fails_is_a_503_and_not_a_logout(
    engine: str, user: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = begun(engine, user)

    def fail(_store: object) -> None:
        raise OSError("the database is down")

    monkeypatch.setattr(DatabaseStore, "load", fail)
    with override_settings(WSGI_SESSIONS_MIGRATE_FROM=[engine]):
        answer(lambda request: request.session.get("cart"))
        response = client.get("/")

    assert (response.status_code, dict(response.cookies)) == (503, {})
