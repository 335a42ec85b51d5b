"""The session as its application sees it."""

from __future__ import annotations

import gc
import operator
from collections.abc import Callable, MutableMapping
from typing import Any

import pytest

from tests.support.recording import RecordingStore
from tests.support.visitor import Visitor
from wsgi_sessions import (
    MsgpackCodec,
    Session,
    SessionClosed,
    SessionManager,
    StoreUnavailable,
    UnsupportedValue,
)
from wsgi_sessions.session import dismiss_changes
from wsgi_sessions.session.draft import Draft
from wsgi_sessions.session.snapshot import Snapshot
from wsgi_sessions.session.state import Phase
from wsgi_sessions.testing import ManualClock


class CountingCodec(MsgpackCodec):
    """Counts what is decoded and encoded."""

    def __init__(self) -> None:
        self.decoded = self.encoded = 0

    def loads(self, data: bytes) -> Any:
        self.decoded += 1
        return super().loads(data)

    def dumps(self, value: Any) -> bytes:
        self.encoded += 1
        return super().dumps(value)


@pytest.fixture
def filled(visitor: Visitor, store: RecordingStore) -> Visitor:
    """A visitor whose session holds something; no calls noted yet."""
    with visitor.request() as session:
        session.update(number=1, text="x", cart=[{"id": 1}], nested={"a": {"b": [1]}})
    store.pop_calls()
    return visitor


# A dict


def test_it_is_a_dict_of_str() -> None:
    """A MutableMapping, for whoever asks."""
    assert issubclass(Session, MutableMapping)


def test_the_methods_of_a_dict_do_what_a_dict_does(filled: Visitor) -> None:
    """Run on both, with the same results and the same content."""
    plain = filled.read()
    session = filled.open()
    for step in (
        lambda d: d["number"],
        lambda d: d.get("number"),
        lambda d: d.get("missing", 5),
        lambda d: "text" in d,
        lambda d: 1 in d,
        lambda d: len(d),
        lambda d: list(d),
        lambda d: list(d.keys()),
        lambda d: list(d.values()),
        lambda d: list(d.items()),
        lambda d: d | {"z": 1},
        lambda d: {"z": 1} | d,
        lambda d: d.setdefault("number", 9),
        lambda d: d.setdefault("new", []),
        lambda d: d.pop("text"),
        lambda d: d.pop("missing", None),
        lambda d: d.update({"x": 1}, y=2),
        lambda d: d.__setitem__("z", (1, [2])),
        lambda d: d["z"][1].append(3),
        lambda d: d.__delitem__("nested"),
        lambda d: list(d),
        lambda d: bool(d),
        lambda d: d == {"a": 1},
        lambda d: operator.ior(d, {"ior": 1}) is d,
        lambda d: d.copy(),
        lambda d: sorted(d.items(), key=str),
        lambda d: d.clear(),
        lambda d: (bool(d), len(d), list(d)),
        lambda d: d.update(after=1),
        lambda d: dict(d),
    ):
        assert step(session) == step(plain)
    assert session == plain


@pytest.mark.parametrize("other", [5, None, [("a", 1)]])
def test_only_mappings_can_be_merged_with(filled: Visitor, other: Any) -> None:
    """As for a dict, on either side."""
    session = filled.open()
    with pytest.raises(TypeError, match="unsupported operand"):
        session | other
    with pytest.raises(TypeError, match="unsupported operand"):
        other | session


@pytest.mark.parametrize("other", [None, 0, False, 5])
def test_a_session_is_updated_with_what_a_dict_is_updated_with(filled: Visitor, other: Any) -> None:
    """``session.update(found)`` where nothing was found is an error, not a change that is lost."""
    session, before = filled.open(), filled.read()
    with pytest.raises(TypeError, match="not iterable"):
        session.update(other, x=1)
    with pytest.raises(TypeError, match="not iterable"):
        session |= other
    assert session == before


@pytest.mark.parametrize(
    "missing", [lambda s: s["no"], lambda s: s.pop("no"), lambda s: s.__delitem__("no")]
)
def test_a_missing_key_is_a_key_error(filled: Visitor, missing: Callable[[Session], Any]) -> None:
    """Named."""
    with pytest.raises(KeyError, match="no"):
        missing(filled.open())


@pytest.mark.parametrize("key", [1, None, b"x", ("a",), "\ud800"])
def test_keys_are_str(visitor: Visitor, key: Any) -> None:
    """Anything else would come back as something else."""
    with pytest.raises(UnsupportedValue, match="key"):
        visitor.open()[key] = 1


@pytest.mark.parametrize(
    ("key", "message"),
    [(1, "session: keys are str, not int"), ("\ud800", "session: a key holds a lone surrogate")],
)
def test_a_key_that_cannot_be_is_named_by_its_type(
    visitor: Visitor, key: Any, message: str
) -> None:
    """Not by its value."""
    for change in ("__setitem__", "mutate", "get_or_create"):
        with pytest.raises(UnsupportedValue, match=f"^{message}$"):
            getattr(visitor.open(), change)(key, int)


def test_the_session_may_change_while_it_is_iterated(filled: Visitor) -> None:
    """Iteration goes over the keys that were there."""
    session = filled.open()
    for key in session:
        del session[key]
    assert not session


def test_a_value_that_cannot_be_kept_is_refused_on_the_line(visitor: Visitor) -> None:
    """The error names key and path."""
    session = visitor.open()
    with pytest.raises(UnsupportedValue, match=r"^cart\[1\]\.when: "):
        session["cart"] = [1, {"when": object()}]
    assert session.copy() == {}
    assert not session.modified


def test_a_value_that_became_unsupported_fails_at_commit(filled: Visitor) -> None:
    """With the same error, and what was stored is intact."""
    session = filled.open()
    session["cart"].append(object())
    with pytest.raises(UnsupportedValue, match=r"cart\[1\]"):
        filled.manager.commit(session)
    assert filled.read()["cart"] == [{"id": 1}]


