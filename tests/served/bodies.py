"""What the replies to the pages of :mod:`tests.served.bodies_app` have to be, on every server."""

from __future__ import annotations

from collections.abc import Callable

from tests.served.bodies_app import CHUNK, CHUNKS
from tests.served.site import Site, Visit
from tests.support.patience import wait_until

Scenario = Callable[[Site], None]

SCENARIOS: dict[str, Scenario] = {}
DEADLY: set[str] = set()
"""The names of those that may end the server."""

CONNECTED: set[str] = set()
"""The names of those that need a socket."""

WEBSOCKET = "a_websocket_sends_nothing_more_and_is_saved"
"""For servers whose socket a page may take and then return."""

SORRY = b"Service Unavailable\n"


def scenario(function: Scenario) -> Scenario:
    SCENARIOS[function.__name__] = function
    return function


def deadly(function: Scenario) -> Scenario:
    DEADLY.add(function.__name__)
    return scenario(function)


def begins(page: str, body: bytes = b"onetwo", status: int = 200, **late: int) -> Scenario:
    """A scenario: the page is answered with *body*, and begins a session."""

    def check(site: Site) -> None:
        visit = site.visit(page)
        visit.is_answered(status, body)
        visit.begins_a_session(x=1, **late)

    return check


def begins_for_head(page: str) -> Scenario:
    def check(site: Site) -> None:
        visit = site.visit(page, method="HEAD")
        visit.is_answered(200, b"")
        visit.begins_a_session(x=1)

    return check


SCENARIOS |= {
    "a_list": begins("a_list"),
    "a_tuple": begins("a_tuple"),
    "a_generator": begins("a_generator"),
    "an_iterator": begins("an_iterator"),
    "a_lazy_start": begins("a_lazy_start"),
    "an_empty_generator": begins("an_empty_generator", b""),
    "an_empty_chunk": begins("an_empty_chunk"),
    "eight_empty_chunks": begins("eight_empty_chunks"),
    "only_empty_chunks": begins("only_empty_chunks", b""),
    "write": begins("write", late=1),
    "write_then_iterable": begins("write_then_iterable", late=1),
    "head": begins_for_head("a_head"),
    "head_of_a_generator": begins_for_head("a_lazy_head"),
    "a_file": begins("a_file", CHUNK * 3),
    "not_modified": begins("not_modified", b"", 304),
    "no_content": begins("no_content", b"", 204),
    "a_layer_outside_that_calls_again_after_a_raise": begins("error_pages/raise_before_the_body"),
    "a_layer_outside_that_calls_again_after_a_raise_of_the_body": begins(
        "error_pages/raise_before_the_first_chunk"
    ),
    "a_layer_outside_that_calls_again_after_an_abort": begins(
        "error_pages/abort_before_the_first_chunk"
    ),
}


@scenario
def the_ninth_empty_chunk_waits_for_no_session(site: Site) -> None:
    """The headers are out, so that a new one is too late; a change of an old one is not."""
    late = site.visit("nine_empty_chunks")
    late.is_answered(200, b"onetwo")
    late.saves_nothing()
    assert late.notes == ([] if site.bare else ["too late for a new session"])
    cookie = site.visitor()
    site.visit("nine_empty_chunks", cookie=cookie).is_answered(200, b"onetwo")
    site.is_saved(cookie, x=1, late=1)


@scenario
def a_file_is_closed_once(site: Site) -> None:
    site.visit("a_file").is_closed_once()


@scenario
def a_body_is_closed_once(site: Site) -> None:
    site.visit("an_iterator").is_closed_once()


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


# What needs a connection


def connected(function: Scenario) -> Scenario:
    CONNECTED.add(function.__name__)
    return scenario(function)


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
