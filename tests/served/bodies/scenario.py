"""A scenario asks for a page and says what its reply has to be, on every server."""

from __future__ import annotations

from collections.abc import Callable

from tests.served.bodies.site import Site

Scenario = Callable[[Site], None]

SCENARIOS: dict[str, Scenario] = {}
DEADLY: set[str] = set()
"""The names of those that may end the server."""

CONNECTED: set[str] = set()
"""The names of those that need a socket."""

WEBSOCKET = "a_websocket_sends_nothing_more_and_is_saved"
"""For servers whose socket a page may take and then return."""


def scenario(function: Scenario) -> Scenario:
    SCENARIOS[function.__name__] = function
    return function


def deadly(function: Scenario) -> Scenario:
    DEADLY.add(function.__name__)
    return scenario(function)


def connected(function: Scenario) -> Scenario:
    CONNECTED.add(function.__name__)
    return scenario(function)


def begins(page: str, body: bytes = b"onetwo", status: int = 200, **late: int) -> Scenario:
    """A scenario: the page is answered with *body*, and begins a session."""

    def check(site: Site) -> None:
        visit = site.visit(page)
        visit.is_answered(status, body)
        visit.begins_a_session(x=1, **late)

    return check
