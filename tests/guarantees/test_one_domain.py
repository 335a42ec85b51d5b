"""Services of several frameworks with other lifetimes on one domain: one store, secret and cookie.

Who is logged in in one is so in all, for as long as the record says, whichever service has written
it; nobody is logged out by a visit to another one; and what has ended is brought back by none.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import product
from typing import Any

import pytest
from django.core.handlers.wsgi import WSGIHandler
from django.http import HttpResponse
from django.test import override_settings
from flask import Flask, request
from flask import session as flask_session
from pyramid.config import Configurator
from pyramid.response import Response
from webtest import TestApp

from tests.django.project import answer
from wsgi_sessions import MemoryStore, SessionManager, SessionMiddleware
from wsgi_sessions import beaker as our_beaker
from wsgi_sessions.flask import FlaskSessions
from wsgi_sessions.pyramid import session_factory
from wsgi_sessions.testing import ManualClock

HOUR, DAY = 3600.0, 86_400.0
SECRET = "the secret that all services of the domain share"

Acts = dict[str, Callable[[Any], Any]]


def acts_of(permanent: bool) -> Acts:
    """What a request does with the session, whatever the framework calls it."""

    def login(session: Any) -> None:
        session.login("ann")
        session.permanent = permanent

    return {
        "login": login,
        "read": lambda session: session.owner or "nobody",
        "write": lambda session: session.increment("n") and (session.owner or "nobody"),
        "logout": lambda session: session.invalidate(),
    }


class Domain:
    """The services, and one browser that visits them."""

    def __init__(self, permanent: bool) -> None:
        self.clock = ManualClock(1e9)
        self.store = MemoryStore(clock=self.clock)
        self.acts = acts_of(permanent)
        self.apps = {name: make(self) for name, make in SERVICES.items()}
        self.jar: dict[str, str] = {}
        self.manager = SessionManager(self.store, secret=SECRET, clock=self.clock)

    def visit(self, service: str, act: str, jar: dict[str, str] | None = None) -> str:
        jar = self.jar if jar is None else jar
        app = TestApp(self.apps[service])
        headers = {"Cookie": "; ".join(f"{name}={value}" for name, value in jar.items())}
        response = app.get(f"/{act}", headers=headers)
        for line in response.headers.getall("Set-Cookie"):
            name, _, value = line.strip().partition(";")[0].partition("=")
            jar[name] = value
            if "Max-Age=0" in line:
                del jar[name]
        return str(response.text)

    @property
    def ends_at(self) -> float:
        """When the session ends, as its record says; 0 if there is none."""
        return self.manager.open(f"sid={self.jar.get('sid', '')}").expires_at or 0.0


def plain(domain: Domain) -> Any:
    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        text = str(domain.acts[environ["PATH_INFO"][1:]](environ["wsgi.session"]))
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [text.encode()]

    options: Any = {"lifetime": HOUR, "permanent_lifetime": HOUR, "absolute_lifetime": None}
    return SessionMiddleware(app, domain.store, secret=SECRET, clock=domain.clock, **options)


def flask(domain: Domain) -> Any:
    app = Flask("shop")
    app.config.update(SECRET_KEY=SECRET, SESSION_COOKIE_NAME="sid")
    app.config["PERMANENT_SESSION_LIFETIME"] = 30 * DAY
    FlaskSessions(app, domain.store, clock=domain.clock)

    @app.get("/<act>")
    def page(act: str) -> str:
        assert request.path
        return str(domain.acts[act](flask_session))

    return app


def django(domain: Domain) -> Any:
    handler = WSGIHandler()

    def app(environ: dict[str, Any], start_response: Any) -> Any:
        act = domain.acts[environ["PATH_INFO"][1:]]
        environ["PATH_INFO"] = "/"
        answer(lambda request: HttpResponse(str(act(request.session.session))))
        with override_settings(
            SECRET_KEY=SECRET,
            SESSION_COOKIE_NAME="sid",
            SESSION_COOKIE_AGE=14 * DAY,
            WSGI_SESSIONS_STORE=domain.store,
            WSGI_SESSIONS={"clock": domain.clock},
        ):
            return handler(environ, start_response)

    return app


def pyramid(domain: Domain) -> Any:
    config = Configurator(settings={})
    options: Any = {"secret": SECRET, "clock": domain.clock, "lifetime": 20 * 60}
    config.set_session_factory(session_factory(domain.store, **options))
    config.add_route("act", "/{act}")
    config.add_view(
        lambda request: Response(str(domain.acts[request.matchdict["act"]](request.session))),
        route_name="act",
    )
    return config.make_wsgi_app()


def beaker(domain: Domain) -> Any:
    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        text = str(domain.acts[environ["PATH_INFO"][1:]](environ["beaker.session"]))
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [text.encode()]

    config = {"session.key": "sid", "session.secret": SECRET, "session.timeout": 2 * HOUR}
    options: Any = {"clock": domain.clock}
    return our_beaker.SessionMiddleware(app, config, store=domain.store, **options)


SERVICES: dict[str, Callable[[Domain], Any]] = {
    "plain": plain,
    "flask": flask,
    "django": django,
    "pyramid": pyramid,
    "beaker": beaker,
}
IDLE = {
    # ordinary, permanent
    "plain": (HOUR, HOUR),
    "flask": (DAY, 30 * DAY),
    "django": (14 * DAY, 14 * DAY),
    "pyramid": (20 * 60.0, 31 * DAY),
    "beaker": (2 * HOUR, 2 * HOUR),
}
USES = ("read", "write")
PAUSES = (3 * 60.0, 0.9 * HOUR, 3 * DAY)
STEPS = list(product(SERVICES, USES, PAUSES))


@pytest.fixture(params=[False, True], ids=["ordinary", "permanent"])
def permanent(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


@pytest.mark.parametrize("begins_at", SERVICES)
def test_all_services_agree_in_every_order_of_visits(begins_at: str, permanent: bool) -> None:
    """By the record alone: no logout before its end, and no revival after it."""
    domain = Domain(permanent)
    for steps in product(STEPS, repeat=2):
        domain.jar.clear()
        domain.visit(begins_at, "login")
        ends_at = domain.ends_at
        for service, use, pause in steps:
            domain.clock.advance(pause)
            alive = domain.clock() < ends_at
            kept = dict(domain.jar)
            assert domain.visit(service, use) == ("ann" if alive else "nobody"), steps
            if not alive:
                assert domain.visit(service, "read", kept) == "nobody", steps
                break
            ends_at = domain.ends_at
            promised = 0.9 * IDLE[service][permanent] if permanent else 0.9 * IDLE[service][0]
            assert ends_at >= domain.clock() + min(promised, promised / 0.9 - DAY), steps


@pytest.mark.parametrize("pause", [0.0, 10 * 60.0])
@pytest.mark.parametrize(("logs_in", "logs_out"), list(product(SERVICES, repeat=2)))
def test_a_logout_anywhere_is_one_everywhere(
    logs_in: str, logs_out: str, pause: float, permanent: bool
) -> None:
    """Also for who has kept the cookie, and for as long as the most patient service would wait."""
    domain = Domain(permanent)
    domain.visit(logs_in, "login")
    domain.clock.advance(pause)
    for service in SERVICES:
        assert domain.visit(service, "read") == "ann"
    kept = dict(domain.jar)
    domain.visit(logs_out, "logout")
    for _ in range(3):
        for service in SERVICES:
            assert domain.visit(service, "write", dict(kept)) == "nobody"
            assert domain.visit(service, "read") == "nobody"
        domain.clock.advance(5 * DAY)


@pytest.mark.parametrize(("patient", "strict"), [("flask", "plain"), ("django", "beaker")])
def test_a_visit_to_a_strict_service_is_made_good_by_one_to_a_patient_one(
    patient: str, strict: str
) -> None:
    """However soon after it: otherwise the next day would find the visitor logged out."""
    domain = Domain(True)
    domain.visit(patient, "login")
    domain.clock.advance(2 * DAY)
    domain.visit(strict, "read")  # a renewal is due, by this one's lifetime
    domain.clock.advance(60)
    domain.visit(patient, "read")
    domain.clock.advance(DAY)
    assert domain.visit(patient, "read") == domain.visit(strict, "read") == "ann"


@pytest.fixture(autouse=True)
def _restore() -> Iterator[None]:
    """Django's views are those of its own tests again."""
    yield
    answer(lambda request: "")
