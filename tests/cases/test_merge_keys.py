"""Programs that keep everything under one key: entries and appended items are merged."""

from __future__ import annotations

from collections.abc import Callable
from itertools import permutations, product
from typing import Any

import pytest

from tests.support.recording import RecordingStore
from tests.support.visitor import Visitor
from wsgi_sessions import Session, SessionManager
from wsgi_sessions.testing import ManualClock

SECRET = "the signing secret of the tests"
START: dict[str, Any] = {"old": 1, "tab": {"x": 0, "log": ["start"]}, "gone": 2}


@pytest.fixture
def visitor(store: RecordingStore, clock: ManualClock) -> Visitor:
    visitor = Visitor(
        SessionManager(store, secret=SECRET, clock=clock, merge_keys=["grid", "messages"])
    )
    with visitor.request() as session:
        session.update(grid=START, messages=["first"], plain={"a": 0})
    return visitor


Act = Callable[[Session, str], object]


def reassigned(change: Callable[[Any, str], object]) -> Act:
    def act(session: Session, me: str) -> None:
        grid = session["grid"]
        change(grid, me)
        session["grid"] = grid

    return act


def in_place(change: Callable[[Any, str], object]) -> Act:
    return lambda session, me: change(session["grid"], me)


CHANGES: dict[str, Callable[[Any, str], object]] = {
    "adds": lambda grid, me: grid.__setitem__(me, [me]),
    "adds two": lambda grid, me: grid.update({f"{me}1": 1, f"{me}2": 2}),
    "changes": lambda grid, me: grid.__setitem__("old", me),
    "removes": lambda grid, me: grid.pop("gone", None),
    "changes nested": lambda grid, me: grid["tab"].__setitem__("x", me),
    "adds nested": lambda grid, me: grid["tab"].__setitem__(me, 1),
    "appends nested": lambda grid, me: grid["tab"]["log"].append(me),
    "nothing": lambda grid, me: None,
}
"""Each touches one entry; what is said of one that two have changed is that the later wins."""


@pytest.mark.parametrize("names", list(product(CHANGES, repeat=2)), ids="+".join)
@pytest.mark.parametrize("ways", list(product([reassigned, in_place], repeat=2)))
def test_two_overlapping_requests_lose_nothing(
    visitor: Visitor, names: tuple[str, str], ways: tuple[Any, Any]
) -> None:
    """Both have loaded before either commits, in both orders."""
    check(visitor, [(way, name) for way, name in zip(ways, names, strict=True)])


SOME = ["adds", "removes", "changes", "appends nested"]


@pytest.mark.parametrize("names", list(product(SOME, repeat=3)), ids="+".join)
def test_three_overlapping_requests_lose_nothing(
    visitor: Visitor, names: tuple[str, str, str]
) -> None:
    """In all orders of their commits."""
    check(visitor, [(reassigned, name) for name in names])


def check(visitor: Visitor, acts: list[tuple[Any, str]]) -> None:
    """The result is that of one after the other."""
    for order in permutations(range(len(acts))):
        with visitor.request() as session:
            session["grid"] = START
        twins = [visitor.twin() for _ in acts]
        sessions = [twin.open() for twin in twins]
        for number, (way, name) in enumerate(acts):
            way(CHANGES[name])(sessions[number], "ABC"[number])
        expected = decoded(START)
        for number in order:
            twins[number].respond(sessions[number])
            CHANGES[acts[number][1]](expected, "ABC"[number])
        assert visitor.read()["grid"] == expected


def decoded(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: decoded(one) for key, one in value.items()}
    return [decoded(one) for one in value] if isinstance(value, list) else value


def overlap(visitor: Visitor, key: str, first: Any, second: Any) -> Any:
    """What comes of two requests that both loaded before they set *key*; ``...`` removes it."""
    twins = [visitor.twin(), visitor.twin()]
    sessions = [twin.open() for twin in twins]
    for session, value in zip(sessions, (first, second), strict=True):
        session.get(key)
        if value is ...:
            session.pop(key, None)
        else:
            session[key] = value
    for twin, session in zip(twins, sessions, strict=True):
        twin.respond(session)
    return visitor.read().get(key)


