"""A value whose encoding writes to the session that it is put into.

A ``to_plain`` of the application's may run any code: that of a form counts its uses in the session,
that of a cart moves what is sold out to another key.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.support.recording import RecordingStore
from tests.support.visitor import Visitor
from wsgi_sessions import MsgpackCodec, Session, SessionManager
from wsgi_sessions.record import StoredType
from wsgi_sessions.testing import ManualClock

SECRET = "the signing secret of the tests"


class Form:
    """Does *when_encoded* the next time that it is encoded."""

    def __init__(self, fields: list[str]) -> None:
        self.fields = fields
        self.when_encoded: Callable[[], object] = list

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Form) and other.fields == self.fields

    __hash__ = None  # type: ignore[assignment]

    def plain(self) -> list[str]:
        act, self.when_encoded = self.when_encoded, list
        act()
        return self.fields


@pytest.fixture
def visitor(store: RecordingStore, clock: ManualClock) -> Visitor:
    codec = MsgpackCodec(types=[StoredType(Form, "form", Form.plain, Form)])
    visitor = Visitor(SessionManager(store, secret=SECRET, codec=codec, clock=clock))
    with visitor.request() as session:
        session.update(first=Form(["a"]), second=Form(["b"]), old=1)
    return visitor


ACTS: dict[str, Callable[[Session], object]] = {
    "a new key": lambda session: session.update(new=[1]),
    "another key": lambda session: session.update(second=5),
    "its own key": lambda session: session.update(first=5),
    "a deletion": lambda session: session.pop("second", None),
    "its own deletion": lambda session: session.pop("first", None),
    "clear": lambda session: session.clear(),
    "a look at all": dict,
    "modified": lambda session: session.modified,
    "save": lambda session: session.save(),
}


@pytest.mark.parametrize("act", ACTS)
def test_what_is_written_while_a_value_is_put_is_kept_and_so_is_the_value(
    visitor: Visitor, act: str
) -> None:
    """As with a dict to which a function writes whose result is then put there, in a session that
    has no changes yet."""
    with visitor.request() as session:
        plain = dict(session)
        form = Form(["x"])
        form.when_encoded = lambda: ACTS[act](session)
        session["first"] = form
        _do_with_dict(act, plain)
        plain["first"] = form
        assert dict(session) == plain
    assert visitor.read() == plain


@pytest.mark.parametrize("act", ACTS)
def test_what_is_written_while_changed_values_are_encoded_is_kept(
    visitor: Visitor, act: str
) -> None:
    """When the request ends, all that was handed out is encoded again: the first of two writes."""
    with visitor.request() as session:
        session["first"].fields.append("x")
        session["second"].fields.append("y")
        plain = dict(session)
        session["first"].when_encoded = lambda: ACTS[act](session)
        _do_with_dict(act, plain)
        session.save()
        assert dict(session) == plain
    assert visitor.read() == plain


def _do_with_dict(act: str, plain: dict[str, Any]) -> None:
    if act not in ("modified", "save"):
        ACTS[act](plain)  # type: ignore[arg-type]