# Lazy


def test_opening_does_nothing(filled: Visitor, store: RecordingStore) -> None:
    """Nor does committing what nobody looked at, nor asking about it."""
    session = filled.open()
    assert session.accessed is session.modified is False
    assert repr(session) == "<Session: not loaded>"
    assert filled.respond(session) is None
    assert store.pop_calls() == []


LOOKS: list[Callable[[Session], Any]] = [
    lambda s: s["number"], lambda s: s.get("x"), lambda s: "x" in s, len, bool, iter, list,
    lambda s: s == {}, lambda s: s.keys(), lambda s: s.values(), lambda s: s.items(),
    lambda s: s.copy(), lambda s: s | {}, lambda s: {} | s, lambda s: s.pop("x", None),
    lambda s: s.setdefault("x", 1), lambda s: s.update(x=1), lambda s: s.clear(),
    lambda s: s.popitem(), lambda s: s.__setitem__("x", 1), lambda s: s.__delitem__("number"),
    lambda s: s.id, lambda s: s.sid, lambda s: s.new, lambda s: s.permanent, lambda s: s.owner,
    lambda s: s.created_at, lambda s: setattr(s, "permanent", True), lambda s: s.regenerate(),
    lambda s: s.login("o"), lambda s: s.invalidate(), lambda s: s.increment("n"),
    lambda s: s.mutate("n", lambda v: v), lambda s: s.get_or_create("n", int),
    lambda s: operator.ior(s, {"x": 1}), lambda s: setattr(s, "modified", True),
]  # fmt: skip


@pytest.mark.parametrize("look", LOOKS)
def test_whatever_looks_at_it_marks_it_accessed(
    filled: Visitor, look: Callable[[Session], Any]
) -> None:
    """So that the response varies by cookie."""
    session = filled.open()
    look(session)
    assert session.accessed


@pytest.mark.parametrize("state", ["accessed", "modified"])
def test_asking_for_the_state_loads_nothing(
    filled: Visitor, store: RecordingStore, state: str
) -> None:
    """Also after a change."""
    session = filled.open()
    session["x"] = 1
    assert getattr(session, state)
    assert store.pop_calls() == []


def test_reading_one_small_key_of_a_large_session_decodes_that_key(
    store: RecordingStore, clock: ManualClock
) -> None:
    """One decoding, no encoding, one load."""
    codec = CountingCodec()
    manager = SessionManager(store, secret="x" * 16, clock=clock, codec=codec)
    visitor = Visitor(manager)
    with visitor.request() as session:
        session["small"] = b"1"
        session.update({f"large{n}": ["x" * 1000] * 5 for n in range(10)})
    codec.decoded = codec.encoded = 0
    store.pop_calls()
    with visitor.request() as session:
        assert session["small"] == b"1"
        assert session["small"] == b"1"
    assert (codec.decoded, codec.encoded, store.pop_calls()) == (1, 0, ["load"])


def test_scalars_are_neither_decoded_nor_encoded(store: RecordingStore, clock: ManualClock) -> None:
    """They stand in the head of the record as they are."""
    codec = CountingCodec()
    visitor = Visitor(SessionManager(store, secret="x", clock=clock, codec=codec))
    scalars = {"a": None, "b": True, "c": -5, "d": 2.5, "e": "text", "f": "\u00fc", "g": -(2**63)}
    with visitor.request() as session:
        session.update(scalars)
    assert repr(visitor.read()) == repr(scalars)
    assert (codec.decoded, codec.encoded) == (0, 0)


@pytest.mark.parametrize("scalar", [2**63, -(2**63) - 1, type("S", (str,), {})("x"), "\ud800"])
def test_what_is_nearly_a_scalar_goes_to_the_codec(visitor: Visitor, scalar: Any) -> None:
    """Which keeps it with its type, stores a subclass as its parent, or refuses it on the line."""
    session = visitor.open()
    try:
        expected = MsgpackCodec().loads(MsgpackCodec().dumps(scalar))
    except UnsupportedValue:
        with pytest.raises(UnsupportedValue):
            session["x"] = scalar
    else:
        session["x"] = scalar
        visitor.respond(session)
        assert repr(visitor.read()["x"]) == repr(expected)


def test_none_is_a_value_and_not_a_missing_key(visitor: Visitor) -> None:
    """In the request that puts it, and in the next."""
    with visitor.request() as session:
        session["x"] = None
        assert "x" in session
        assert session.get("x", 5) is None
        assert session.setdefault("x", 5) is None
        assert session.get_or_create("x", lambda: 5) is None
        assert session.mutate("x", lambda value: value, default=5) is None
    session = visitor.open()
    assert session["x"] is None
    assert dict(session) == {"x": None}
    del session["x"]
    assert "x" not in session


def test_a_large_value_is_read_changed_and_kept(visitor: Visitor, store: RecordingStore) -> None:
    """Beside the head: of any type, in its place among the keys, and equal is unchanged."""
    content: dict[str, Any] = {"a": 1, "text": "x" * 5000, "list": ["y" * 600], "z": b"0" * 999}
    with visitor.request() as session:
        session.update(content)
    assert list(visitor.read().items()) == list(content.items())
    store.pop_calls()
    with visitor.request() as session:
        session.update({key: type(value)(value) for key, value in content.items()})
    assert store.pop_calls() == ["load"]
    with visitor.request() as session:
        session["list"].append(2)
        session["a"] = 2
    content["list"].append(2)
    content["a"] = 2
    assert list(visitor.read().items()) == list(content.items())


