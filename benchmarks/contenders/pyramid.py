"""An application of Pyramid's with pyramid_session_redis."""

from __future__ import annotations

from collections.abc import Callable

from pyramid.config import Configurator
from pyramid.request import Request
from pyramid.response import Response
from pyramid_session_redis import RedisSessionFactory

from benchmarks.contenders import Pair, Places
from benchmarks.contenders.ours import SECRET
from tests.support.scenarios import PATHS, Scenario


def redis(places: Places) -> Pair:
    bare, config = _configurator(uses_sessions=False), _configurator(uses_sessions=True)
    factory = RedisSessionFactory(secret=SECRET, timeout=86_400, redis_url=places["redis"])
    config.set_session_factory(factory)
    return Pair(bare.make_wsgi_app(), config.make_wsgi_app())


def _configurator(*, uses_sessions: bool) -> Configurator:
    config = Configurator()
    for path, scenario in PATHS.items():
        config.add_route(path, path)
        config.add_view(_view(scenario, uses_sessions=uses_sessions), route_name=path)
    return config


def _view(scenario: Scenario, *, uses_sessions: bool) -> Callable[[Request], Response]:
    def view(request: Request) -> Response:
        if uses_sessions and scenario.use is not None:
            scenario.use(request.session)
        return Response(b"ok", content_type="text/plain")

    return view
