"""Frameworks under one middleware: the keys by which each of them logs in all count."""

from __future__ import annotations

from itertools import permutations
from typing import Any

import pytest

from tests.support.visitor import Visitor
from wsgi_sessions import MemoryStore, SessionManager
from wsgi_sessions.manager import adopt_login_keys

FRAMEWORKS: list[tuple[tuple[str, ...], tuple[str, ...]]] = [
    (("_user_id", "user_id"), ("_fresh",)),
    (("_auth_user_id",), ()),
    (("auth.userid",), ()),
]


def manager_of_frameworks(*frameworks: Any, **options: Any) -> SessionManager:
    manager = SessionManager(MemoryStore(), secret="s" * 16, **options)
    for login_keys, fresh_keys in frameworks:
        adopt_login_keys(manager.open(""), login_keys, fresh_keys)
    return manager


@pytest.mark.parametrize("frameworks", list(permutations(FRAMEWORKS)))
@pytest.mark.parametrize("key", ["_user_id", "user_id", "_auth_user_id", "auth.userid"])
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


@pytest.mark.parametrize("frameworks", list(permutations(FRAMEWORKS)))
def test_the_order_of_the_keys_is_the_same_in_all_workers(frameworks: Any) -> None:
    """So that all say the same of a session that has several; each framework's stay together."""
    options = manager_of_frameworks(*frameworks, *frameworks).options
    assert options.login_keys == ("_auth_user_id", "_user_id", "user_id", "auth.userid")
    assert options.fresh_keys == ("_fresh",)


def test_keys_that_the_options_name_are_the_only_ones() -> None:
    manager = manager_of_frameworks(*FRAMEWORKS, login_keys=["member"])
    assert manager.options.login_keys == ("member",)
