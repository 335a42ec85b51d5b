"""Of pages that do something late, and of clients that go away."""

from __future__ import annotations

from tests.served.bodies.pages.page import CHUNK, CHUNKS
from tests.served.bodies.scenario import (
    connected,
    scenario,
)
from tests.served.bodies.site import Site, Visit
from tests.support.patience import wait_until


@scenario
def a_late_change_is_saved(site: Site) -> None:
    cookie = site.visitor()
    site.visit("late_change", cookie=cookie).is_answered(200, b"onetwo")
    site.is_saved(cookie, x=1, late=1)


@scenario
def a_late_look_is_nobody_elses(site: Site) -> None:
    """A shared cache that keeps the page must not give it to another visitor."""
    visit = site.visit("late_look", cookie=site.visitor())
    visit.is_answered(200, b"one 0" if site.bare else b"one 1")
    if not site.bare:
        assert visit.reply.all("Vary") == ["Cookie"]
        assert visit.reply.all("Cache-Control") == ["private"]


@scenario
def a_late_look_at_a_cached_page_varies_by_cookie(site: Site) -> None:
    visit = site.visit("late_look_at_a_cached_page", cookie=site.visitor())
    visit.is_answered(200, b"one 0" if site.bare else b"one 1")
    assert visit.reply.all("Vary") == ([] if site.bare else ["Cookie"])


@scenario
def a_stream_for_nobody_in_particular_is_everybodys(site: Site) -> None:
    visit = site.visit("late_look")
    visit.is_answered(200, b"one 0")
    assert visit.reply.all("Vary") == visit.reply.all("Cache-Control") == []


@scenario
def an_ordinary_answer_is_everybodys(site: Site) -> None:
    visit = site.visit("ordinary_answer", cookie=site.visitor())
    visit.is_answered(200, b"onetwo")
    assert visit.reply.all("Vary") == visit.reply.all("Cache-Control") == []


def loses_its_client(site: Site, page: str) -> None:
    """The body is closed once, and what was changed late is kept."""
    cookie = site.visitor()
    visit = Visit(site, page)
    with site.connect(visit.path, cookie) as connection:
        reply = connection.read_until(lambda reply: len(reply.body) >= 3 * len(CHUNK))
        connection.vanish()
    assert reply.status == 200
    visit.is_closed_once()
    if not site.bare:
        is_late = range(1, CHUNKS).__contains__
        wait_until(lambda: is_late(site.saved(cookie).get("chunks")), "a late change is saved")


@connected
def a_client_that_goes_away_closes_the_body_once(site: Site) -> None:
    loses_its_client(site, "client_goes_away")


@connected
def a_client_that_goes_away_ends_a_generator_once(site: Site) -> None:
    loses_its_client(site, "client_of_a_generator_goes_away")


@connected
def a_stream_is_not_held_back(site: Site) -> None:
    """Its first chunk arrives while there is no second."""
    visit = Visit(site, "a_slow_stream")
    with site.connect(visit.path) as connection:
        visit.reply = connection.read_until(lambda reply: reply.body == b"one")
        visit.begins_a_session(x=1)
        visit.confirmation.touch()
        visit.reply = connection.read()
    visit.is_answered(200, b"onetwo")


@connected
def a_websocket_sends_nothing_more_and_is_saved(site: Site) -> None:
    cookie = site.visitor()
    visit = Visit(site, "a_websocket")
    with site.connect(visit.path, cookie) as connection:
        visit.reply = connection.read()
    assert (visit.reply.status, visit.reply.extra) == (101, b"hello")
    site.is_saved(cookie, x=1, late=1)