def test_keys_have_the_order_of_a_dict(visitor: Visitor) -> None:
    """After they were put again, deleted, or put again after they were deleted."""
    plain: dict[str, Any] = {}
    for step in (
        lambda d: d.update(a=1, b=[2], c="x" * 2000, d=4),
        lambda d: d.update(b=5),
        lambda d: [d.pop("a"), d.__setitem__("a", 6)],
        lambda d: [d.pop("c"), d.__setitem__("e", 1), d.__setitem__("c", "y" * 2000)],
        lambda d: d.popitem(),
        lambda d: [d.popitem(), d.popitem()],
    ):
        with visitor.request() as session:
            assert step(session) == step(plain)
            assert list(session.items()) == list(plain.items())
            assert list(reversed(session)) == list(reversed(plain))
            for view in ("keys", "values", "items"):
                ours, theirs = getattr(session, view)(), getattr(plain, view)()
                assert list(reversed(ours)) == list(reversed(theirs))
            assert len(session) == len(plain)
        assert list(visitor.read().items()) == list(plain.items())


def test_popitem_of_an_empty_session_is_a_key_error(visitor: Visitor) -> None:
    """As of a dict."""
    with pytest.raises(KeyError, match="empty"):
        visitor.open().popitem()


def test_only_what_was_handed_out_and_is_mutable_is_encoded_again(
    store: RecordingStore, clock: ManualClock
) -> None:
    """Immutable values are never checked."""
    codec = CountingCodec()
    visitor = Visitor(SessionManager(store, secret="x" * 16, clock=clock, codec=codec))
    with visitor.request() as session:
        session.update(number=1, text="x", cart=[1], other=[2])
    codec.encoded = 0
    with visitor.request() as session:
        assert (session["number"], session["text"], session["cart"]) == (1, "x", [1])
    assert codec.encoded == 1


# What is saved


@pytest.mark.parametrize(
    "change",
    [
        lambda s: s["cart"].append(2),
        lambda s: s["cart"][0].update(id=2),
        lambda s: s["nested"]["a"]["b"].clear(),
        lambda s: s.setdefault("cart").append(1),
        lambda s: [v.append(0) for v in s.values() if isinstance(v, list)],
        lambda s: s.get("nested")["a"].pop("b"),
        lambda s: s.copy()["cart"].append(1),
    ],
)
def test_a_change_inside_a_value_is_saved_without_any_flag(
    filled: Visitor, store: RecordingStore, change: Callable[[Session], Any]
) -> None:
    """By comparing encodings."""
    with filled.request() as session:
        change(session)
        assert session.modified
        expected = session.copy()
    assert store.pop_calls() == ["load", "save"]
    assert filled.read() == expected


def test_a_value_is_watched_after_it_was_assigned(visitor: Visitor) -> None:
    """The object stays the same, and what is done to it later counts."""
    cart: list[int] = []
    with visitor.request() as session:
        session["cart"] = cart
        cart.append(1)
        assert session["cart"] is cart
    assert visitor.read() == {"cart": [1]}


@pytest.mark.parametrize(
    "nothing",
    [
        lambda s: s["cart"],
        lambda s: s.copy(),
        lambda s: s.__setitem__("number", 1),
        lambda s: s.__setitem__("cart", [{"id": 1}]),
        lambda s: s["cart"].append(s["cart"].pop()),
        lambda s: s.pop("missing", None),
        lambda s: setattr(s, "permanent", False),
        lambda s: s.mutate("number", lambda v: v),
    ],
)
def test_what_changes_nothing_saves_nothing(
    filled: Visitor, store: RecordingStore, nothing: Callable[[Session], Any]
) -> None:
    """Reading, and setting an equal value."""
    with filled.request() as session:
        nothing(session)
    assert store.pop_calls() == ["load"]
    assert filled.set_cookie is None


@pytest.mark.parametrize(
    ("old", "new"), [(1, True), (1, 1.0), ("x", b"x"), ([1], (1,)), (0.0, -0.0)]
)
def test_an_equal_value_of_another_type_is_a_change(visitor: Visitor, old: Any, new: Any) -> None:
    """What is put in comes out with the same type."""
    with visitor.request() as session:
        session["x"] = old
    with visitor.request() as session:
        session["x"] = new
    assert repr(visitor.read()["x"]) == repr(new)


def test_a_write_loads_only_when_it_is_saved(filled: Visitor, store: RecordingStore) -> None:
    """Assigning needs no store."""
    session = filled.open()
    session["x"] = 1
    session.clear()
    session["y"] = session["y2"] = 2
    assert store.pop_calls() == []
    filled.respond(session)
    assert store.pop_calls() == ["load", "save"]
    assert filled.read() == {"y": 2, "y2": 2}


def test_modified_is_taken_and_writes_nothing_that_is_stored(
    filled: Visitor, store: RecordingStore
) -> None:
    """Programs for other libraries set it, Flask-Principal in every request; False is without
    effect."""
    with filled.request() as session:
        session["number"] = 1
        session.modified = False
        session.modified = True
        assert session.modified
    assert store.pop_calls() == ["load"]
    with filled.request() as session:
        session["number"] = 5
        session.modified = False
    assert filled.read()["number"] == 5


@pytest.mark.parametrize(
    ("before", "after"), [(1, True), (1.0, 1), (0.0, -0.0), (None, False), ([1], [True])], ids=repr
)
def test_a_change_of_nothing_but_the_type_is_one_after_a_dismissal(
    filled: Visitor, before: object, after: object
) -> None:
    """``1 == True == 1.0``: what is dismissed is compared with its types."""
    with filled.request() as session:
        session["n"] = before
        dismiss_changes(session)
        session["n"] = after
    assert repr(filled.read()["n"]) == repr(after)


@pytest.mark.parametrize("before", [False, True])
def test_what_is_said_to_be_modified_after_a_dismissal_is_saved(
    filled: Visitor, before: bool
) -> None:
    """The last word counts, whatever was said before it."""
    with filled.request() as session:
        session["number"] = 5
        if before:
            session.modified = True
        dismiss_changes(session)
        session.modified = True
    assert filled.read()["number"] == 5


