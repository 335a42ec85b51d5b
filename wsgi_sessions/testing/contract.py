"""For authors of stores: the contract suite.

A store of your own, here :class:`~wsgi_sessions.MemoryStore`, passes if this does:

.. code:: python

    import pytest

    pytest.register_assert_rewrite("wsgi_sessions.testing")  # a failure shows values

    from wsgi_sessions import MemoryStore
    from wsgi_sessions.testing import ManualClock, StoreContract

    class TestMyStore(StoreContract):
        shared = False  # other processes do not see what this store keeps

        @pytest.fixture
        def clock(self):  # leave it out if the server has a clock of its own
            return ManualClock()

        @pytest.fixture
        def store(self, clock):  # new and empty
            return MemoryStore(clock=clock)

Each rule of :mod:`wsgi_sessions.stores.base` is one test. pytest is needed, nothing else.
"""

from __future__ import annotations

import itertools
import math
import multiprocessing
import os
import secrets
import string
import threading
import time
from collections.abc import Hashable
from contextlib import ExitStack
from typing import TypeVar

import pytest

from wsgi_sessions.stores import Listable, Purgeable, Store, close_store, max_bytes_of
from wsgi_sessions.testing.clock import Clock
from wsgi_sessions.testing.fault_contract import FaultContract
from wsgi_sessions.testing.forks import fork_in_c, forked
from wsgi_sessions.testing.material import new_key, together
from wsgi_sessions.testing.owner_contract import OwnerContract

__all__ = ["StoreContract", "new_key", "together"]

T = TypeVar("T")

ALPHABET = string.ascii_letters + string.digits + "_-"
EVERY_BYTE = bytes(range(256)) * 2


def increment(store: Store, key: str, times: int, later: float) -> None:
    """Add one to the number under *key*, *times* times, whatever others do."""
    for _ in range(times):
        for _attempt in range(10_000):
            found = store.load(key)
            assert found is not None
            data = b"%d" % (int(found.data) + 1)
            if store.save(key, data, expires_at=later, replacing=found.version) is not None:
                break
            time.sleep(secrets.randbelow(1000) / 1e6)
        else:
            raise AssertionError("never accepted")


