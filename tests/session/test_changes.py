"""The merge, as a law."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from wsgi_sessions.record.stored_value import StoredValue
from wsgi_sessions.session.changes import MISSING, Changes


def encode(key: str, value: Any) -> StoredValue:
    """``None`` for 0: it is a value as any other."""
    return json.dumps(value).encode() if value else None


def decode(data: Any) -> Any:
    return 0 if data is None else json.loads(data)


keys = st.sampled_from("abc")
values = st.dictionaries(keys, st.integers(0, 9).map(lambda n: encode("", n)))
steps = st.lists(
    st.one_of(
        st.tuples(st.just("put"), keys, st.integers(0, 9)),
        st.tuples(st.just("delete"), keys, st.just(0)),
        st.tuples(st.just("add"), keys, st.integers(1, 9)),
        st.tuples(st.just("clear"), st.just(""), st.just(0)),
    ),
    max_size=8,
)
Step = tuple[str, str, int]


def adding(number: int) -> Callable[[int], int]:
    return lambda value: value + number


def changes_of(program: list[Step], stored: dict[str, StoredValue]) -> Changes:
    """What a request notes that runs *program* having seen *stored*."""
    changes = Changes()
    for step, key, number in program:
        if step == "put":
            changes.put(key, encode(key, number))
        elif step == "delete":
            changes.delete(key)
        elif step == "add":
            changes.mutate(key, adding(number), 100, stored.get(key, MISSING), decode, encode)
        else:
            changes.clear()
    return changes


def run(program: list[Step], stored: dict[str, StoredValue]) -> dict[str, int]:
    """The same program on a plain dict."""
    plain = {key: decode(data) for key, data in stored.items()}
    for step, key, number in program:
        if step == "put":
            plain[key] = number
        elif step == "delete":
            plain.pop(key, None)
        elif step == "add":
            plain[key] = plain.get(key, 100) + number
        else:
            plain.clear()
    return plain


def decoded(stored: dict[str, StoredValue]) -> dict[str, int]:
    return {key: decode(data) for key, data in stored.items()}


@given(steps, values, values)
@example([("put", "b", 0)], {}, {"a": b"1"})
def test_a_merge_is_the_program_run_on_what_is_there_now(
    program: list[Step], seen: dict[str, StoredValue], now: dict[str, StoredValue]
) -> None:
    """Whatever the request had seen before."""
    changes = changes_of(program, seen)
    assert decoded(changes.apply(now, decode, encode)) == run(program, now)


@given(steps, values, values)
@example([("delete", "a", 0), ("put", "a", 1)], {}, {"a": b"1"})
@example([("delete", "b", 0), ("put", "a", 1)], {}, {"a": b"1"})
def test_a_merge_that_changes_nothing_is_what_is_there(
    program: list[Step], seen: dict[str, StoredValue], now: dict[str, StoredValue]
) -> None:
    """The same dict: so it is known that there is nothing to write. The order alone is nothing."""
    merged = changes_of(program, seen).apply(now, decode, encode)
    assert (merged is now) is (merged == now)


@given(steps, values)
def test_a_request_sees_its_own_changes(program: list[Step], seen: dict[str, StoredValue]) -> None:
    """Key by key and as a whole."""
    changes = changes_of(program, seen)
    expected = run(program, seen)
    for key in "abc":
        data: Any = changes.current(key, seen.get(key, MISSING))
        assert (None if data is MISSING else decode(data)) == expected.get(key)
    view = decoded(changes.apply(seen, decode, encode, ordered=True))
    assert list(view.items()) == list(expected.items())


@given(steps, values)
def test_what_is_there_is_never_changed_in_place(
    program: list[Step], stored: dict[str, StoredValue]
) -> None:
    """The record before the change stays as it was."""
    before = stored.copy()
    changes_of(program, stored).apply(stored, decode, encode)
    assert stored == before


@given(steps, steps, values)
def test_requests_that_change_different_keys_commute(
    one: list[Step], other: list[Step], stored: dict[str, StoredValue]
) -> None:
    """Both survive, in either order."""
    first = changes_of([step for step in one if step[1] == "a"], stored)
    second = changes_of([step for step in other if step[1] in ("b", "c")], stored)
    assert first.apply(second.apply(stored, decode, encode), decode, encode) == second.apply(
        first.apply(stored, decode, encode), decode, encode
    )


def test_a_function_is_called_again_only_if_its_key_was_changed() -> None:
    """Once now, not again in a merge that finds the same value, once more for another value."""
    called: list[int] = []

    def count(value: int) -> int:
        called.append(value)
        return value + 1

    changes = Changes()
    changes.mutate("a", count, 0, b"1", decode, encode)
    assert called == [1]
    assert changes.apply({"a": b"1", "b": b"7"}, decode, encode) == {"a": b"2", "b": b"7"}
    assert called == [1]
    assert changes.apply({"a": b"5"}, decode, encode) == {"a": b"6"}
    assert called == [1, 5]


@pytest.mark.parametrize(
    "before",
    [lambda changes: changes.clear(), lambda c: c.put("a", b"1"), lambda c: c.delete("a")],
)
def test_a_function_after_a_put_or_a_removal_is_called_once(
    before: Callable[[Changes], None],
) -> None:
    """Whatever is there: it does not depend on that."""
    called: list[int] = []

    def count(value: int) -> int:
        called.append(value)
        return value + 1

    changes = Changes()
    before(changes)
    changes.mutate("a", count, 0, b"7", decode, encode)
    for there in ({"a": b"7"}, {"a": b"9"}, {}):
        changes.apply(there, decode, encode)
    assert len(called) == 1


def test_a_function_begins_with_its_default_if_the_key_was_removed_meanwhile() -> None:
    """As it does where there never was one."""
    changes = changes_of([("add", "a", 1)], {"a": b"5"})
    assert changes.apply({}, decode, encode) == {"a": b"101"}


def test_all_functions_of_a_key_are_applied_in_a_merge() -> None:
    """In their order, beginning with what was put before them."""
    changes = changes_of([("add", "a", 1), ("add", "a", 2), ("put", "b", 5), ("add", "b", 1)], {})
    assert decoded(changes.apply({"a": b"7", "b": b"7"}, decode, encode)) == {"a": 10, "b": 6}


def test_a_merge_goes_by_what_the_first_function_was_given() -> None:
    """Another request may have left just what this one had after its first function."""
    changes = changes_of([("add", "a", 1), ("add", "a", 2)], {"a": b"5"})
    assert decoded(changes.apply({"a": b"6"}, decode, encode)) == {"a": 9}


def test_a_function_that_raises_changes_nothing() -> None:
    """The key is as it was."""
    changes = Changes()
    with pytest.raises(TypeError):
        changes.mutate("a", lambda value: value["no"], 0, b"1", decode, encode)
    assert not changes


def take(value: list[int]) -> object:
    """Take the first item; with the last one goes the key."""
    return value[1:] or MISSING


def test_a_function_may_remove_its_key() -> None:
    """In a merge it decides anew, by what is there then."""
    changes = Changes()
    assert changes.mutate("a", take, [], b"[1]", decode, encode) is MISSING
    assert changes.current("a", b"[1]") is MISSING
    assert changes.apply({"a": b"[1]", "b": b"7"}, decode, encode) == {"b": b"7"}
    assert decoded(changes.apply({"a": b"[1, 2]"}, decode, encode)) == {"a": [2]}
    assert changes.apply({}, decode, encode) == {}


def test_a_function_after_one_that_has_removed_the_key_begins_with_its_default() -> None:
    changes = Changes()
    changes.mutate("a", take, [], b"[1]", decode, encode)
    changes.mutate("a", lambda value: [*value, 9], [], b"[1]", decode, encode)
    assert decoded(changes.apply({"a": b"[1]"}, decode, encode)) == {"a": [9]}
    assert decoded(changes.apply({"a": b"[1, 2]"}, decode, encode)) == {"a": [2, 9]}


def test_changes_are_something_once_a_key_or_all_of_them_are_changed() -> None:
    changes = Changes()
    assert not changes
    changes.put("a", 1)
    assert changes
    cleared = Changes()
    cleared.clear()
    assert cleared


def test_what_is_deleted_or_forgotten_is_not_computed_again() -> None:
    """Nor is it put."""

    def loads(data: Any) -> Any:
        return data

    def dumps(_key: str, value: Any) -> Any:
        return value

    for undo in (Changes.delete, Changes.forget):
        changes = Changes()
        changes.mutate("n", lambda value: value + 1, 0, 1, loads, dumps)
        undo(changes, "n")
        values = {"n": 1} if undo is Changes.forget else {}
        assert changes.apply({"n": 1}, loads, dumps) == values
        assert not changes.computed
    changes = Changes()
    changes.put("n", 2)
    changes.forget("n")
    assert not changes.results
