"""What gunicorn serves: each framework at a path of its own, each with its own way to log in.

Under each mount ``POST login`` with ``user`` logs in, ``POST logout`` logs out, ``POST put`` with
``key`` changes the session, ``GET who`` says who is logged in, and ``GET nothing`` touches nothing.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import parse_qs

from werkzeug.middleware.dispatcher import DispatcherMiddleware

from wsgi_sessions import Session, SessionMiddleware

TEXT = [("Content-Type", "text/plain; charset=utf-8")]


def put(session: Any, key: str) -> None:
    """One of the changes that overlap: a key of its own, and a counter of all."""
    session[key] = {"by": key}
    session.increment("total")


def wsgi() -> Any:
    def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        session, path = environ["wsgi.session"], environ["PATH_INFO"]
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0)).decode()
        form = {name: texts[0] for name, texts in parse_qs(body).items()}
        answer = "ok"
        if path == "/login":
            session.login(form["user"])
        elif path == "/logout":
            session.invalidate()
        elif path == "/put":
            put(session, form["key"])
        elif path == "/who":
            answer = session.owner or "nobody"
        elif path == "/all":
            keys = sum("-" in key for key in session)
            answer = f"{keys} {session.get('total', 0)}"
        start_response("200 OK", TEXT)
        return [answer.encode()]

    return app


def flask() -> Any:
    from flask import Flask, request, session

    from wsgi_sessions.flask import FlaskSessionInterface

    app = Flask("shop")
    app.session_interface = FlaskSessionInterface()

    @app.post("/login")
    def login() -> str:
        session.login(request.form["user"])  # type: ignore[attr-defined]
        return "ok"

    @app.post("/logout")
    def logout() -> str:
        session.invalidate()  # type: ignore[attr-defined]
        return "ok"

    @app.post("/put")
    def change() -> str:
        put(session, request.form["key"])
        return "ok"

    @app.get("/who")
    def who() -> str:
        return session.owner or "nobody"  # type: ignore[attr-defined]

    @app.get("/nothing")
    def nothing() -> str:
        return "ok"

    return app


def pyramid() -> Any:
    from pyramid.config import Configurator
    from pyramid.response import Response
    from pyramid.security import forget, remember

    from wsgi_sessions.pyramid import SessionAuthenticationHelper, session_factory

    helper = SessionAuthenticationHelper()

    class Policy:
        def authenticated_userid(self, request: Any) -> Any:
            return helper.authenticated_userid(request)

        def remember(self, request: Any, userid: Any, **kw: Any) -> Any:
            return helper.remember(request, userid, **kw)

        def forget(self, request: Any, **kw: Any) -> Any:
            return helper.forget(request, **kw)

    views: dict[str, Callable[[Any], object]] = {
        "login": lambda request: remember(request, request.POST["user"]),
        "logout": forget,
        "put": lambda request: put(request.session, request.POST["key"]),
        "who": lambda request: request.authenticated_userid or "nobody",
        "nothing": lambda request: None,
    }
    config = Configurator(settings={})
    config.set_session_factory(session_factory())
    config.set_security_policy(Policy())
    for name, view in views.items():
        config.add_route(name, f"/{name}")
        config.add_view(
            lambda request, view=view: Response(
                str(view(request) or "ok"), content_type="text/plain"
            ),
            route_name=name,
        )
    return config.make_wsgi_app()


def bottle() -> Any:
    import bottle
    from bottle import request

    app = bottle.Bottle()
    app.catchall = False

    def session() -> Session:
        found: Session = request.environ["wsgi.session"]
        return found

    app.post("/login")(lambda: session().login(request.forms.user) or "ok")
    app.post("/logout")(lambda: session().invalidate() or "ok")
    app.post("/put")(lambda: put(session(), request.forms.key) or "ok")
    app.get("/who")(lambda: session().owner or "nobody")
    app.get("/nothing")(lambda: "ok")
    return app


def falcon() -> Any:
    import falcon

    acts: dict[str, Callable[[Session, dict[str, str]], object]] = {
        "login": lambda session, form: session.login(form["user"]),
        "logout": lambda session, form: session.invalidate(),
        "put": lambda session, form: put(session, form["key"]),
        "who": lambda session, form: session.owner or "nobody",
        "nothing": lambda session, form: None,
    }

    class Resource:
        def __init__(self, act: Callable[[Session, dict[str, str]], object]) -> None:
            self._act = act

        def on_get(self, request: Any, response: Any) -> None:
            response.text = str(self._act(request.env["wsgi.session"], {}) or "ok")

        def on_post(self, request: Any, response: Any) -> None:
            form = request.get_media() if request.content_length else {}
            response.text = str(self._act(request.env["wsgi.session"], form) or "ok")

    app = falcon.App()
    for name, act in acts.items():
        app.add_route(f"/{name}", Resource(act))
    return app


def cherrypy() -> Any:
    import cherrypy

    def session() -> Session:
        found: Session = cherrypy.request.wsgi_environ["wsgi.session"]
        return found

    class Root:
        @cherrypy.expose
        def login(self, user: str) -> str:
            session().login(user)
            return "ok"

        @cherrypy.expose
        def logout(self) -> str:
            session().invalidate()
            return "ok"

        @cherrypy.expose
        def put(self, key: str) -> str:
            put(session(), key)
            return "ok"

        @cherrypy.expose
        def who(self) -> str:
            return session().owner or "nobody"

        @cherrypy.expose
        def nothing(self) -> str:
            return "ok"

    cherrypy.config.update({"environment": "embedded"})
    return cherrypy.Application(Root(), "/cherrypy")


def django() -> Any:
    """With Django's own authentication: its login, its logout, its users in its database."""
    from tests.served.one_process.django_project import application

    return application()


MOUNTS: dict[str, Callable[[], Any]] = {
    "wsgi": wsgi,
    "flask": flask,
    "django": django,
    "pyramid": pyramid,
    "bottle": bottle,
    "falcon": falcon,
    "cherrypy": cherrypy,
}


def create_app() -> Any:
    applications = {f"/{name}": make() for name, make in MOUNTS.items()}
    return SessionMiddleware(
        DispatcherMiddleware(applications["/wsgi"], applications), os.environ["STORE"]
    )
