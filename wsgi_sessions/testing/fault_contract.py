"""The rules for a store whose server fails, which are part of the contract suite.

A fault is made by a fixture of the store's author, who knows its server. Whose fixture is left out,
because the store has nothing that can fail so, is skipped by name.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable, Iterator
from contextlib import AbstractContextManager
from typing import NoReturn

import pytest

from wsgi_sessions.errors import StoreUnavailable
from wsgi_sessions.stores import OwnerIndex, Purgeable, Store, Stored, place_of
from wsgi_sessions.testing.material import TimedContract, new_key, together

__all__ = ["FaultContract"]

THREADS = 4
RECOVERY_SECONDS = 30
KEYS = 1_000
"""Among so many there are some of each of several servers."""

Faulty = Callable[[], AbstractContextManager[object]]
Stopped = Callable[[Hashable], AbstractContextManager[object]]


def _left_out(name: str, what: str) -> NoReturn:
    pytest.skip(f"the fixture {name!r} is left out: {what}")


class Place:
    """A store with a record, and what is done to it."""

    def __init__(self, store: Store, later: float) -> None:
        self.store: Store = store
        self.later: float = later
        self.key: str = new_key()
        self.version: Hashable | None = self.create(self.key, b"old")
        assert self.version is not None

    def create(self, key: str, data: bytes) -> Hashable | None:
        return self.store.save(key, data, expires_at=self.later, replacing=None)

    def replace(self, data: bytes, *, expires_at: float | None = None) -> Hashable | None:
        end = self.later if expires_at is None else expires_at
        return self.store.save(self.key, data, expires_at=end, replacing=self.version)

    def delete(self) -> str:
        self.store.delete(self.key)
        return "done"

    def data(self) -> bytes | None:
        found = self.store.load(self.key)
        return found and found.data

    def use_several_connections(self) -> None:
        """By threads that are in the store at the same moment, as those of a busy worker are."""
        together(THREADS, lambda _: [self.store.load(self.key) for _ in range(5)])

    def operations(self) -> dict[str, Callable[[], object]]:
        """All that the store can do."""
        store, key = self.store, self.key
        found: dict[str, Callable[[], object]] = {
            "load": lambda: store.load(key),
            "load of nothing": lambda: store.load(new_key()),
            "create": lambda: self.create(new_key(), b"new"),
            "replace": lambda: self.replace(b"new"),
            "end": lambda: self.replace(b"", expires_at=0.0),
            "delete": lambda: store.delete(key),
        }
        if isinstance(store, OwnerIndex):
            found["save_owned"] = lambda: store.save_owned(
                *(key, b"new"),
                expires_at=self.later,
                replacing=self.version,
                owner="ann",
                was=None,
            )
            found["keys_of"] = lambda: store.keys_of("ann")
        if isinstance(store, Purgeable):
            found["purge"] = store.purge
        return found


def records(store: Store, later: float) -> Iterator[Place]:
    """More and more of them."""
    for _ in range(KEYS):
        yield Place(store, later)


class Places:
    """Where a store over several servers keeps what; *stopped* stops one."""

    def __init__(self, store: Store, stopped: Stopped) -> None:
        of = place_of(store)
        assert of is not None, "the store has no place_of, by which others know its servers"
        self.of: Callable[[str], Hashable] = of
        self.stopped: Stopped = stopped

    def key_beside(self, place: Hashable) -> str:
        """A key that another server has."""
        return next(key for key in (new_key() for _ in range(KEYS)) if self.of(key) != place)


def unavailable(operation: Callable[[], object], what: str) -> StoreUnavailable:
    """What *operation* raises, which has to be that."""
    try:
        answer = operation()
    except StoreUnavailable as error:
        return error
    raise AssertionError(f"{what} gave {answer!r} and not StoreUnavailable")


def assert_unavailable(operations: dict[str, Callable[[], object]]) -> None:
    """Of each, all at the same moment; and that the server is gone, not busy."""

    def check(number: int) -> None:
        name = list(operations)[number]
        error = unavailable(operations[name], name)
        assert not error.busy, f"{name} says busy, of a server that is gone"

    together(len(operations), check)


def answered(load: Callable[[], Stored | None]) -> Stored | None:
    """What *load* returns as soon as the store is found again."""
    deadline = time.monotonic() + RECOVERY_SECONDS
    while True:
        try:
            return load()
        except StoreUnavailable:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.02)


def outcome_of(operation: Callable[[], object]) -> object:
    """What it returns, or the exception that says that the store is unavailable."""
    try:
        return operation()
    except StoreUnavailable as error:
        return error


def assert_true(
    outcome: object, place: Place, before: bytes | None = b"old", after: bytes | None = b"new"
) -> None:
    """What a save that nobody else disturbs has said is how it is."""
    assert outcome is not None, "a save was called refused, of which nobody knows"
    found = answered(lambda: place.store.load(place.key))
    data = found and found.data
    if not isinstance(outcome, StoreUnavailable):
        assert data == after
        assert found is None or found.version == outcome
    elif outcome.applied is False:
        assert data == before, "a save that was done says that it was not"
    else:
        assert data in (before, after)


class FaultContract(TimedContract):
    """Rules for when something fails; see the fixtures for what has to be made to fail."""

    @pytest.fixture
    def forget_connections(self) -> Callable[[], object]:
        """When it is called, nothing passes any more over the connections that are open, and
        nobody is informed, as by a firewall; new ones are served."""
        _left_out("forget_connections", "the store keeps no connections")

    @pytest.fixture
    def stopped(self) -> Faulty:
        """Within the ``with`` statement connections to the server are refused, and those that were
        open are closed. What is stored survives that."""
        _left_out("stopped", "the store has no server that may be gone")

    @pytest.fixture
    def unwritable(self) -> Faulty:
        """Within the ``with`` statement no record can be replaced, because there is no space,
        somebody holds a lock, or the server is a replica; all of them can be read."""
        _left_out("unwritable", "whoever can read the store can write to it")

    @pytest.fixture
    def lose_answer(self) -> Callable[[], object]:
        """After its call the next answer of the server does not arrive, as the connection breaks
        before it; what was asked for is done."""
        _left_out("lose_answer", "the store is not asked over a connection")

    @pytest.fixture
    def stopped_place(self) -> Stopped:
        """Within the ``with`` statement the server that the store's ``place_of`` calls by the
        argument does not answer, and the others do."""
        _left_out("stopped_place", "the store has one server")

    @pytest.fixture
    def place(self, store: Store, later: float) -> Place:
        return Place(store, later)

    # -- connections that died without a word

    def test_a_load_over_a_forgotten_connection_succeeds(
        self, place: Place, forget_connections: Callable[[], object]
    ) -> None:
        """It goes once more, over a new connection; and of several that lay idle none is tried
        after that, so that a save, which may not be sent twice, finds none of them."""
        place.use_several_connections()
        forget_connections()
        assert place.store.load(place.key) == (b"old", place.version)
        assert place.replace(b"new") is not None
        assert place.data() == b"new"

    def test_a_save_over_a_forgotten_connection_costs_no_other_operation(
        self, place: Place, forget_connections: Callable[[], object]
    ) -> None:
        """It may fail itself, since it may have been done; it is not done in part."""
        place.use_several_connections()
        forget_connections()
        outcome = outcome_of(lambda: place.replace(b"new"))
        assert_true(outcome, place)
        found = place.store.load(place.key)
        assert found is not None
        place.version = found.version
        assert place.replace(b"newer") is not None
        place.store.delete(place.key)
        assert place.store.load(place.key) is None

    # -- a server that is gone

    def test_an_outage_is_not_an_answer(self, place: Place, stopped: Faulty) -> None:
        """Nothing is missing and nothing is refused: each operation is unavailable, and the store
        is not there and busy. Afterwards the record is as it was."""
        place.use_several_connections()
        with stopped():
            assert_unavailable(place.operations())
        assert answered(lambda: place.store.load(place.key)) == (b"old", place.version)
        assert place.replace(b"new") is not None

    def test_what_could_not_be_sent_was_not_applied(self, place: Place, stopped: Faulty) -> None:
        """A save says so, so that an outage takes nobody's cookie; at the latest the second one,
        since the first may find out only by its connection's end that the server is gone."""
        with stopped():
            errors = [unavailable(lambda: place.replace(b"new"), "replace") for _ in range(2)]
            assert errors[1].applied is False
        answered(lambda: place.store.load(place.key))
        for error in errors:
            if error.applied is False:
                assert place.data() == b"old"

    # -- what cannot be written

    def test_what_cannot_be_written_can_be_read(self, place: Place, unwritable: Faulty) -> None:
        """A save that is not possible says that it was not done, and that the store is there."""
        with unwritable():
            for _ in range(2):
                error = unavailable(lambda: place.replace(b"new"), "replace")
                assert error.busy
                assert error.applied is False
                assert place.store.load(place.key) == (b"old", place.version)
                assert place.store.load(new_key()) is None
        assert place.replace(b"new") is not None
        assert place.data() == b"new"

    def test_what_cannot_be_written_is_not_called_refused(
        self, place: Place, unwritable: Faulty
    ) -> None:
        """Of every other write too: it is done, or it says that it was not."""
        store, later = place.store, place.later
        new, ended, deleted = Place(store, later), Place(store, later), Place(store, later)
        store.delete(new.key)
        writes: dict[str, tuple[Place, Callable[[], object], bytes | None]] = {
            "create": (new, lambda: new.create(new.key, b"new"), b"new"),
            "end": (ended, lambda: ended.replace(b"", expires_at=0.0), None),
            "delete": (deleted, deleted.delete, None),
        }
        with unwritable():
            for name, (where, write, after) in writes.items():
                before, outcome = where.data(), outcome_of(write)
                assert outcome is not None, f"{name} was called refused"
                if isinstance(outcome, StoreUnavailable):
                    assert outcome.applied is False, name
                    assert where.data() == before, name
                else:
                    assert where.data() == after, name

    # -- an answer that was lost

    @pytest.mark.parametrize("lost_save", ["create", "replace", "end"])
    def test_a_save_whose_answer_was_lost_is_not_called_refused(
        self, place: Place, lose_answer: Callable[[], object], lost_save: str
    ) -> None:
        """Whoever says that nothing was done has to know it."""
        if lost_save == "create":
            place.store.delete(place.key)
            place.version = None
        place.store.load(place.key)
        lose_answer()
        ends = 0.0 if lost_save == "end" else place.later
        outcome = outcome_of(lambda: place.replace(b"new", expires_at=ends))
        before = None if lost_save == "create" else b"old"
        assert_true(outcome, place, before, None if lost_save == "end" else b"new")

    def test_a_load_whose_answer_was_lost_is_not_called_missing(
        self, place: Place, lose_answer: Callable[[], object]
    ) -> None:
        place.store.load(place.key)
        lose_answer()
        outcome = outcome_of(lambda: place.store.load(place.key))
        if not isinstance(outcome, StoreUnavailable):
            assert outcome == (b"old", place.version)
        assert answered(lambda: place.store.load(place.key)) == (b"old", place.version)

    # -- one server of several

    @pytest.fixture
    def places(self, store: Store, stopped_place: Stopped) -> Places:
        return Places(store, stopped_place)

    def test_a_key_has_one_place(self, store: Store, places: Places, later: float) -> None:
        """The same, whether or not its server answers; and there are several."""
        keys = [new_key() for _ in range(64)]
        for key in keys:
            store.save(key, b"", expires_at=later, replacing=None)
        before = [places.of(key) for key in keys]
        assert len(set(before)) > 1
        with places.stopped(before[0]):
            assert [places.of(key) for key in keys] == before

    def test_a_server_that_is_gone_costs_its_own_records_only(
        self, store: Store, places: Places, later: float
    ) -> None:
        """For those of the others, and new ones there, no operation fails, whatever is asked of
        the one that is gone in between."""
        lost = Place(store, later)
        gone = places.of(lost.key)
        kept = next(place for place in records(store, later) if places.of(place.key) != gone)
        with places.stopped(gone):
            for number in range(2):
                operations = lost.operations()
                names = ("load", "replace", "delete")
                assert_unavailable({name: operations[name] for name in names})
                assert kept.data() is not None
                kept.version = kept.replace(b"%d" % number)
                assert kept.version is not None
                new = places.key_beside(gone)
                assert store.save(new, b"new", expires_at=later, replacing=None) is not None
                assert store.load(new) is not None
                store.delete(new)
        assert answered(lambda: store.load(kept.key)) == (b"1", kept.version)
        found = answered(lambda: store.load(lost.key))
        assert found is None or found.data in (b"old", b"new")