def test_a_dismissal_ends_with_the_save_of_what_came_after_it(filled: Visitor) -> None:
    """What was dismissed then may be put again later."""
    with filled.request() as session:
        session["number"] = 5
        dismiss_changes(session)
        session["text"] = "later"
        session.save()
        session["number"] = 6
        session.save()
        session["number"] = 5
    assert filled.read()["number"] == 5


# New and empty


def test_a_new_session_that_stays_empty_is_never_stored(
    visitor: Visitor, store: RecordingStore
) -> None:
    """And sends no cookie, whatever else was done with it."""
    with visitor.request() as session:
        assert session.new
        assert len(session.id) == 22
        session["x"] = 1
        del session["x"]
        session.permanent = True
        session.regenerate()
        session.clear()
    assert (store.pop_calls(), visitor.set_cookie) == ([], None)


def test_a_new_session_costs_one_save(visitor: Visitor, store: RecordingStore) -> None:
    """Its cookie is that of the sid the application saw."""
    with visitor.request() as session:
        session["x"] = 1
        sid = session.sid
    assert store.pop_calls() == ["save"]
    assert visitor.cookie.startswith(sid + ".")
    assert not visitor.open().new


@pytest.mark.parametrize("empty", [lambda s: s.clear(), lambda s: [s.pop(key) for key in list(s)]])
def test_a_session_that_becomes_empty_is_deleted(
    filled: Visitor, store: RecordingStore, empty: Callable[[Session], Any]
) -> None:
    """Its cookie is expired, and the record is gone."""
    key = filled.open().id
    store.pop_calls()
    with filled.request() as session:
        empty(session)
    assert len(store.pop_calls()) == 2
    assert filled.set_cookie is not None
    assert "Max-Age=0" in filled.set_cookie
    assert store.inner.load(key) is None


def test_a_login_without_data_is_not_empty(visitor: Visitor) -> None:
    """The owner counts; clear() takes the owner too."""
    with visitor.request() as session:
        session.login("owner")
    assert visitor.open().owner == "owner"
    with visitor.request() as session:
        session.clear()
        assert session.owner is None
    assert visitor.open().new


# Merge and fence


def overlapping(
    visitor: Visitor, one: Callable[[Session], Any], other: Callable[[Session], Any]
) -> tuple[str | None, str | None]:
    """Both requests load, then *other* commits, then *one*; the Set-Cookie of each."""
    first, twin = visitor.open(), visitor.twin()
    second = twin.open()
    first.get("number"), second.get("number")
    one(first), other(second)
    other_cookie = twin.respond(second)
    one_cookie = visitor.respond(first)
    if one_cookie is None and other_cookie is not None:
        visitor.cookie = twin.cookie
    return one_cookie, other_cookie


def test_changes_to_different_keys_both_survive(filled: Visitor, store: RecordingStore) -> None:
    """The later one is merged."""
    overlapping(filled, lambda s: s.update(a=1), lambda s: s.update(b=2))
    content = filled.read()
    assert (content["a"], content["b"], content["number"]) == (1, 2, 1)


def test_of_changes_to_one_key_the_later_commit_wins(filled: Visitor) -> None:
    """A key is the unit of atomicity."""
    overlapping(filled, lambda s: s["cart"].append("mine"), lambda s: s["cart"].append("theirs"))
    assert filled.read()["cart"] == [{"id": 1}, "mine"]


def test_clear_means_keys_that_were_never_seen_too(filled: Visitor) -> None:
    """What the other request added is cleared, what this one put afterwards stays."""

    def clear_and_put(session: Session) -> None:
        session.clear()
        session["mine"] = 1

    overlapping(filled, clear_and_put, lambda s: s.update(theirs=1))
    assert filled.read() == {"mine": 1}


def test_a_deletion_is_merged(filled: Visitor) -> None:
    """Nobody's key comes back."""
    overlapping(filled, lambda s: s.update(a=1), lambda s: s.pop("text"))
    assert "text" not in filled.read()


def test_a_default_that_the_function_changes_is_a_new_one_each_time(filled: Visitor) -> None:
    """However often it is applied: another request has removed the key, and a third value is agreed
    on in between."""
    default: list[int] = []

    def append(values: list[int]) -> list[int]:
        values.append(2)
        return values

    with filled.request() as session:
        assert session.mutate("cart", append, default)[-1] == 2
        with filled.twin().request() as other:
            del other["cart"]
        session.get_or_create("token", str)
        assert session.copy()["cart"] == session.copy()["cart"]
    assert (filled.read()["cart"], default) == ([2], [])


def test_a_login_for_which_nothing_can_be_loaded_changes_nothing(
    filled: Visitor, store: RecordingStore
) -> None:
    """The application that catches the error goes on with the session as it was."""
    session = filled.open()
    store.failing = {"load"}
    with pytest.raises(StoreUnavailable):
        session.login("ann")
    store.failing = set()
    assert not session.modified
    assert filled.respond(session) is None


@pytest.mark.parametrize(
    "refused",
    [
        lambda session: session.get_or_create("new", object),
        lambda session: session.get_or_create("new", lambda: 1 / 0),
        lambda session: session.mutate("new", lambda value: object()),
        lambda session: session.increment("text", object()),
        lambda session: session.update(new=object()),
        lambda session: session.setdefault("new", object()),
    ],
)
def test_what_raises_leaves_the_session_as_it_was(
    filled: Visitor, store: RecordingStore, refused: Callable[[Session], object]
) -> None:
    with filled.request() as session:
        before = session.copy()
        with pytest.raises((UnsupportedValue, ArithmeticError, TypeError)):
            refused(session)
        assert (session.copy(), session.modified) == (before, False)
    assert store.pop_calls() == ["load"]


