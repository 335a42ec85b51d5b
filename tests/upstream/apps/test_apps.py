"""Real applications over real servers, with our sessions and, side by side, with their own.

Of an application only the lines about sessions are changed, in `wsgi/`. Each step runs with both;
where the application's own sessions fail one, the application's module says why. Each application
has a virtual environment of its own, which the first run makes.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.servers.postgresql import PASSWORD
from tests.servers.redis import RedisServer
from tests.support.patience import patient_url
from tests.upstream.apps.application import Application, Database, Place, Served
from tests.upstream.apps.browser import Browser
from tests.upstream.apps.calibreweb import CalibreWeb
from tests.upstream.apps.django import Oscar, Wagtail
from tests.upstream.apps.environment import environment_with
from tests.upstream.apps.moin import Moin
from tests.upstream.apps.pgadmin import PgAdmin

pytestmark = pytest.mark.full

APPLICATIONS = (CalibreWeb(), Moin(), PgAdmin(), Wagtail(), Oscar())
TABS = 8


@pytest.fixture(scope="module", params=["own", "ours"])
def sessions(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module", params=APPLICATIONS, ids=lambda application: application.name)
def application(request: pytest.FixtureRequest) -> Application:
    return request.param  # type: ignore[no-any-return]


@pytest.fixture(scope="module")
def served(
    request: pytest.FixtureRequest,
    application: Application,
    sessions: str,
    redis_server: RedisServer,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Served]:
    if application.needs_database:
        server = request.getfixturevalue("postgresql_server")
        application.database = Database(server.port, "tester", PASSWORD)
    python = environment_with(application.name, application.requirements)
    place = Place(application, python, tmp_path_factory.mktemp(application.name))
    application.install(place)
    store = patient_url(f"{redis_server.url}?prefix={application.name}:")
    served = Served(place, store if sessions == "ours" else None)
    try:
        yield served.start()
    finally:
        served.stop()


@pytest.fixture(autouse=True)
def expected_to_differ(
    request: pytest.FixtureRequest, application: Application, sessions: str
) -> None:
    """What an application cannot do must fail, or the reason is out of date."""
    step = request.node.originalname.removeprefix("test_")
    known = application.cannot_apply | (application.differs if sessions == "own" else {})
    if step in known:
        request.applymarker(pytest.mark.xfail(reason=known[step], strict=True))


@pytest.fixture
def visitor(served: Served) -> Browser:
    return served.visitor()


@pytest.fixture
def user(served: Served) -> Browser:
    user = served.visitor()
    served.application.log_in(user)
    assert served.application.is_logged_in(user)
    return user


@pytest.fixture
def messaged(application: Application, served: Served, request: pytest.FixtureRequest) -> Browser:
    """Who gets the application's messages."""
    name = "visitor" if application.greets_guests else "user"
    return request.getfixturevalue(name)  # type: ignore[no-any-return]


def test_a_wrong_password_is_nobody_and_the_right_one_afterwards_is_the_user(
    application: Application, visitor: Browser
) -> None:
    application.log_in(visitor, "a wrong password")
    assert not application.is_logged_in(visitor)
    application.log_in(visitor)
    assert application.is_logged_in(visitor)


def test_a_cookie_from_before_the_login_is_nobody(
    application: Application, visitor: Browser
) -> None:
    application.begin(visitor)
    thief = visitor.twin()
    application.log_in(visitor)
    assert application.is_logged_in(visitor)
    assert not application.is_logged_in(thief)


def test_a_cookie_from_before_the_logout_is_nobody(application: Application, user: Browser) -> None:
    thief = user.twin()
    application.log_out(user)
    assert not application.is_logged_in(user)
    assert not application.is_logged_in(thief)


def test_a_message_is_shown_once(application: Application, messaged: Browser) -> None:
    application.leave_message(messaged)
    assert application.messages(messaged) == 1
    assert application.messages(messaged) == 0


def test_a_form_needs_the_token_of_its_session(application: Application, user: Browser) -> None:
    assert not application.change(user, with_token=False)
    assert application.change(user, with_token=True)


def test_overlapping_tabs_lose_nothing(application: Application, messaged: Browser) -> None:
    assert application.overlap(messaged, TABS) == TABS


def test_a_restart_of_the_server_keeps_the_login(
    application: Application, served: Served, user: Browser
) -> None:
    served.restart()
    assert application.is_logged_in(user)


def test_of_two_devices_a_logout_ends_one(
    application: Application, served: Served, user: Browser
) -> None:
    other = served.other_device()
    application.log_in(other)
    application.log_out(other)
    assert not application.is_logged_in(other)
    assert application.is_logged_in(user)