@pytest.mark.parametrize(
    ("first", "second", "merged"),
    [
        (["first", "a"], ["first", "b"], ["first", "a", "b"]),
        (["first", "a"], ["first"], ["first", "a"]),
        (["first"], ["first", "b"], ["first", "b"]),
        (["first", "a"], [], ["a"]),
        ([], ["first", "b"], ["b"]),
        ([], ["b"], ["b"]),
        (["first", "a"], ["b", "first"], ["b", "first"]),
        (["first", "a"], {"b": 1}, {"b": 1}),
        ({"a": 1}, ["first", "b"], ["first", "b"]),
        ({"a": 1}, {"b": 1}, {"b": 1}),
        ("a", "b", "b"),
        (["first", "a"], ..., ["a"]),
        (..., ["first", "b"], ["b"]),
        (["first"], ..., None),
        (..., ["first"], None),
        (..., [], None),
        (["b"], ..., None),
        (..., ["b"], ["b"]),
        ("a", ..., None),
        (..., "b", "b"),
        (["first", 1], ["first", True], ["first", 1, True]),
    ],
)
def test_items_that_both_appended_survive_and_else_the_later(
    visitor: Visitor, first: Any, second: Any, merged: Any
) -> None:
    """A value that is no list on all three sides is one. Who has shown the messages and removed
    them has removed what was shown, and no other."""
    assert overlap(visitor, "messages", first, second) == merged


def test_what_both_began_is_merged(visitor: Visitor) -> None:
    """Twenty messages of overlapping requests, where there was none before."""
    with visitor.request() as session:
        del session["messages"]
    twins = [visitor.twin() for _ in range(20)]
    sessions = [twin.open() for twin in twins]
    for number, session in enumerate(sessions):
        session["messages"] = [*session.get("messages", []), number]
    for twin, session in zip(twins, sessions, strict=True):
        twin.respond(session)
    assert visitor.read()["messages"] == list(range(20))


@pytest.mark.parametrize("deletes_first", [False, True])
def test_of_a_dict_that_one_deletes_what_the_other_has_added_stays(
    visitor: Visitor, deletes_first: bool
) -> None:
    """And nothing of what was there before."""
    values = [..., START | {"new": 1}] if deletes_first else [START | {"new": 1}, ...]
    assert overlap(visitor, "grid", *values) == {"new": 1}


def test_a_true_is_no_one(visitor: Visitor) -> None:
    """Entries are compared with their types."""
    with visitor.request() as session:
        session["grid"] = {"n": 1}
    assert overlap(visitor, "grid", {"n": True}, {"n": 1, "m": 2}) == {"n": True, "m": 2}


def test_other_keys_are_as_before(visitor: Visitor) -> None:
    """The later."""
    assert overlap(visitor, "plain", {"a": 0, "b": 1}, {"a": 0, "c": 1}) == {"a": 0, "c": 1}


def test_after_a_save_in_the_middle_nothing_of_others_is_lost(visitor: Visitor) -> None:
    """The object in hand is older than what is stored by then."""
    one, other = visitor.open(), visitor.twin()
    grid = one["grid"]
    grid["one"] = 1
    with other.request() as session:
        session["grid"]["other"] = 2
    one.save()
    grid["later"] = 3
    one.save()
    assert {"one": 1, "other": 2, "later": 3}.items() <= visitor.read()["grid"].items()


def test_a_clear_is_everything(visitor: Visitor) -> None:
    """What others added meanwhile too."""
    one, other = visitor.open(), visitor.twin()
    assert one["grid"] == START
    one.clear()
    one["grid"] = {"new": 1}
    with other.request() as session:
        session["grid"]["other"] = 2
    visitor.respond(one)
    assert visitor.read() == {"grid": {"new": 1}}


def test_a_merge_of_functions_and_of_values(visitor: Visitor) -> None:
    """A value that was mutated and then changed in place."""
    one, other = visitor.open(), visitor.twin()
    one.mutate("messages", lambda messages: [*messages, "mutated"])
    one["messages"].append("appended")
    with other.request() as session:
        session["messages"].append("other")
    visitor.respond(one)
    assert visitor.read()["messages"] == ["first", "other", "mutated", "appended"]