def test_increments_and_mutations_are_all_applied(filled: Visitor) -> None:
    """The function is run on what the other request left."""
    overlapping(filled, lambda s: s.increment("number", 10), lambda s: s.increment("number"))
    assert filled.read()["number"] == 12
    add: Callable[[Any], Any] = lambda value: [*value, "more"]  # noqa: E731
    overlapping(filled, lambda s: s.mutate("cart", add), lambda s: s.mutate("cart", add))
    assert filled.read()["cart"] == [{"id": 1}, "more", "more"]


def test_a_mutation_builds_on_changes_inside_the_value(filled: Visitor) -> None:
    """What was appended before is part of what the function gets."""
    with filled.request() as session:
        session["cart"].append(2)
        assert session.mutate("cart", lambda cart: [*cart, 3]) == [{"id": 1}, 2, 3]
        session["cart"].append(4)
    assert filled.read()["cart"] == [{"id": 1}, 2, 3, 4]


def test_a_mutation_that_gives_what_cannot_be_kept_is_refused_on_the_line(filled: Visitor) -> None:
    """With key and path; the value is as it was."""
    session = filled.open()
    with pytest.raises(UnsupportedValue, match=r"^cart\[1\]: "):
        session.mutate("cart", lambda cart: [*cart, object()])
    assert session["cart"] == [{"id": 1}]
    assert not session.modified


def test_a_mutation_that_cannot_be_kept_in_a_merge_fails_at_commit(filled: Visitor) -> None:
    """It names the key, and what the other request stored is intact."""
    first, twin = filled.open(), filled.twin()
    first.mutate("number", lambda number: 5 if number == 1 else object())
    with twin.request() as session:
        session["number"] = 2
    with pytest.raises(UnsupportedValue, match=r"^number: "):
        filled.respond(first)
    assert twin.read()["number"] == 2


def test_all_overlapping_requests_agree_on_one_created_value(filled: Visitor) -> None:
    """The first writer's."""
    first, twin = filled.open(), filled.twin()
    second = twin.open()
    assert first.get("csrf") is second.get("csrf") is None
    assert second.get_or_create("csrf", lambda: "theirs") == "theirs"
    assert first.get_or_create("csrf", lambda: "mine") == "theirs"
    assert filled.read()["csrf"] == "theirs"


def test_creating_a_value_saves_that_key_alone(filled: Visitor, store: RecordingStore) -> None:
    """If the application fails later, what it changed otherwise is not saved."""
    session = filled.open()
    session["unsaved"] = [1]
    session["cart"].append("unsaved")
    session.get_or_create("csrf", lambda: "token")
    assert store.pop_calls() == ["load", "save"]
    assert "unsaved" not in filled.read()
    assert filled.read()["cart"] == [{"id": 1}]
    session["unsaved"].append(2)
    store.pop_calls()
    filled.respond(session)
    assert store.pop_calls() == ["save"]
    content = filled.read()
    assert (content["unsaved"], content["cart"], content["csrf"]) == (
        [1, 2], [{"id": 1}, "unsaved"], "token",
    )  # fmt: skip


def test_creating_a_value_where_another_request_was_faster(
    filled: Visitor, store: RecordingStore
) -> None:
    """A save that is refused and a load, and nothing is left to save."""
    first, twin = filled.open(), filled.twin()
    assert "csrf" not in first
    with twin.request() as session:
        session["csrf"] = "theirs"
    store.pop_calls()
    assert first.get_or_create("csrf", lambda: "mine") == "theirs"
    assert store.pop_calls() == ["save", "load"]
    assert filled.respond(first) is None
    assert store.pop_calls() == []


def test_creating_a_value_sends_no_cookie_to_who_has_one(filled: Visitor) -> None:
    """It neither renews nor regenerates."""
    with filled.request() as session:
        session.get_or_create("csrf", lambda: "token")
    assert filled.set_cookie is None


def test_a_value_created_where_nothing_can_be_saved_is_the_requests_own(filled: Visitor) -> None:
    """It can be used like any other until the request ends."""
    first, twin = filled.open(), filled.twin()
    assert first["number"] == 1
    with twin.request() as session:
        session.regenerate()
    made = first.get_or_create("late", list)
    made.append(1)
    assert first["late"] is made
    assert filled.respond(first) is None
    assert "late" not in twin.read()


def test_a_created_value_that_is_there_costs_nothing(
    filled: Visitor, store: RecordingStore
) -> None:
    """The factory is not called."""
    with filled.request() as session:
        assert session.get_or_create("number", pytest.fail) == 1
    assert store.pop_calls() == ["load"]


def test_creating_a_value_in_a_new_session_makes_the_session(
    visitor: Visitor, store: RecordingStore
) -> None:
    """And the cookie goes out with the headers."""
    with visitor.request() as session:
        assert session.get_or_create("csrf", lambda: "token") == "token"
        assert store.pop_calls() == ["save"]
    assert store.pop_calls() == []
    assert visitor.set_cookie is not None
    assert visitor.read() == {"csrf": "token"}


@pytest.mark.parametrize("removed", [lambda s: s.clear(), lambda s: s.pop("number")])
def test_creating_a_value_that_this_request_removed(
    filled: Visitor, removed: Callable[[Session], Any]
) -> None:
    """The removal comes first."""
    with filled.request() as session:
        removed(session)
        assert session.get_or_create("number", lambda: 7) == 7
    assert filled.read()["number"] == 7


FENCES: list[Callable[[Session], Any]] = [
    lambda s: s.regenerate(),
    lambda s: s.login("owner"),
    lambda s: s.invalidate(),
    lambda s: s.clear(),
]


