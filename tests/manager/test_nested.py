"""Frameworks under one middleware: the keys by which each of them logs in all count."""

from __future__ import annotations

from itertools import permutations
from typing import Any

import pytest

from tests.support.visitor import Visitor
from wsgi_sessions import MemoryStore, SessionManager
from wsgi_sessions.manager import adopt_login_keys
from wsgi_sessions.session import MISSING

FRAMEWORKS: list[tuple[tuple[str, ...], tuple[str, ...]]] = [
    (("_user_id", "user_id"), ("_fresh",)),
    (("_auth_user_id",), ()),
    (("auth.userid",), ()),
]
KEYS = [login_keys[0] for login_keys, _ in FRAMEWORKS]


def manager_of_frameworks(*frameworks: Any, **options: Any) -> SessionManager:
    manager = SessionManager(MemoryStore(), secret="s" * 16, **options)
    for login_keys, fresh_keys in frameworks:
        adopt_login_keys(manager.open(""), login_keys, fresh_keys)
    return manager


@pytest.mark.parametrize("frameworks", list(permutations(FRAMEWORKS)))
@pytest.mark.parametrize("key", [*KEYS, "user_id"])
def test_a_login_by_any_of_the_keys_is_one(frameworks: Any, key: str) -> None:
    """Whichever framework was asked first."""
    visitor = Visitor(manager_of_frameworks(*frameworks))
    with visitor.request() as session:
        session["cart"] = 1
    stolen = visitor.twin()
    with visitor.request() as session:
        session[key] = 7
    assert visitor.open().owner == "7"
    assert stolen.read() == {}


@pytest.mark.parametrize(("first", "second"), list(permutations(KEYS, 2)))
def test_another_user_by_the_keys_of_another_framework_is_a_login(first: str, second: str) -> None:
    """Who has the cookie of before has nothing of the second user; who logged in last owns it."""
    visitor = Visitor(manager_of_frameworks(*FRAMEWORKS))
    with visitor.request() as session:
        session[first] = 7
    stolen = visitor.twin()
    with visitor.request() as session:
        session[second] = 8
    assert stolen.read() == {}
    assert visitor.open().owner == "8"
    assert visitor.read() == {first: 7, second: 8}


@pytest.mark.parametrize("out", [None, MISSING], ids=["None", "removed"])
@pytest.mark.parametrize(("first", "second"), list(permutations(KEYS, 2)))
def test_a_logout_of_one_framework_leaves_the_user_of_the_other(
    first: str, second: str, out: Any
) -> None:
    """Whichever logged in last; the cookie of before is dead, the session is the other's."""
    visitor = Visitor(manager_of_frameworks(*FRAMEWORKS))
    for key, user in ((first, 7), (second, 8)):
        with visitor.request() as session:
            session[key] = user
    stolen = visitor.twin()
    with visitor.request() as session:
        if out is MISSING:
            del session[first]
        else:
            session[first] = out
    assert stolen.read() == {}
    assert visitor.open().owner == "8"
    with visitor.request() as session:
        del session[second]
    assert visitor.open().owner is None


def test_an_owner_whom_no_key_names_goes_with_the_logout_of_any_framework() -> None:
    visitor = Visitor(manager_of_frameworks(*FRAMEWORKS))
    with visitor.request() as session:
        session["_user_id"] = 7
    with visitor.request() as session:
        session.login("ann")
        session["_user_id"] = 7
        session["auth.userid"] = 8
    with visitor.request() as session:
        del session["_user_id"]
    assert visitor.open().owner == "8"


def test_a_request_in_flight_with_a_login_of_another_framework_is_fenced() -> None:
    """What it changed for the user of before does not get into the session of the second."""
    visitor = Visitor(manager_of_frameworks(*FRAMEWORKS))
    with visitor.request() as session:
        session["_user_id"] = 7
    slow = visitor.twin().open()
    assert slow["_user_id"] == 7
    with visitor.request() as session:
        session["auth.userid"] = 8
    slow["cart"] = 1
    slow.save()
    assert slow.superseded
    assert "cart" not in visitor.read()


@pytest.mark.parametrize("frameworks", list(permutations(FRAMEWORKS)))
def test_the_order_of_the_keys_is_the_same_in_all_workers(frameworks: Any) -> None:
    """So that all say the same of a session that has several; each framework's stay together."""
    options = manager_of_frameworks(*frameworks, *frameworks).options
    assert options.login_keys == ("_auth_user_id", "_user_id", "user_id", "auth.userid")
    assert options.fresh_keys == ("_fresh",)


def test_keys_that_the_options_name_are_the_only_ones() -> None:
    manager = manager_of_frameworks(*FRAMEWORKS, login_keys=["member"])
    assert manager.options.login_keys == ("member",)
