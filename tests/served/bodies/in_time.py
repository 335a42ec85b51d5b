"""Of pages that do all in time."""

from __future__ import annotations

from tests.served.bodies.pages.page import CHUNK
from tests.served.bodies.scenario import (
    SCENARIOS,
    Scenario,
    begins,
    scenario,
)
from tests.served.bodies.site import Site


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