@pytest.mark.parametrize("fence", FENCES)
@pytest.mark.parametrize(
    "late",
    [
        lambda s: s.update(late=1),
        lambda s: s.increment("number"),
        lambda s: s.get_or_create("late", int),
        lambda s: s.regenerate(),
        lambda s: s.clear(),
        lambda s: setattr(s, "permanent", True),
    ],
)
def test_a_superseded_request_changes_nothing_and_sends_no_cookie(
    filled: Visitor,
    caplog: pytest.LogCaptureFixture,
    fence: Callable[[Session], Any],
    late: Callable[[Session], Any],
) -> None:
    """After a login, a regeneration, a logout or an emptying, with one line in the log."""
    first, twin = filled.open(), filled.twin()
    assert first["number"] == 1
    id = first.id
    with twin.request() as session:
        fence(session)
    after = twin.read()
    caplog.clear()
    late(first)
    assert filled.respond(first) is None
    assert twin.read() == after
    assert [record.name for record in caplog.records] == ["wsgi_sessions.security"]
    assert caplog.messages == [f"session {id}: changes of a superseded request were dropped"]


def test_an_superseded_session_can_still_be_used(filled: Visitor) -> None:
    """After the save that was refused, until the request ends."""
    first, twin = filled.open(), filled.twin()
    first["late"] = first["number"]
    with twin.request() as session:
        session.regenerate()
        session["number"] = 2
    first.save()
    first["later"] = [1]
    first["later"].append(2)
    assert (first["later"], "late" in first, first.modified) == ([1, 2], False, True)
    first.save()
    assert filled.respond(first) is None
    assert "later" not in twin.read()


@pytest.mark.parametrize("fence", FENCES)
def test_the_old_cookie_is_dead(
    filled: Visitor, clock: ManualClock, fence: Callable[[Session], Any]
) -> None:
    """At once and for ever."""
    old = filled.twin()
    with filled.request() as session:
        fence(session)
    for _ in range(3):
        assert old.read() == {}
        assert old.open().owner is None
        clock.advance(20)


@pytest.mark.parametrize("fence", FENCES[:2])
def test_a_superseded_cookie_reads_empty_and_sets_no_cookie(
    filled: Visitor, clock: ManualClock, store: RecordingStore, fence: Callable[[Session], Any]
) -> None:
    """For 30 seconds: a request in flight must not overwrite the cookie of the login."""
    old = filled.twin()
    with filled.request() as session:
        fence(session)
    content = filled.read()
    clock.advance(29)
    store.pop_calls()
    with old.request() as session:
        assert session.copy() == {}
        assert session.id != filled.open().id
        session["x"] = 1
        assert session.get_or_create("token", lambda: 1) == 1
    assert old.set_cookie is None
    with old.request() as session:
        session.invalidate()
        session["x"] = 1
        assert session.get_or_create("token", lambda: 2) == 2
    assert old.set_cookie is None
    with old.request() as session:
        assert session.copy() == {}
        session.invalidate()
        session["x"] = 1
    assert old.set_cookie is None
    assert "save" not in store.pop_calls()
    assert filled.read() == content


def test_what_a_superseded_cookie_changes_is_logged(
    filled: Visitor, caplog: pytest.LogCaptureFixture
) -> None:
    """By the id of the session it was for; reading is not."""
    old, id = filled.twin(), filled.open().id
    with filled.request() as session:
        session.regenerate()
    assert old.read() == {}
    assert caplog.messages == []
    with old.request() as session:
        session["x"] = 1
    assert caplog.messages == [f"session {id}: changes of a superseded request were dropped"]


def test_a_superseded_cookie_is_anonymous_later(filled: Visitor, clock: ManualClock) -> None:
    """It may then begin a new session."""
    old = filled.twin()
    with filled.request() as session:
        session.regenerate()
    clock.advance(30)
    with old.request() as session:
        assert session.copy() == {}
        session["x"] = 1
    assert old.set_cookie is not None
    assert old.open().id != filled.open().id


# Regenerate, login, invalidate


def test_regenerating_keeps_id_and_data(filled: Visitor, store: RecordingStore) -> None:
    """The secret is new; two round trips."""
    before = filled.open()
    id, sid, content = before.id, before.sid, before.copy()
    store.pop_calls()
    with filled.request() as session:
        session.regenerate()
        announced = session.sid
    assert store.pop_calls() == ["load", "save"]
    session = filled.open()
    assert (session.id, session.copy()) == (id, content)
    assert session.sid == announced != sid
    assert filled.cookie.startswith(announced)


def test_a_login_notes_the_owner(filled: Visitor, clock: ManualClock) -> None:
    """And starts the absolute clock again."""
    clock.advance(100)
    with filled.request() as session:
        assert session.owner is None
        session.login("42")
        assert session.owner == "42"
        session["user"] = 42
    session = filled.open()
    assert (session.owner, session.created_at, session["user"]) == ("42", clock(), 42)
    assert session["number"] == 1


@pytest.mark.parametrize("owner", ["", None, 42, b"x"])
def test_an_owner_is_a_non_empty_str(visitor: Visitor, owner: Any) -> None:
    """The error says what to write."""
    with pytest.raises(TypeError, match=r"login\(str\(user.id\)\)"):
        visitor.open().login(owner)


def test_invalidating_ends_the_session(filled: Visitor, store: RecordingStore) -> None:
    """Record deleted, cookie expired; a load and a delete."""
    key = filled.open().id
    store.pop_calls()
    with filled.request() as session:
        session["before"] = 1
        session.invalidate()
        assert session.copy() == {}
        assert session.new
    assert store.pop_calls() == ["load", "delete"]
    assert filled.set_cookie is not None
    assert "Max-Age=0" in filled.set_cookie
    assert store.inner.load(key) is None


def test_an_invalidated_session_goes_on_as_a_new_one(
    filled: Visitor, store: RecordingStore
) -> None:
    """What is put in afterwards gets a new id and a cookie."""
    old, key = filled.twin(), filled.open().id
    with filled.request() as session:
        assert session["number"] == 1
        session.invalidate()
        session.invalidate()
        session["flash"] = "bye"
        assert session.id != key
    assert filled.read() == {"flash": "bye"}
    assert filled.open().id != key
    assert old.read() == {}


