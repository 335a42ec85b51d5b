"""Each kind of body on each kind of WSGI server.

With ``WSGI_SESSIONS_FULL=1`` every scenario runs on every server. Otherwise they all run on three
servers, and each other server has one of them.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.served.bodies import DEADLY, SCENARIOS, WEBSOCKET
from tests.served.wsgi_servers import SERVERS, ServedSite

FULL = os.environ.get("WSGI_SESSIONS_FULL") == "1"
THOROUGH = ("gunicorn_gthread", "waitress", "werkzeug")
WITH_WEBSOCKETS = ("gevent", "eventlet")


def possible(server: str) -> list[str]:
    """The scenarios that *server* can do."""
    names = [name for name in SCENARIOS if name not in SERVERS[server].cannot]
    return [name for name in names if name != WEBSOCKET or server in WITH_WEBSOCKETS]


def chosen(number: int, server: str) -> list[str]:
    """Of the server with this *number*, one scenario that its neighbours have not."""
    names = possible(server)
    if FULL or server in THOROUGH:
        return names
    return [WEBSOCKET] if server in WITH_WEBSOCKETS else [names[number * 7 % len(names)]]


PAIRS = [(server, name) for number, server in enumerate(SERVERS) for name in chosen(number, server)]
IMPOSSIBLE = [(server, name) for server in SERVERS for name in SERVERS[server].cannot]


@pytest.fixture(scope="module")
def site(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ServedSite]:
    yield from serve(request, tmp_path_factory, bare=False)


@pytest.fixture(scope="module")
def bare_site(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ServedSite]:
    yield from serve(request, tmp_path_factory, bare=True)


def serve(
    request: pytest.FixtureRequest, directories: pytest.TempPathFactory, *, bare: bool
) -> Iterator[ServedSite]:
    server = SERVERS[request.param]
    if server.missing:
        pytest.skip(f"{request.param} is not installed: pip install {server.packages}")
    site = ServedSite(server, directories.mktemp(request.param), bare=bare)
    yield site
    site.stop()


def run(site: ServedSite, name: str) -> None:
    try:
        SCENARIOS[name](site)
    finally:
        if name in DEADLY:
            site.stop()


@pytest.mark.parametrize(("site", "name"), PAIRS, indirect=["site"], scope="module")
def test_a_response_is_sent_and_saved_as_it_should(site: ServedSite, name: str) -> None:
    run(site, name)


@pytest.mark.skipif(not FULL, reason="only with WSGI_SESSIONS_FULL=1")
@pytest.mark.parametrize(("bare_site", "name"), IMPOSSIBLE, indirect=["bare_site"], scope="module")
def test_what_a_server_cannot_do_fails_without_the_middleware_too(
    bare_site: ServedSite, name: str
) -> None:
    """So that nothing stands in the table that is the middleware's fault."""
    with pytest.raises((AssertionError, OSError)):
        run(bare_site, name)