class StoreContract(OwnerContract, FaultContract):
    """The rules that every store keeps. Subclass it and give it a fixture ``store``.

    Fixture ``clock``: real time unless overridden; give the store's clock argument and this
    fixture the same :class:`ManualClock` where that is possible, and no test sleeps.
    """

    shared: bool = True
    """Whether processes share what is stored."""

    # -- load, save

    def test_it_is_a_store(self, store: Store) -> None:
        """It has the four operations."""
        assert isinstance(store, Store)

    def test_load_what_was_never_saved(self, store: Store) -> None:
        """Missing is None."""
        assert store.load(new_key()) is None

    def test_create_and_load(self, store: Store, later: float) -> None:
        """What was created is there, as bytes, under a version that can be hashed."""
        key = new_key()
        version = store.save(key, b"data", expires_at=later, replacing=None)
        found = store.load(key)
        assert version is not None
        assert found is not None
        assert found.data == b"data"
        assert type(found.data) is bytes
        assert isinstance(found.version, Hashable)
        assert hash(found.version) == hash(store.load(key).version)  # type: ignore[union-attr]

    def test_create_is_refused_where_something_is(self, store: Store, later: float) -> None:
        """replacing=None never overwrites."""
        key = new_key()
        version = store.save(key, b"first", expires_at=later, replacing=None)
        assert store.save(key, b"second", expires_at=later, replacing=None) is None
        assert store.load(key).data == b"first"  # type: ignore[union-attr]
        assert store.save(key, b"third", expires_at=later, replacing=version) is not None

    def test_replace_by_the_version_that_save_returned(self, store: Store, later: float) -> None:
        """Saves can follow each other without a load."""
        key = new_key()
        version = store.save(key, b"0", expires_at=later, replacing=None)
        for data in (b"1", b"2", b"3"):
            newer = store.save(key, data, expires_at=later, replacing=version)
            assert newer is not None
            assert newer != version
            version = newer
        assert store.load(key).data == b"3"  # type: ignore[union-attr]

    def test_replace_by_the_version_that_load_returned(self, store: Store, later: float) -> None:
        """A save can follow a load."""
        key = new_key()
        store.save(key, b"old", expires_at=later, replacing=None)
        found = store.load(key)
        assert found is not None
        assert store.save(key, b"new", expires_at=later, replacing=found.version) is not None
        assert store.load(key).data == b"new"  # type: ignore[union-attr]

    @pytest.mark.parametrize("by", ["save", "load"])
    def test_replace_is_refused_where_something_else_is(
        self, store: Store, later: float, by: str
    ) -> None:
        """An outdated version changes nothing, whichever operation it came from."""
        key = new_key()
        version = store.save(key, b"one", expires_at=later, replacing=None)
        if by == "load":
            version = store.load(key).version  # type: ignore[union-attr]
        newer = store.save(key, b"two", expires_at=later, replacing=version)
        assert store.save(key, b"lost", expires_at=later, replacing=version) is None
        assert store.load(key).data == b"two"  # type: ignore[union-attr]
        assert store.save(key, b"three", expires_at=later, replacing=newer) is not None

    def test_replace_is_refused_where_nothing_is(self, store: Store, later: float) -> None:
        """What was deleted does not come back by a save that was in flight."""
        key = new_key()
        version = store.save(key, b"data", expires_at=later, replacing=None)
        store.delete(key)
        assert store.save(key, b"back", expires_at=later, replacing=version) is None
        assert store.load(key) is None

    def test_a_version_of_another_key_is_refused(self, store: Store, later: float) -> None:
        """Versions of an absent key do not match whatever they are."""
        key, other = new_key(), new_key()
        version = store.save(key, b"data", expires_at=later, replacing=None)
        assert store.save(other, b"data", expires_at=later, replacing=version) is None
        assert store.load(other) is None

    @pytest.mark.parametrize("by", ["save", "load"])
    def test_versions_are_not_reused_after_a_deletion(
        self, store: Store, later: float, by: str
    ) -> None:
        """An old version does not match what was created anew under the key."""
        key = new_key()
        old: set[Hashable] = set()
        for number in range(5):
            version = store.save(key, b"life %d" % number, expires_at=later, replacing=None)
            if by == "load":
                version = store.load(key).version  # type: ignore[union-attr]
            for outdated in old:
                assert store.save(key, b"lost", expires_at=later, replacing=outdated) is None
            assert store.load(key).data == b"life %d" % number  # type: ignore[union-attr]
            old.add(version)
            store.delete(key)
        assert len(old) == 5

    # -- keys, data

    @pytest.mark.parametrize(
        "data",
        [b"", b"\0", EVERY_BYTE, b"\r\nEND\r\n", b" \0", b"null", b"'; --", "é".encode("latin-1")],
    )
    def test_data_comes_back_as_it_was(self, store: Store, later: float, data: bytes) -> None:
        """Any bytes, none included; in creation and in replacement."""
        key = new_key()
        version = store.save(key, data, expires_at=later, replacing=None)
        assert store.load(key).data == data  # type: ignore[union-attr]
        version = store.save(key, b"between", expires_at=later, replacing=version)
        version = store.save(key, data, expires_at=later, replacing=version)
        assert version is not None
        assert store.load(key).data == data  # type: ignore[union-attr]

    def test_large_data(self, store: Store, later: float) -> None:
        """Half a megabyte, or as much as the store says it can hold."""
        key = new_key()
        limit = max_bytes_of(store, 500_000)
        first, second = secrets.token_bytes(min(limit, 500_000)), secrets.token_bytes(limit)
        version = store.save(key, first, expires_at=later, replacing=None)
        assert store.load(key).data == first  # type: ignore[union-attr]
        assert store.save(key, second, expires_at=later, replacing=version) is not None
        assert store.load(key).data == second  # type: ignore[union-attr]

    @pytest.mark.parametrize("key", ["a", "-", "_", "--help", "0", "Z" * 64, "-" * 64, ALPHABET])
    def test_keys_at_the_limits(self, store: Store, later: float, key: str) -> None:
        """1 to 64 characters of the alphabet, in any order."""
        version = store.save(key, b"data", expires_at=later, replacing=None)
        assert store.save(key, b"more", expires_at=later, replacing=version) is not None
        assert store.load(key).data == b"more"  # type: ignore[union-attr]
        store.delete(key)
        assert store.load(key) is None

    @pytest.mark.parametrize(
        ("one", "two"), [("Session", "sESSION"), ("abc", "abcd"), ("a-b", "a_b"), ("0", "00")]
    )
    def test_similar_keys_are_different(
        self, store: Store, later: float, one: str, two: str
    ) -> None:
        """Case matters, and so does every character."""
        store.save(one, b"one", expires_at=later, replacing=None)
        assert store.load(two) is None
        store.delete(two)
        assert store.save(two, b"two", expires_at=later, replacing=None) is not None
        assert store.load(one).data == b"one"  # type: ignore[union-attr]
        store.delete(one)
        assert store.load(two).data == b"two"  # type: ignore[union-attr]

    # -- delete

    def test_delete(self, store: Store, later: float) -> None:
        """Gone for every operation; again is fine; the key can be created anew."""
        key = new_key()
        store.save(key, b"data", expires_at=later, replacing=None)
        store.delete(key)
        store.delete(key)
        assert store.load(key) is None
        assert store.save(key, b"anew", expires_at=later, replacing=None) is not None
        assert store.load(key).data == b"anew"  # type: ignore[union-attr]

    def test_delete_what_was_never_saved(self, store: Store) -> None:
        """Nothing there is fine."""
        assert store.delete(new_key()) is None  # type: ignore[func-returns-value]

    # -- times that are not in the future

    @pytest.fixture(params=["ten seconds ago", "just now", "the epoch"])
    def past(self, request: pytest.FixtureRequest, clock: Clock) -> float:
        """Times that are over."""
        now = clock()
        times = {"ten seconds ago": now - 10, "just now": now - 0.01, "the epoch": 0.0}
        return times[request.param]

    def test_save_with_a_past_time_deletes(self, store: Store, later: float, past: float) -> None:
        """Accepted with the version that is there; then nothing is there."""
        key = new_key()
        version = store.save(key, b"data", expires_at=later, replacing=None)
        assert store.save(key, b"", expires_at=past, replacing=version) is not None
        assert store.load(key) is None
        assert store.save(key, b"anew", expires_at=later, replacing=None) is not None

    def test_save_with_a_past_time_is_refused_where_something_else_is(
        self, store: Store, later: float, past: float
    ) -> None:
        """A deletion by an outdated version changes nothing."""
        key = new_key()
        version = store.save(key, b"one", expires_at=later, replacing=None)
        newer = store.save(key, b"two", expires_at=later, replacing=version)
        assert store.save(key, b"", expires_at=past, replacing=version) is None
        assert store.save(key, b"", expires_at=past, replacing=None) is None
        assert store.load(key).data == b"two"  # type: ignore[union-attr]
        assert store.save(key, b"three", expires_at=later, replacing=newer) is not None

    def test_save_with_a_past_time_where_nothing_is(
        self, store: Store, later: float, past: float
    ) -> None:
        """Refused with a version, accepted as a creation, and nothing is there."""
        key = new_key()
        version = store.save(key, b"data", expires_at=later, replacing=None)
        store.delete(key)
        assert store.save(key, b"", expires_at=past, replacing=version) is None
        assert store.save(key, b"data", expires_at=past, replacing=None) is not None
        assert store.load(key) is None

    # -- expiry

    def test_what_has_expired_is_missing_for_every_operation(
        self, store: Store, clock: Clock, later: float, soon: float
    ) -> None:
        """Whether or not the store has removed it."""

        def arrange(end: float) -> dict[str, Hashable | None]:
            keys = [new_key() for _ in range(5)]
            return {key: store.save(key, b"data", expires_at=end, replacing=None) for key in keys}

        versions = self.expired(clock, soon, arrange)
        load, create, replace, remove, delete = versions
        later += 60
        assert store.load(load) is None
        assert store.save(replace, b"new", expires_at=later, replacing=versions[replace]) is None
        assert store.load(replace) is None
        assert store.save(remove, b"", expires_at=0.0, replacing=versions[remove]) is None
        assert store.save(remove, b"", expires_at=0.0, replacing=None) is not None
        store.delete(delete)
        assert store.save(create, b"new", expires_at=later, replacing=None) is not None
        assert store.save(create, b"old", expires_at=later, replacing=versions[create]) is None
        assert store.load(create).data == b"new"  # type: ignore[union-attr]

    def test_the_last_accepted_time_counts(
        self, store: Store, clock: Clock, later: float, soon: float
    ) -> None:
        """A save moves the expiry either way; what is refused moves nothing."""

        def arrange(end: float) -> list[str]:
            keys = longer, shorter, kept, ended = [new_key() for _ in range(4)]
            version = store.save(longer, b"", expires_at=end, replacing=None)
            store.save(longer, b"longer", expires_at=later, replacing=version)
            version = store.save(shorter, b"", expires_at=later, replacing=None)
            store.save(shorter, b"shorter", expires_at=end, replacing=version)
            store.save(kept, b"kept", expires_at=later, replacing=None)
            store.save(kept, b"", expires_at=end, replacing=None)
            store.save(ended, b"ended", expires_at=end, replacing=None)
            store.save(ended, b"", expires_at=later, replacing=None)
            return keys

        longer, shorter, kept, ended = self.expired(clock, soon, arrange)
        for key, data in ((longer, b"longer"), (kept, b"kept")):
            found = store.load(key)
            assert found is not None, data
            assert found.data == data
        for key in (shorter, ended):
            assert store.load(key) is None

    def test_nothing_expires_early(self, store: Store, clock: Clock) -> None:
        """A fraction of a second counts, for creation and for replacement."""
        created, replaced = new_key(), new_key()
        end = math.floor(clock()) + 2.6
        store.save(created, b"data", expires_at=end, replacing=None)
        version = store.save(replaced, b"data", expires_at=end + 60, replacing=None)
        store.save(replaced, b"data", expires_at=end, replacing=version)
        clock.advance(end - 0.25 - clock())
        found = [store.load(created), store.load(replaced)]
        assert all(found) or clock() >= end

    @pytest.mark.parametrize("days", [29, 31, 3650])
    def test_far_times(self, store: Store, clock: Clock, days: int) -> None:
        """A time far ahead is ahead, for creation and for replacement."""
        key = new_key()
        end = clock() + days * 86400
        version = store.save(key, b"data", expires_at=end, replacing=None)
        assert store.load(key).data == b"data"  # type: ignore[union-attr]
        assert store.save(key, b"more", expires_at=end, replacing=version) is not None
        assert store.load(key).data == b"more"  # type: ignore[union-attr]

    # -- threads and processes

    @pytest.mark.parametrize("present", [False, True])
    def test_one_of_many_saves_wins(self, store: Store, later: float, present: bool) -> None:
        """Of callers with the same replacing exactly one succeeds, and its data is there."""
        for _ in range(5):
            key, version = new_key(), None
            if present:
                version = store.save(key, b"start", expires_at=later, replacing=None)

            def save(
                number: int, key: str = key, version: Hashable | None = version
            ) -> Hashable | None:
                return store.save(key, b"%d" % number, expires_at=later, replacing=version)

            results = together(8, save)
            winners = [number for number, result in enumerate(results) if result is not None]
            assert len(winners) == 1
            assert store.load(key).data == b"%d" % winners[0]  # type: ignore[union-attr]

    def test_nothing_is_lost_among_threads(self, store: Store, later: float) -> None:
        """Load, change, save, again if refused: every change is there in the end."""
        key = new_key()
        store.save(key, b"0", expires_at=later, replacing=None)
        together(4, lambda _: increment(store, key, 20, later))
        assert store.load(key).data == b"80"  # type: ignore[union-attr]

    def test_nothing_is_lost_among_processes(self, store: Store, later: float) -> None:
        """The same in processes."""
        if not self.shared:
            pytest.skip("processes do not share what it stores")
        key = new_key()
        store.save(key, b"0", expires_at=later, replacing=None)
        barrier = multiprocessing.get_context("fork").Barrier(4)

        def child() -> None:
            barrier.wait()
            increment(store, key, 20, later)

        with ExitStack() as processes:
            for _ in range(4):
                processes.enter_context(forked(child))
        assert store.load(key).data == b"80"  # type: ignore[union-attr]

    def test_readers_see_the_old_or_the_new(self, store: Store, later: float) -> None:
        """Never a mixture, and never nothing, while it is replaced."""
        key = new_key()
        contents = [b"a" * 100_000, b"b" * 60_000]
        store.save(key, contents[1], expires_at=later, replacing=None)

        readers = [threading.Event(), threading.Event()]

        def read(done: threading.Event) -> None:
            try:
                for _ in range(20):
                    assert store.load(key).data in contents  # type: ignore[union-attr]
            finally:
                done.set()

        def write() -> None:
            version = store.load(key).version  # type: ignore[union-attr]
            for data in itertools.cycle(contents):
                version = store.save(key, data, expires_at=later, replacing=version)
                assert version is not None
                if all(done.is_set() for done in readers):
                    break

        together(3, lambda number: read(readers[number - 1]) if number else write())

    def test_use_before_and_after_fork(self, store: Store, later: float) -> None:
        """Parent and child go on with a store that was used before, at the same time."""
        mine, theirs = new_key(), new_key()
        for key in (mine, theirs):
            store.save(key, b"0", expires_at=later, replacing=None)

        def child() -> None:
            increment(store, theirs, 20, later)
            assert store.load(theirs).data == b"20"  # type: ignore[union-attr]
            assert store.load(new_key()) is None

        with forked(child):
            increment(store, mine, 20, later)
        assert store.load(mine).data == b"20"  # type: ignore[union-attr]
        assert store.load(theirs).data == (b"20" if self.shared else b"0")  # type: ignore[union-attr]

    @pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
    def test_forks_without_hooks(self, store: Store, later: float) -> None:
        """As uWSGI makes them: two children and the parent go on with a store that was used before,
        at the same time, and what they have written is there when all have closed it."""
        keys = [new_key() for _ in range(3)]
        for key in keys:
            store.save(key, b"0", expires_at=later, replacing=None)
        shared = new_key()
        store.save(shared, b"0", expires_at=later, replacing=None)

        def work(key: str) -> None:
            for _ in range(20):
                increment(store, key, 1, later)
                increment(store, shared, 1, later)
                assert store.load(new_key()) is None
            close_store(store)

        with (
            forked(lambda: work(keys[1]), fork_in_c),
            forked(lambda: together(2, lambda _: increment(store, keys[2], 10, later)), fork_in_c),
        ):
            work(keys[0])
        found = [store.load(key).data for key in keys]  # type: ignore[union-attr]
        assert found == ([b"20", b"20", b"20"] if self.shared else [b"20", b"0", b"0"])
        assert store.load(shared).data == (b"40" if self.shared else b"20")  # type: ignore[union-attr]

    def test_threads_after_fork(self, store: Store, later: float) -> None:
        """The child's threads can use it, also if threads of the parent were using it."""
        key, other = new_key(), new_key()
        store.save(key, b"0", expires_at=later, replacing=None)
        connected, stop = threading.Barrier(4, timeout=60), threading.Event()

        def keep_using() -> None:
            store.load(key)
            connected.wait()
            while not stop.is_set():
                store.load(key)
                store.delete(other)
                stop.wait(0.0005)

        threads = [threading.Thread(target=keep_using) for _ in range(3)]
        for thread in threads:
            thread.start()
        connected.wait()
        try:
            with forked(lambda: together(3, lambda _: increment(store, key, 5, later))):
                pass
        finally:
            stop.set()
            for thread in threads:
                thread.join()
        assert store.load(key).data == (b"15" if self.shared else b"0")  # type: ignore[union-attr]

    # -- optional abilities

    @pytest.fixture
    def purgeable(self, store: Store) -> Purgeable:
        """The store, if it has to be purged."""
        if not isinstance(store, Purgeable):
            pytest.skip("drops what has expired by itself")
        return store

    @pytest.fixture
    def listable(self, store: Store) -> Listable:
        """The store, if it can list keys."""
        if not isinstance(store, Listable):
            pytest.skip("does not list keys")
        return store

    def test_purge(
        self, store: Store, purgeable: Purgeable, clock: Clock, later: float, soon: float
    ) -> None:
        """Removes as many as it was told of what has expired, and nothing else."""
        kept = new_key()
        assert purgeable.purge() == 0
        store.save(kept, b"kept", expires_at=later, replacing=None)

        def arrange(end: float) -> int:
            purgeable.purge()
            for _ in range(5):
                store.save(new_key(), b"data", expires_at=end, replacing=None)
            return purgeable.purge()

        assert self.expired(clock, soon, arrange) == 0
        assert purgeable.purge(2) == 2
        assert purgeable.purge(limit=10) == 3
        assert purgeable.purge() == 0
        assert store.load(kept).data == b"kept"  # type: ignore[union-attr]

    def test_keys(
        self, store: Store, listable: Listable, clock: Clock, later: float, soon: float
    ) -> None:
        """Exactly what is there and has not expired, spelt as it was saved."""
        assert list(listable.keys()) == []
        live = {new_key() for _ in range(20)} | {"a", "A", ALPHABET}
        for key in live:
            store.save(key, b"data", expires_at=later, replacing=None)
        gone = new_key()
        store.save(gone, b"data", expires_at=later, replacing=None)
        store.delete(gone)
        self.expired(
            clock, soon, lambda end: store.save(new_key(), b"", expires_at=end, replacing=None)
        )
        assert sorted(listable.keys()) == sorted(live)
