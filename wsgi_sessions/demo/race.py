"""Twenty requests that overlap, at this library and at a session of the naive kind.

How this works. The page of a run holds forty pictures, which the browser asks for as fast as it
can. Each is a request that reads the session, takes its time as a page does that asks a database,
and puts one key into the session. So what overlaps are real requests, of one browser to all
workers, and no script is needed.
"""

from __future__ import annotations

import time
from secrets import token_urlsafe
from typing import Final, NamedTuple

from werkzeug.exceptions import NotFound
from werkzeug.wrappers import Response

from wsgi_sessions.demo import pages
from wsgi_sessions.demo.responses import ShopRequest, page, see

__all__ = ["REQUESTS", "draw_naive", "draw_ours", "fire", "show_race", "show_run"]

REQUESTS: Final = 20
_NUMBERS = range(1, REQUESTS + 1)


class Side(NamedTuple):
    """What one kind of session has kept of a run."""

    name: str
    kept: set[int]


def show_race(request: ShopRequest) -> Response:
    """What each side has kept, if there was a run."""
    session, sides = request.session, []
    run = session.get("race")
    if run is not None:
        naive = request.show.naive.load(run)
        sides = [
            Side("wsgi_sessions", {number for number in _NUMBERS if _key(number) in session}),
            Side("Last write wins", {number for number in _NUMBERS if _key(number) in naive}),
        ]
    return page(request, "race", token=request.token, sides=sides, numbers=_NUMBERS)


def fire(request: ShopRequest) -> Response:
    """Begin a run: its name goes into the session, so that nobody else's picture is one of it."""
    for number in _NUMBERS:
        request.session.pop(_key(number), None)
    request.session["race"] = token_urlsafe(16)
    return see("/race/run")


def show_run(request: ShopRequest) -> Response:
    """The page whose pictures are the requests."""
    run = request.session.get("race")
    return page(request, "race_run", run=run, numbers=_NUMBERS) if run else see("/race")


def draw_ours(request: ShopRequest, run: str, number: int) -> Response:
    """One request that changes this library's session."""
    session = request.session
    _check(request, run, number)
    time.sleep(request.show.pause)
    session[_key(number)] = "kept"
    return _picture(number)


def draw_naive(request: ShopRequest, run: str, number: int) -> Response:
    """The same with the other one."""
    _check(request, run, number)
    session = request.show.naive.load(run)
    time.sleep(request.show.pause)
    session[_key(number)] = "kept"
    request.show.naive.save(run, session)
    return _picture(number)


def _check(request: ShopRequest, run: str, number: int) -> None:
    if run != request.session.get("race") or number not in _NUMBERS:
        raise NotFound("This picture belongs to another run.")


def _key(number: int) -> str:
    return f"race.{number}"


def _picture(number: int) -> Response:
    response = Response(pages.tile(number), content_type="image/svg+xml")
    response.headers["Cache-Control"] = "no-store"
    return response
