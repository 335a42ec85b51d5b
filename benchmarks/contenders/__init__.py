"""What is measured: this library over each store, its peers, and the floors beneath them all.

A contender is a pair of WSGI applications that answer the paths of
:data:`tests.support.scenarios.PATHS`: one with sessions, and the same *bare*, without any. What
sessions cost is the difference.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from importlib import import_module
from typing import NamedTuple
from wsgiref.types import WSGIApplication

from tests.support.scenarios import SCENARIOS

Places = dict[str, str]
"""Where the servers are: ``redis``, ``memcached``, ``postgresql`` to URL or address, and
``directory`` to one for files."""


class Pair(NamedTuple):
    bare: WSGIApplication
    application: WSGIApplication


Factory = Callable[[Places], Pair]


class Contender(NamedTuple):
    name: str
    module: str
    function: str
    needs: tuple[str, ...] = ()
    """The servers."""
    scenarios: frozenset[str] | None = None
    """Those it can answer; ``None``: all."""

    def answers(self, scenario: str) -> bool:
        return self.scenarios is None or scenario in self.scenarios

    def make(self, places: Places) -> Pair:
        """Raises ``ImportError`` if the peer is not installed."""
        factory: Factory = getattr(import_module(f"{__name__}.{self.module}"), self.function)
        return factory(places)


_FLOOR = frozenset({"untouched", "read", "write", "new", "large-read", "large-write"})
_SMALL = frozenset(name for name, scenario in SCENARIOS.items() if not scenario.is_large)

CONTENDERS = {
    one.name: one
    for one in (
        Contender("ours-memory", "ours", "memory"),
        Contender("ours-file", "ours", "file"),
        Contender("ours-sqlite", "ours", "sqlite"),
        Contender("ours-redis", "ours", "redis", ("redis",)),
        Contender("ours-redis-client", "ours", "redis_client", ("redis",)),
        Contender("ours-memcached", "ours", "memcached", ("memcached",)),
        Contender("ours-postgresql", "ours", "postgresql", ("postgresql",)),
        Contender("ours-sqlalchemy-sqlite", "ours", "sqlalchemy_sqlite"),
        Contender("ours-cookie", "ours", "cookie", (), _SMALL),
        Contender("ours-flask-redis", "flask", "ours_redis", ("redis",)),
        Contender("ours-django-redis", "django", "ours_redis", ("redis",)),
        Contender("floor-redis", "floors", "redis", ("redis",), _FLOOR),
        Contender("floor-redis-connection", "floors", "redis_connection", ("redis",), _FLOOR),
        Contender("floor-memcached", "floors", "memcached", ("memcached",), _FLOOR),
        Contender("floor-sqlite", "floors", "sqlite", (), _FLOOR),
        Contender("floor-postgresql", "floors", "postgresql", ("postgresql",), _FLOOR),
        Contender("flask-session-redis", "flask", "flask_session_redis", ("redis",)),
        Contender(
            "flask-session-redis-unrefreshed",
            "flask",
            "flask_session_redis_unrefreshed",
            ("redis",),
        ),
        Contender("flask-session-memcached", "flask", "flask_session_memcached", ("memcached",)),
        Contender("flask-cookie", "flask", "flask_cookie"),
        Contender("beaker-redis", "beaker", "redis", ("redis",)),
        Contender("beaker-memory", "beaker", "memory"),
        Contender("django-cache", "django", "cache", ("redis",)),
        Contender("django-db", "django", "db"),
        Contender("pyramid-redis", "pyramid", "redis", ("redis",)),
    )
}


def available(contenders: Iterable[Contender], places: Places) -> Iterator[Contender]:
    """Those whose packages and servers are there; for any other, a line says what is missing."""
    for contender in contenders:
        absent = [need for need in contender.needs if need not in places]
        if absent:
            print(f"{contender.name} is left out: no {', '.join(absent)}", file=sys.stderr)
            continue
        try:
            import_module(f"{__name__}.{contender.module}")
        except ImportError as error:
            print(f"{contender.name} is left out: {error}", file=sys.stderr)
        else:
            yield contender