def test_an_invalidated_session_can_be_saved_at_once(
    filled: Visitor, store: RecordingStore
) -> None:
    """Then nothing is left to do; the cookie is expired with the headers."""
    with filled.request() as session:
        session.invalidate()
        session.save()
        assert store.pop_calls() == ["load", "delete"]
        assert not session.modified
    assert store.pop_calls() == []
    assert filled.set_cookie is not None
    assert "Max-Age=0" in filled.set_cookie


def test_a_new_session_begins_now(visitor: Visitor, clock: ManualClock) -> None:
    """Stored or not, and after invalidate() again."""
    clock.advance(5)
    session = visitor.open()
    assert session.created_at == clock()
    session["x"] = 1
    visitor.respond(session)
    began = clock()
    clock.advance(5)
    session = visitor.open()
    assert session.created_at == began
    session.invalidate()
    assert session.created_at == clock()


def test_invalidating_what_never_was_costs_nothing(visitor: Visitor, store: RecordingStore) -> None:
    """No call, no cookie."""
    with visitor.request() as session:
        session["x"] = 1
        session.invalidate()
    assert (store.pop_calls(), visitor.set_cookie) == ([], None)


def test_permanent_is_an_attribute_of_the_cookie(filled: Visitor, store: RecordingStore) -> None:
    """It is sent when that changes, and not again."""
    for value, attribute in ((True, True), (False, False)):
        with filled.request() as session:
            session.permanent = value
            assert session.permanent is value
        assert filled.set_cookie is not None
        assert ("Max-Age" in filled.set_cookie) is attribute
        with filled.request() as session:
            session.permanent = value
            session["other"] = value
        assert filled.set_cookie is None
        assert filled.open().permanent is value


def test_sessions_can_begin_permanent(store: RecordingStore, clock: ManualClock) -> None:
    """Also those that are made or go on after ``clear()``; the session itself has the last word."""
    visitor = Visitor(SessionManager(store, secret="s", clock=clock, permanent=True))
    for clear in (False, True, True):
        with visitor.request() as session:
            assert session.permanent is True
            if clear:
                session.clear()
            session["user"] = "u"
        assert visitor.open().permanent is True
    with visitor.request() as session:
        session.permanent = False
    with visitor.request() as session:
        session["user"] = "v"
    assert visitor.open().permanent is False


@pytest.mark.parametrize("begins", [False, True])
@pytest.mark.parametrize("was", [False, True])
@pytest.mark.parametrize("asked", [None, False, True])
def test_a_login_of_another_owner_is_as_permanent_as_this_request_says(
    store: RecordingStore, clock: ManualClock, begins: bool, was: bool, asked: bool | None
) -> None:
    """Or as new sessions are; what the former owner wanted does not count."""
    visitor = Visitor(SessionManager(store, secret="s", clock=clock, permanent=begins))
    with visitor.request() as session:
        session.login("ann")
        session.permanent = was
    with visitor.request() as session:
        if asked is not None:
            session.permanent = asked
        session.login("bob")
    session = visitor.open()
    assert (session.owner, session.permanent) == ("bob", begins if asked is None else asked)


# save()


def test_save_commits_now(visitor: Visitor, store: RecordingStore) -> None:
    """The cookie goes out at the end; later changes are one more save."""
    with visitor.request() as session:
        session["a"] = [1]
        session.save()
        session.save()
        assert store.pop_calls() == ["save"]
        assert not session.modified
        session["a"].append(2)
    assert store.pop_calls() == ["save"]
    assert visitor.set_cookie is not None
    assert visitor.read() == {"a": [1, 2]}


def test_a_renewal_is_saved_once(
    filled: Visitor, store: RecordingStore, clock: ManualClock
) -> None:
    """Also if the application calls save() itself."""
    clock.advance(10_000)
    with filled.request() as session:
        assert session["number"] == 1
        session.save()
        session.save()
    assert store.pop_calls() == ["load", "save"]
    assert filled.set_cookie is not None


@pytest.mark.parametrize("fence", FENCES)
def test_a_cookie_that_save_promised_is_not_sent_if_a_login_came_after_it(
    filled: Visitor, clock: ManualClock, fence: Callable[[Session], Any]
) -> None:
    """The renewed cookie would overwrite the login's."""
    clock.advance(10_000)
    first, twin = filled.open(), filled.twin()
    assert first["number"] == 1
    first.save()
    with twin.request() as session:
        fence(session)
    first["late"] = 1
    assert filled.respond(first) is None


def test_after_a_save_reads_see_what_was_merged(filled: Visitor) -> None:
    """The other request's keys and counts."""
    first, twin = filled.open(), filled.twin()
    assert first.increment("number") == 2
    with twin.request() as session:
        session.increment("number")
        session["theirs"] = 1
        del session["text"]
    assert first["text"] == "x"
    first.save()
    assert (first["number"], first["theirs"], "text" in first) == (3, 1, False)
    first.increment("number")
    filled.respond(first)
    assert filled.read()["number"] == 4


def test_after_a_regeneration_was_saved_more_can_be(filled: Visitor) -> None:
    """The request goes on under its own new secret."""
    with filled.request() as session:
        session.regenerate()
        session.save()
        session["more"] = 1
    assert filled.read()["more"] == 1


# Faults


def test_a_failed_load_is_an_error_and_not_an_empty_session(
    filled: Visitor, store: RecordingStore
) -> None:
    """When it works again, so does the session."""
    store.failing = {"load"}
    session = filled.open()
    for look in (lambda: session["number"], lambda: "x" in session, lambda: len(session)):
        with pytest.raises(StoreUnavailable):
            look()
    store.failing = set()
    assert session["number"] == 1


