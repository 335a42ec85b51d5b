"""Of pages that are cut short: nothing that was half done is saved."""

from __future__ import annotations

from tests.served.bodies.scenario import (
    DEADLY,
    SCENARIOS,
    Scenario,
    deadly,
    scenario,
)
from tests.served.bodies.site import Site, Visit


def restarted(visit: Visit) -> None:
    visit.is_answered(500, b"sorry")
    assert visit.reply.all("X-First") == []
    visit.begins_a_session(x=1)


@scenario
def a_restart_before_the_body_keeps_our_headers(site: Site) -> None:
    restarted(site.visit("restart_before_the_body"))


@scenario
def a_restart_by_keyword_keeps_our_headers(site: Site) -> None:
    restarted(site.visit("restart_by_keyword"))


@scenario
def a_restart_after_an_empty_chunk_keeps_our_headers(site: Site) -> None:
    restarted(site.visit("restart_after_an_empty_chunk"))


@scenario
def a_restart_after_our_commit_sends_our_headers_again(site: Site) -> None:
    """Where the server takes it; and where it does not, they have gone out."""
    visit = site.visit("restart_after_nine_empty_chunks")
    assert visit.reply.status == 200 or visit.reply.all("X-First") == []
    visit.begins_a_session(x=1)


def is_broken_off(site: Site, page: str, *, closing: str) -> None:
    """Its visitor keeps what was saved before, and nothing that was half done.

    *closing* is the scenario by which the server closes its body; what it sends is its affair.
    """
    cookie = site.visitor()
    visit = Visit(site, f"watched/{page}")
    with site.connect(visit.path, cookie):
        visit.wait_for("done" if closing not in site.cannot else "raised", "restarted")
    if "restarted" not in visit.notes:
        site.is_saved(cookie, x=1)


def closes_once(page: str) -> Scenario:
    """A scenario: the body of *page*, which ends before its time, is closed once."""

    def check(site: Site) -> None:
        visit = Visit(site, page)
        with site.connect(visit.path, site.visitor()):
            visit.is_closed_once()

    return check


SCENARIOS |= {
    "a_restart_after_the_headers_closes_the_body_once": closes_once("restart_after_the_headers"),
    "a_raise_before_the_first_chunk_closes_the_body_once": closes_once(
        "raise_before_the_first_chunk"
    ),
    "a_raise_in_the_middle_closes_the_body_once": closes_once("raise_in_the_middle"),
    "an_abort_before_the_first_chunk_closes_the_body_once": closes_once(
        "abort_before_the_first_chunk"
    ),
    "an_abort_in_the_middle_closes_the_body_once": closes_once("abort_in_the_middle"),
    "an_exit_in_the_middle_closes_the_body_once": closes_once("exit_in_the_middle"),
}
DEADLY |= {
    "an_abort_before_the_first_chunk_closes_the_body_once",
    "an_abort_in_the_middle_closes_the_body_once",
    "an_exit_in_the_middle_closes_the_body_once",
}


@scenario
def a_restart_after_the_headers_saves_nothing_half_done(site: Site) -> None:
    closing = "a_restart_after_the_headers_closes_the_body_once"
    is_broken_off(site, "restart_after_the_headers", closing=closing)


@scenario
def a_raise_in_the_middle_saves_nothing_half_done(site: Site) -> None:
    closing = "a_raise_in_the_middle_closes_the_body_once"
    is_broken_off(site, "raise_in_the_middle", closing=closing)


@deadly
def an_abort_in_the_middle_saves_nothing_half_done(site: Site) -> None:
    closing = "an_abort_in_the_middle_closes_the_body_once"
    is_broken_off(site, "abort_in_the_middle", closing=closing)


@deadly
def an_exit_in_the_middle_saves_nothing_half_done(site: Site) -> None:
    closing = "an_exit_in_the_middle_closes_the_body_once"
    is_broken_off(site, "exit_in_the_middle", closing=closing)


def is_a_servers_error(visit: Visit) -> None:
    """An exception that is no outage."""
    assert visit.reply.status == 500, visit.reply
    assert visit.reply.all("Retry-After") == []
    visit.saves_nothing()


@scenario
def a_raise_before_the_body_is_a_servers_error(site: Site) -> None:
    is_a_servers_error(site.visit("raise_before_the_body"))


@scenario
def a_raise_before_the_first_chunk_is_a_servers_error(site: Site) -> None:
    is_a_servers_error(site.visit("raise_before_the_first_chunk"))
