"""Applications of Flask's: with Flask-Session, with Flask's own cookie, and with this library."""

from __future__ import annotations

from collections.abc import Callable

from flask import Flask, session

from benchmarks.contenders import Pair, Places
from benchmarks.contenders.ours import SECRET
from tests.support.scenarios import PATHS, Scenario


def _pair(configure: Callable[[Flask], object]) -> Pair:
    app = _application(uses_sessions=True)
    configure(app)
    return Pair(_application(uses_sessions=False), app)


def _application(*, uses_sessions: bool) -> Flask:
    app = Flask("benchmark")
    for path, scenario in PATHS.items():
        app.add_url_rule(path, path, _view(scenario, uses_sessions=uses_sessions))
    return app


def _view(scenario: Scenario, *, uses_sessions: bool) -> Callable[[], str]:
    def view() -> str:
        if uses_sessions and scenario.use is not None:
            scenario.use(session)
        return "ok"

    return view


def ours_redis(places: Places) -> Pair:
    from wsgi_sessions import open_store
    from wsgi_sessions.flask import FlaskSessions

    def configure(app: Flask) -> None:
        app.config["SECRET_KEY"] = SECRET
        FlaskSessions(app, open_store(f"{places['redis']}?prefix=ours-flask:"))

    return _pair(configure)


def flask_cookie(_places: Places) -> Pair:
    """The session in a signed cookie, as Flask comes."""

    def configure(app: Flask) -> None:
        app.config["SECRET_KEY"] = SECRET
        app.config["MAX_COOKIE_SIZE"] = 0  # no warning about the 50 KB

    return _pair(configure)


def flask_session_redis(places: Places) -> Pair:
    """Flask-Session with its defaults: msgpack, and the lifetime refreshed by each request."""
    return _flask_session(SESSION_TYPE="redis", SESSION_REDIS=_redis(places))


def flask_session_redis_unrefreshed(places: Places) -> Pair:
    return _flask_session(
        SESSION_TYPE="redis", SESSION_REDIS=_redis(places), SESSION_REFRESH_EACH_REQUEST=False
    )


def flask_session_memcached(places: Places) -> Pair:
    from pymemcache import Client

    # Without no_delay every write of more than one packet waits 40 ms for an acknowledgement.
    client = Client(places["memcached"], no_delay=True)
    return _flask_session(SESSION_TYPE="memcached", SESSION_MEMCACHED=client)


def _flask_session(**config: object) -> Pair:
    from flask_session import Session

    def configure(app: Flask) -> None:
        app.config.update(config)
        Session(app)

    return _pair(configure)


def _redis(places: Places) -> object:
    from redis import Redis

    return Redis.from_url(places["redis"])
