"""Nothing is lost and gone is gone, in every order of the store calls of overlapping requests."""

from __future__ import annotations

from itertools import combinations_with_replacement

import pytest

from tests.guarantees.interleavings.reference import Reference
from tests.guarantees.interleavings.schedule import every_schedule
from tests.guarantees.interleavings.scripts import SCRIPTS
from tests.guarantees.interleavings.stage import VISITS, Stage
from tests.support.every_store import STORES
from wsgi_sessions import MemoryStore

MEETING = ["read", "set_a", "append", "increment", "token", "clear", "login", "logout"]
"""One of each kind: with three requests all twenty would be a million orders."""


def crossing(count, names, visits):
    """Any *count* of *names*, for each of *visits*."""
    return [
        pytest.param(visit, crossed, id="+".join((visit, *crossed)))
        for crossed in combinations_with_replacement(names, count)
        for visit in visits
    ]


@pytest.fixture
def walk(walked):
    """Play scripts in every order, and hold each end against the reference."""

    def walk(store, clock, visit, names, **how):
        stage = Stage(store, clock, visit)
        scripts = [SCRIPTS[name] for name in names]
        for choices in every_schedule():
            played = stage.play(scripts, choices, **how)
            if played is None:
                continue
            walked()
            history, responses = played
            reference = Reference(stage, scripts)
            try:
                reference.follow(history)
                reference.check(responses)
            except AssertionError as error:
                error.add_note("in this order:\n  " + "\n  ".join(map(str, history)))
                raise

    return walk


@pytest.mark.parametrize(("visit", "names"), crossing(2, SCRIPTS, VISITS))
def test_two_requests(walk, clock, visit, names):
    """Any two, in every order; and again with any one of their store calls failing."""
    walk(MemoryStore(clock=clock), clock, visit, names, failures=1)


@pytest.mark.parametrize(("visit", "names"), crossing(3, MEETING, ["fresh", "due"]))
def test_three_requests(walk, clock, visit, names):
    """Three, in every order that is not the same as another."""
    walk(MemoryStore(clock=clock), clock, visit, names, pruned=True)


STAND_INS = ["mongodb", "dynamodb"]


@pytest.mark.parametrize("store", [name for name in STORES if name not in ["memory", *STAND_INS]])
@pytest.mark.parametrize(("visit", "names"), crossing(2, MEETING, ["due"]))
def test_two_requests_on_other_stores(request, walk, clock, store, visit, names):
    """Two, in every order that is not the same as another, on each store that is no dict."""
    walk(STORES[store](request, clock), clock, visit, names, pruned=True)


@pytest.mark.parametrize("store", STAND_INS)
@pytest.mark.parametrize(("visit", "names"), crossing(2, ["set_a", "increment", "login"], ["due"]))
def test_two_requests_on_a_stand_in(request, walk, clock, store, visit, names):
    """Fewer: the stand-ins for these servers take a hundred times as long as the others."""
    walk(STORES[store](request, clock), clock, visit, names)


def test_pruning_loses_nothing(clock):
    """A pruned walk is shorter and comes to every end that the whole walk comes to."""
    stage = Stage(MemoryStore(clock=clock), clock, "due")
    scripts = [SCRIPTS[name] for name in ("increment", "clear", "login")]

    def ends(*, pruned):
        for choices in every_schedule():
            if played := stage.play(scripts, choices, pruned=pruned):
                history, responses = played
                reference = Reference(stage, scripts)
                reference.follow(history)
                key = stage.first[:22]
                yield (
                    tuple(
                        (one.status, str(one.answer), one.cookie and one.cookie[:22] == key)
                        for one in responses
                    ),
                    str(reference.sessions[key]),
                )

    whole, pruned = list(ends(pruned=False)), list(ends(pruned=True))
    assert len(pruned) < len(whole) / 2
    assert set(pruned) == set(whole)