CHANGED_BEFORE: dict[str, Callable[[Session], object]] = {
    "appended": lambda session: session["messages"].append("mine"),
    "reassigned": lambda session: session.update(messages=[*session["messages"], "mine"]),
}


@pytest.mark.parametrize("before", CHANGED_BEFORE)
def test_a_function_is_applied_to_what_was_changed_before(visitor: Visitor, before: str) -> None:
    """And is merged with it; what it makes is returned, and what others appended stays."""
    one, other = visitor.open(), visitor.twin()
    CHANGED_BEFORE[before](one)
    made = one.mutate("messages", lambda messages: [*messages, f"after {len(messages)}"])
    assert made == one["messages"] == ["first", "mine", "after 2"]
    made.append("last")
    with other.request() as session:
        session["messages"].append("other")
    visitor.respond(one)
    assert visitor.read()["messages"] == ["first", "other", "mine", "after 2", "last"]


def test_a_function_is_applied_to_a_value_that_was_removed_and_put_again(visitor: Visitor) -> None:
    """It sees the default only if there is none."""
    with visitor.request() as session:
        session["messages"].append("second")
        del session["messages"]
        assert session.mutate("messages", lambda messages: [*messages, 1], default=[]) == [1]
    with visitor.request() as session:
        session["messages"] = ["put"]
        assert session.mutate("messages", lambda messages: [*messages, 2], default=[]) == ["put", 2]
    assert visitor.read()["messages"] == ["put", 2]


def test_without_a_conflict_nothing_is_merged_or_loaded(
    visitor: Visitor, store: RecordingStore
) -> None:
    store.pop_calls()
    with visitor.request() as session:
        session["grid"]["a"] = 1
    assert store.pop_calls() == ["load", "save"]


@pytest.mark.parametrize("before", [[], ["first"]])
def test_equal_items_that_overlapping_requests_append_all_stay(
    visitor: Visitor, before: list[str]
) -> None:
    """As they do one after the other: Calibre-Web flashes the same text in eight tabs."""
    with visitor.request() as session:
        session["messages"] = before
    with visitor.request() as one, visitor.request() as two:
        one["messages"].append("the same")
        two["messages"].append("the same")
    with visitor.request() as session:
        assert session["messages"] == [*before, "the same", "the same"]


def test_items_that_are_equal_and_large_all_stay(visitor: Visitor) -> None:
    """Also where nothing else was changed."""
    large = "x" * 600
    with visitor.request() as one, visitor.request() as two:
        one["messages"].append(large)
        two["messages"].append(large)
    assert visitor.read()["messages"] == ["first", large, large]


@pytest.mark.parametrize("look", [False, True])
@pytest.mark.parametrize("asks", [False, True])
def test_a_value_that_is_agreed_on_in_between_changes_nothing_of_the_merge(
    visitor: Visitor, look: bool, asks: bool
) -> None:
    """``get_or_create()`` reads what others have stored meanwhile; what this request put before is
    a change of what it had loaded, and what it does later one of what is there then."""
    with visitor.request() as session:
        session["grid"] = {}
        del session["messages"]
    with visitor.request() as session:
        assert session["grid"] == {} if look else "plain" in session
        session["grid"] = {"mine": 1}
        if asks:
            assert session.modified
        with visitor.twin().request() as other:
            other["grid"]["theirs"] = 1
        assert session.get_or_create("messages", lambda: ["agreed"]) == ["agreed"]
        del session["messages"]
    assert visitor.read()["grid"] == {"mine": 1, "theirs": 1}
    assert "messages" not in visitor.read()


def test_what_a_login_takes_into_a_session_of_its_own_is_what_the_request_sees(
    visitor: Visitor,
) -> None:
    """There is nothing there to be merged with."""
    session = visitor.open()
    session["messages"] = [*session["messages"], "second"]
    with visitor.twin().request() as other:
        other.invalidate()
    session.login("ann")
    visitor.respond(session)
    assert visitor.read() == session.copy() == {"messages": ["first", "second"]}