def test_an_undecodable_value_costs_the_session_once(
    store: RecordingStore, clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    """The visitor is anonymous, the log says so, and a new session can begin."""

    class Picky(MsgpackCodec):
        def loads(self, data: bytes) -> Any:
            raise ValueError("of a newer version")

    options: dict[str, Any] = {"secret": "x", "clock": clock}
    visitor = Visitor(SessionManager(store, **options))
    with visitor.request() as session:
        session["x"] = [1]
    picky = Visitor(SessionManager(store, codec=Picky(), **options), visitor.cookie)
    with picky.request() as session:
        assert session.get("x") is None
        assert session.new
        assert "x" not in session
        session["y"] = 2
    assert "cannot be decoded" in caplog.text
    assert Visitor(visitor.manager, picky.cookie).read() == {"y": 2}
    assert visitor.read() == {"x": [1]}


class Older(MsgpackCodec):
    """Cannot decode what a newer version has put."""

    def loads(self, data: bytes) -> Any:
        value = super().loads(data)
        if value == ["newer"]:
            raise ValueError("of a newer version")
        return value


@pytest.fixture
def older(store: RecordingStore, clock: ManualClock) -> Visitor:
    """A visitor with a value that cannot be decoded."""
    visitor = Visitor(SessionManager(store, secret="x" * 16 * 16, clock=clock))
    with visitor.request() as session:
        session.update(n=["newer"], other=1)
    manager = SessionManager(store, secret="x" * 16 * 16, clock=clock, codec=Older())
    return Visitor(manager, visitor.cookie)


def test_an_undecodable_value_is_missing(
    older: Visitor, clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    """The error names the key, the log the session."""
    session = older.open()
    id = session.id
    clock.advance(5)
    with pytest.raises(KeyError, match="'n'"):
        session["n"]
    assert session.created_at == clock()
    assert older.open().get("n", 5) == 5
    assert caplog.messages == [f"session {id}: a value of the record cannot be decoded"] * 2


def test_mutating_an_undecodable_value_begins_with_the_default(older: Visitor) -> None:
    """In a new session, as reading it would."""
    with older.request() as session:
        assert session.increment("n") == 1
    assert older.read() == {"n": 1}


# After the headers


def test_a_change_after_the_headers_needs_a_session_that_has_a_cookie(
    visitor: Visitor, store: RecordingStore
) -> None:
    """A new one raises on the line."""
    session = visitor.open()
    session._state.phase = Phase.SENT
    assert session.copy() == {}
    with pytest.raises(SessionClosed, match="headers have been sent"):
        session["x"] = 1
    assert store.pop_calls() == []


def test_a_change_after_the_headers_of_a_stored_session_is_saved(filled: Visitor) -> None:
    """By the commit at the end."""
    session = filled.open()
    session._state.phase = Phase.SENT
    session["x"] = 1
    session.permanent = False
    session.save()
    assert filled.read()["x"] == 1


@pytest.mark.parametrize(
    "needs_cookie",
    [
        lambda s: s.regenerate(),
        lambda s: s.login("o"),
        lambda s: s.invalidate(),
        lambda s: setattr(s, "permanent", True),
    ],
)
def test_what_needs_a_cookie_is_refused_after_the_headers(
    filled: Visitor, needs_cookie: Callable[[Session], Any]
) -> None:
    """It could not be sent any more."""
    session = filled.open()
    session._state.phase = Phase.SENT
    with pytest.raises(SessionClosed, match="cookie"):
        needs_cookie(session)


def test_nothing_can_be_changed_when_the_request_is_over(filled: Visitor) -> None:
    """Reading what was loaded still works."""
    session = filled.open()
    assert session["number"] == 1
    session._state.phase = Phase.OVER
    assert session["number"] == 1
    with pytest.raises(SessionClosed, match="request is over"):
        session["x"] = 1


@pytest.mark.parametrize(
    ("change", "stored", "why"),
    [
        (lambda s: s.update(x=1), False,
         "a new session needs a cookie: store something, or call save(), earlier"),
        (lambda s: s.regenerate(), True, "a new secret needs a cookie"),
        (lambda s: s.login("o"), True, "a new secret needs a cookie"),
        (lambda s: s.invalidate(), True, "the cookie has to be expired"),
        (lambda s: setattr(s, "permanent", True), True, "permanent is an attribute of the cookie"),
    ],
)  # fmt: skip
def test_a_change_that_comes_too_late_says_why(
    visitor: Visitor, change: Callable[[Session], Any], stored: bool, why: str
) -> None:
    """What it would need, or that nothing can be done any more."""
    if stored:
        with visitor.request() as session:
            session["x"] = 1
    session = visitor.open()
    for phase, reason in (
        (Phase.SENT, f"the response headers have been sent, and {why}"),
        (Phase.OVER, "the request is over, and nothing can be saved any more"),
    ):
        session._state.phase = phase
        with pytest.raises(SessionClosed) as caught:
            change(session)
        assert str(caught.value) == reason


def test_repr_shows_neither_values_nor_sid(filled: Visitor) -> None:
    """Loaded or not."""
    session = filled.open()
    sid = session.sid
    session["password"] = "hunter2"
    text = repr(session) + str(session)
    assert repr(session) == "<Session: loaded>"
    assert sid not in text
    assert sid[22:] not in text
    assert "hunter2" not in text


def test_a_session_is_freed_with_its_request(filled: Visitor) -> None:
    """No cycles: nothing is left for the collector."""

    def alive() -> set[int]:
        """Ours; others may have been left by tests that failed on purpose, and go meanwhile."""
        return {id(one) for one in gc.get_objects() if type(one) in (Session, Draft, Snapshot)}

    gc.collect()
    gc.disable()
    try:
        before = alive()
        with filled.request() as session:
            session["cart"].append(1)
            session.increment("number")
            assert alive() - before
        del session
        assert not alive() - before
    finally:
        gc.enable()
