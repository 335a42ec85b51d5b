"""Of stores that fail, which is a 503, and of mistakes, which are not."""

from __future__ import annotations

from tests.served.bodies.cut_short import is_a_servers_error
from tests.served.bodies.scenario import (
    SCENARIOS,
    Scenario,
    scenario,
)
from tests.served.bodies.site import Site, Visit

SORRY = b"Service Unavailable\n"


def is_unavailable(visit: Visit, method: str = "GET") -> None:
    visit.is_answered(503, b"" if method == "HEAD" else SORRY)
    assert visit.reply.all("Retry-After") == ["1"]
    if not visit.site.bare:
        assert visit.reply.all("Cache-Control") == ["no-store"]


def outage(page: str, method: str = "GET") -> Scenario:
    """A scenario: the page needs a store that fails."""

    def check(site: Site) -> None:
        # A new visitor for a save: what is saved already is not saved again.
        cookie = site.visitor() if page.startswith("load") else ""
        visit = site.visit(page, method=method, cookie=cookie)
        is_unavailable(visit, method)
        visit.saves_nothing()

    return check


SCENARIOS |= {
    f"{kind}{'_for_head' if method == 'HEAD' else ''}": outage(page, method)
    for kind, page in {
        "a_save_that_fails": "save_fails/a_list",
        "a_save_that_fails_at_the_first_chunk": "save_fails/a_generator",
        "a_load_that_fails": "load_fails/a_look",
        "a_load_that_fails_at_the_first_chunk": "load_fails/a_lazy_look",
    }.items()
    for method in ("GET", "HEAD")
}
SCENARIOS["a_save_that_fails_at_write"] = outage("save_fails/only_write")


@scenario
def a_logout_that_fails_expires_the_cookie(site: Site) -> None:
    visit = site.visit("delete_fails/logout", cookie=site.visitor())
    is_unavailable(visit)
    if not site.bare:
        [line] = visit.reply.all("Set-Cookie")
        assert "Max-Age=0" in line


@scenario
def an_unsupported_value_is_a_servers_error(site: Site) -> None:
    is_a_servers_error(site.visit("mistakes/an_unsupported_value"))


@scenario
def a_value_too_large_is_a_servers_error(site: Site) -> None:
    is_a_servers_error(site.visit("mistakes/a_value_too_large"))


@scenario
def a_bug_in_a_store_is_a_servers_error(site: Site) -> None:
    is_a_servers_error(site.visit("broken_store/a_list"))


@scenario
def a_bug_in_a_store_at_the_first_chunk_is_a_servers_error(site: Site) -> None:
    is_a_servers_error(site.visit("broken_store/a_generator"))
