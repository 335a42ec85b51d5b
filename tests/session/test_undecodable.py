"""A value that this version of the library, or its codec, cannot decode: in a record that is sound
in all else, since a writer of the store can make a checksum, and so does a newer version.

It costs that one session, and is no error for ever: the visitor is anonymous.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import pytest

from tests.support.recording import RecordingStore
from tests.support.visitor import Visitor
from wsgi_sessions import Session
from wsgi_sessions.record import pack, unpack
from wsgi_sessions.testing import ManualClock

BAD: dict[str, Any] = {
    "never used in MessagePack": b"\xc1",
    "large": b"\xc1" * 1000,
    "large, damaged": b"x" * 1000,
}


@pytest.fixture(params=BAD)
def bad(request: pytest.FixtureRequest) -> Any:
    return BAD[request.param]


@pytest.fixture
def victim(visitor: Visitor, store: RecordingStore, clock: ManualClock, bad: Any) -> Visitor:
    """A visitor with one good value and, last, one that cannot be decoded."""
    with visitor.request() as session:
        session.update(good=[1], bad=2)
        id = session.id
    stored = store.load(id)
    assert stored is not None
    record = unpack(stored.data)
    data = pack(record.replace(values={**record.values, "bad": bad}))
    if len(bad) == 1000:
        data = data[:-1] + b"y"
    store.save(id, data, expires_at=clock() + 86_400, replacing=stored.version)
    return visitor


LOOKS: dict[str, tuple[Callable[[Session], Any], Any]] = {
    "get": (lambda session: session.get("bad"), None),
    "in": (lambda session: "bad" in session, False),
    "in, then []": (lambda session: [session[key] for key in ["bad"] if key in session], []),
    "pop": (lambda session: session.pop("bad", 5), 5),
    "setdefault": (lambda session: session.setdefault("bad", 5), 5),
    "dict": (dict, {}),
    "copy": (Session.copy, {}),
    "list": (list, []),
    "keys": (lambda session: [session[key] for key in session.keys()], []),  # noqa: SIM118
    "keys, then []": (lambda session: [session[key] for key in list(session)], []),
    "values": (lambda session: list(session.values()), []),
    "items": (lambda session: list(session.items()), []),
    "unpacked": (lambda session: {**session}, {}),
    "==": (lambda session: session == {}, True),
    "|": (lambda session: session | {"a": 1}, {"a": 1}),
    "| from the left": (lambda session: {"a": 1} | session, {"a": 1}),
    "|=": (lambda session: dict(operator.ior(session, {"a": 1})), {"a": 1}),
    "if, then dict": (lambda session: bool(session) and dict(session), {}),
    "mutate": (lambda session: session.mutate("bad", lambda value: [value], 5), [5]),
    "increment": (lambda session: session.increment("bad"), 1),
    "get_or_create": (lambda session: session.get_or_create("bad", lambda: 5), 5),
}


@pytest.mark.parametrize("look", LOOKS)
def test_a_value_that_cannot_be_decoded_costs_the_session(
    victim: Visitor, look: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Whatever is done first: the answer is that of an empty session, now and next time."""
    do, answer = LOOKS[look]
    for _ in range(2):
        caplog.clear()
        session = victim.open()
        id = session.id
        assert do(session) == answer
        assert "good" not in session
        assert session.new
        assert session.id != id
        assert caplog.messages == [f"session {id}: a value of the record cannot be decoded"]


def test_a_new_session_can_begin(victim: Visitor) -> None:
    """Under another id; the record stays, as it may be of a newer version."""
    before = victim.twin()
    with victim.request() as session:
        assert session.copy() == {}
        session["x"] = 1
    assert victim.read() == {"x": 1}
    assert before.open()["good"] == [1]


@pytest.mark.parametrize("find", [dict, lambda session: session.get("bad")])
def test_what_the_request_has_done_before_is_not_lost(
    victim: Visitor, find: Callable[[Session], Any]
) -> None:
    """A login least of all; what was read of the old session does not come along."""
    with victim.request() as session:
        assert session["good"] == [1]
        session["x"] = 1
        session["list"] = []
        session["list"].append(1)
        session.login("ann")
        find(session)
        assert session.copy() == {"x": 1, "list": [1]}
    assert victim.open().owner == "ann"
    assert victim.read() == {"x": 1, "list": [1]}


def test_what_was_computed_begins_with_its_default(victim: Visitor) -> None:
    """As for any new visitor; the function is called once more."""
    called = []

    def append(values: list[int]) -> list[int]:
        called.append(values)
        return [*values, 2]

    with victim.request() as session:
        assert session.mutate("good", append, []) == [1, 2]
        assert session.copy() == {"good": [2]}
        assert len(session) == 1
    assert victim.read() == {"good": [2]}
    assert called == [[1], []]


@pytest.mark.parametrize(
    "replace",
    [
        lambda session: session.update(bad=2),
        lambda session: session.__delitem__("bad"),
        Session.clear,
    ],
)
def test_what_is_replaced_or_removed_need_not_be_decoded(
    victim: Visitor, replace: Callable[[Session], Any]
) -> None:
    """That mends the session."""
    id = victim.open().id
    with victim.request() as session:
        replace(session)
        session["x"] = 1
    assert victim.open().id == id
    assert victim.read()["x"] == 1


def test_looking_at_other_keys_costs_nothing(victim: Visitor) -> None:
    """Nor does counting them."""
    with victim.request() as session:
        assert session["good"] == [1]
        assert "good" in session
        assert "missing" not in session
        assert len(session) == 2
        assert session
        session["x"] = 1
    assert len(victim.open()) == 3
