"""The rules of a store that lists the records of owners, which are part of the contract suite."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

import pytest

from wsgi_sessions.stores import Listable, OwnerIndex, Purgeable, Store
from wsgi_sessions.testing.clock import Clock
from wsgi_sessions.testing.material import TimedContract, new_key, together

__all__ = ["OwnerContract"]

OWNERS = ["ann", "Ann", "ann ", " ann", "a", "x" * 1000, "x" * 1001, "%", "_", "*"]
OWNERS += [
    "é",
    "e\u0301",
    "e",
    "日本",
    "\U0001f600",
    "a:b",
    "a\0b",
    "a\0",
    "'\"\\",
    "../../etc",
    "@",
]


class Owners:
    """A store with an index of owners, and an end for what is saved there."""

    def __init__(self, index: OwnerIndex, later: float) -> None:
        self._index = index
        self._later = later

    def keys_of(self, owner: str = "ann") -> list[str]:
        return list(self._index.keys_of(owner))

    def save(
        self,
        key: str,
        owner: str | None = "ann",
        *,
        replacing: Hashable | None = None,
        was: str | None = None,
        end: float | None = None,
    ) -> Hashable | None:
        """Save *key* under *owner*, to end later or at *end*."""
        end = self._later if end is None else end
        return self._index.save_owned(
            key, b"data", expires_at=end, replacing=replacing, owner=owner, was=was
        )


class OwnerContract(TimedContract):
    """Rules of :class:`~wsgi_sessions.stores.OwnerIndex`, skipped by a store without."""

    many: int = 1_100
    """Records of one owner: more than fit on a page of whatever has pages."""

    @pytest.fixture
    def owners(self, store: Store, later: float) -> Owners:
        """The store, if it keeps an index of owners."""
        if not isinstance(store, OwnerIndex):
            pytest.skip("keeps no index of owners")
        return Owners(store, later)

    def test_a_save_with_an_owner_is_a_save(self, store: Store, owners: Owners) -> None:
        key = new_key()
        assert owners.keys_of() == []
        version = owners.save(key)
        assert store.load(key) == (b"data", version)
        assert owners.keys_of() == [key]
        second = owners.save(key, replacing=version, was="ann")
        assert second not in (None, version)
        assert store.load(key) == (b"data", second)
        assert owners.keys_of() == [key]

    def test_an_ordinary_save_leaves_the_owner(
        self, store: Store, owners: Owners, later: float
    ) -> None:
        owned, other = new_key(), new_key()
        version = owners.save(owned)
        assert store.save(owned, b"2", expires_at=later, replacing=version)
        assert store.save(other, b"2", expires_at=later, replacing=None)
        assert owners.keys_of() == [owned]

    def test_a_refused_save_lists_nothing_and_takes_nothing_off(
        self, store: Store, owners: Owners, clock: Clock
    ) -> None:
        key, missing = new_key(), new_key()
        stale = owners.save(key)
        assert owners.save(key, "bob") is None
        version = owners.save(key, replacing=stale, was="ann")
        for owner in ("bob", None, "ann"):
            assert owners.save(key, owner, replacing=stale, was="ann") is None
        assert owners.save(key, replacing=stale, was="ann", end=clock() - 1) is None
        assert owners.save(missing, "bob", replacing=stale) is None
        assert owners.keys_of("bob") == []
        assert owners.keys_of() == [key]
        assert store.load(key) == (b"data", version)

    def test_a_record_that_changes_hands_is_listed_once(self, store: Store, owners: Owners) -> None:
        key = new_key()
        version = owners.save(key)
        version = owners.save(key, "bob", replacing=version, was="ann")
        assert (owners.keys_of(), owners.keys_of("bob")) == ([], [key])
        version = owners.save(key, None, replacing=version, was="bob")
        assert owners.keys_of("bob") == []
        assert store.load(key) == (b"data", version)
        assert owners.save(key, "bob", replacing=version)
        assert owners.keys_of("bob") == [key]

    def test_what_was_deleted_or_ended_is_not_listed(
        self, store: Store, owners: Owners, clock: Clock
    ) -> None:
        keys = [new_key() for _ in range(4)]
        versions = [owners.save(key) for key in keys]
        store.delete(keys[0])
        assert owners.save(keys[1], replacing=versions[1], was="ann", end=clock() - 1)
        assert owners.save(keys[2], None, replacing=versions[2], was="ann", end=0.0)
        assert owners.save(new_key(), end=clock() - 1)
        for _ in range(2):
            assert owners.keys_of() == [keys[3]]

    def test_what_has_expired_is_not_listed(
        self, store: Store, owners: Owners, clock: Clock, soon: float
    ) -> None:
        """By the end that the last save gave it, before and after a purge."""
        kept, short, moved, cut = (new_key() for _ in range(4))

        def arrange(end: float) -> None:
            for key in (kept, short, moved, cut):
                store.delete(key)
            owners.save(kept)
            owners.save(short, end=end)
            owners.save(moved, replacing=owners.save(moved, end=end), was="ann")
            owners.save(cut, replacing=owners.save(cut), was="ann", end=end)

        self.expired(clock, soon, arrange)
        assert owners.keys_of() == [kept, moved]
        if isinstance(store, Purgeable):
            store.purge()
        assert owners.keys_of() == [kept, moved]

    def test_the_oldest_is_first_and_a_renewal_moves_nothing(self, owners: Owners) -> None:
        keys = [new_key() for _ in range(6)]
        versions = {key: owners.save(key) for key in keys}
        for key in (keys[2], keys[0]):
            versions[key] = owners.save(key, replacing=versions[key], was="ann")
        assert owners.keys_of() == keys
        version = owners.save(keys[1], "bob", replacing=versions[keys[1]], was="ann")
        assert owners.save(keys[1], "ann", replacing=version, was="bob")
        assert owners.keys_of() == [keys[0], *keys[2:], keys[1]]

    def test_owners_are_any_strings(self, owners: Owners) -> None:
        """Names that a server may take for equal are different owners."""
        listed = {owner: (new_key(), new_key()) for owner in OWNERS}
        for owner, (moved, stays) in listed.items():
            assert owners.save(moved, "former", replacing=owners.save(moved, owner), was=owner)
            assert owners.save(stays, owner)
        for owner, (_, stays) in listed.items():
            assert owners.keys_of(owner) == [stays], ascii(owner)
        assert owners.keys_of("former") == [moved for moved, _ in listed.values()]

    def test_lists_and_records_are_apart(self, store: Store, owners: Owners, later: float) -> None:
        """An owner may be called like a key, and a list is no record."""
        key, other = new_key(), new_key()
        assert owners.save(other, key)
        assert store.load(key) is None
        assert store.save(key, b"data", expires_at=later, replacing=None) is not None
        if isinstance(store, Listable):
            assert sorted(store.keys()) == sorted([key, other])
        store.delete(key)
        assert owners.keys_of(key) == [other]

    def test_an_owner_may_have_many(self, owners: Owners) -> None:
        keys = [new_key() for _ in range(self.many)]
        for key in keys:
            assert owners.save(key)
        assert owners.save(new_key(), "bob")
        assert owners.keys_of() == keys

    def test_logins_at_once_are_all_listed(self, owners: Owners) -> None:
        keys = [new_key() for _ in range(24)]
        versions = together(4, lambda number: [owners.save(key) for key in keys[number::4]])
        assert not any(None in each for each in versions)
        assert sorted(owners.keys_of()) == sorted(keys)

    def test_of_savers_at_once_one_moves_it(self, owners: Owners) -> None:
        """And no other leaves a trace in the lists."""
        key, names = new_key(), ["bob", "eve", "joe", "kim"]
        version = owners.save(key)

        def move(number: int) -> Any:
            return owners.save(key, names[number], replacing=version, was="ann")

        answers = together(4, move)
        winners = [name for name, answer in zip(names, answers, strict=True) if answer is not None]
        assert len(winners) == 1
        assert [name for name in ["ann", *names] if owners.keys_of(name)] == winners
