"""Each kind of body on each kind of WSGI server.

All scenarios run on three servers; each other server has one of them, and all in ``make full``.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.served.bodies.scenarios import DEADLY, SCENARIOS, WEBSOCKET
from tests.served.bodies.servers import SERVERS, ServedSite

THOROUGH = ("gunicorn_gthread", "waitress", "werkzeug")
WITH_WEBSOCKETS = ("gevent", "eventlet")
TELLING = {
    "gevent": WEBSOCKET,
    "eventlet": WEBSOCKET,
    "granian": "a_lazy_start",
    "hypercorn": "only_empty_chunks",
    "uvicorn_asgiref": "a_late_change_is_saved",
}
"""The one scenario of a server that has a peculiarity."""


def possible(server: str) -> list[str]:
    """The scenarios that *server* can do."""
    left_out = SERVERS[server].cannot | SERVERS[server].at_times
    names = [name for name in SCENARIOS if name not in left_out]
    return [name for name in names if name != WEBSOCKET or server in WITH_WEBSOCKETS]


def pairs() -> Iterator[Any]:
    """Each server with each scenario that it can do; what only `make full` runs is marked."""
    for number, server in enumerate(SERVERS):
        names = possible(server)
        one = TELLING.get(server, names[number * 7 % len(names)])
        for name in names:
            chosen = name == one or server in THOROUGH
            yield pytest.param(server, name, marks=[] if chosen else pytest.mark.full)


class Sites:
    """Of the sites that the tests ask for, the last one runs."""

    def __init__(self, directories: pytest.TempPathFactory) -> None:
        self._directories = directories
        self._asked: tuple[str, bool] | None = None
        self._site: ServedSite | None = None

    def of(self, server: str, *, bare: bool = False) -> ServedSite:
        if self._site is None or self._asked != (server, bare):
            self.stop()
            directory = self._directories.mktemp(server)
            self._asked = server, bare
            self._site = ServedSite(SERVERS[server], directory, bare=bare)
        return self._site

    def stop(self) -> None:
        if self._site is not None:
            self._site.stop()


@pytest.fixture(scope="module")
def sites(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sites]:
    sites = Sites(tmp_path_factory)
    yield sites
    sites.stop()


def run(site: ServedSite, name: str) -> None:
    try:
        SCENARIOS[name](site)
    finally:
        if name in DEADLY:
            site.stop()


@pytest.mark.parametrize(("server", "name"), [*pairs()])
def test_a_response_is_sent_and_its_session_saved(sites: Sites, server: str, name: str) -> None:
    SERVERS[server].require()
    run(sites.of(server), name)


@pytest.mark.full
@pytest.mark.parametrize(
    ("server", "name"), [(server, name) for server in SERVERS for name in SERVERS[server].cannot]
)
def test_what_a_server_cannot_do_fails_without_the_middleware_too(
    sites: Sites, server: str, name: str
) -> None:
    """So that nothing stands in the table that is the middleware's fault."""
    SERVERS[server].require()
    with pytest.raises((AssertionError, OSError)):
        run(sites.of(server, bare=True), name)
