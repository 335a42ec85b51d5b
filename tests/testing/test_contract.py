"""The contract suite finds what it is there to find: one store for each mistake."""

from __future__ import annotations

import os
import time
from datetime import timedelta
from types import SimpleNamespace

import pytest

from wsgi_sessions.stores.base import Stored
from wsgi_sessions.stores.memory import MemoryStore
from wsgi_sessions.testing import ManualClock, RealClock

BROKEN: dict[str, tuple[type[MemoryStore], str]] = {}


def caught_by(test: str):
    """Register a broken store with the contract test that has to fail for it."""

    def register(store: type[MemoryStore]) -> type[MemoryStore]:
        BROKEN[store.__name__] = store, test
        return store

    return register


class Store(MemoryStore):
    """Sound, with a short way to ignore what is there."""

    def put(self, key, data, expires_at):
        self.delete(key)
        return super().save(key, data, expires_at=expires_at, replacing=None)

    def version(self, key):
        found = super().load(key)
        return found and found.version


@caught_by("test_create_is_refused_where_something_is")
class CreationOverwrites(Store):
    def save(self, key, data, *, expires_at, replacing):
        if replacing is None:
            self.delete(key)
        return super().save(key, data, expires_at=expires_at, replacing=replacing)


@caught_by("test_replace_is_refused_where_something_else_is")
class VersionIsIgnored(Store):
    def save(self, key, data, *, expires_at, replacing):
        if replacing is not None:
            replacing = self.version(key) or 0
        return super().save(key, data, expires_at=expires_at, replacing=replacing)


@caught_by("test_replace_is_refused_where_nothing_is")
class ReplacementCreates(Store):
    def save(self, key, data, *, expires_at, replacing):
        if self.version(key) is None:
            replacing = None
        return super().save(key, data, expires_at=expires_at, replacing=replacing)


@caught_by("test_versions_are_not_reused_after_a_deletion")
class VersionsBeginAgain(Store):
    """Counts the versions of each key from 1."""

    def save(self, key, data, *, expires_at, replacing):
        found = self.load(key)
        if (found and found.version) != replacing:
            return None
        version = 1 + (replacing or 0)
        self.put(key, version.to_bytes(4) + data, expires_at)
        return version

    def load(self, key):
        found = super().load(key)
        return found and Stored(found.data[4:], int.from_bytes(found.data[:4]))


@caught_by("test_data_comes_back_as_it_was")
class EmptyIsMissing(Store):
    def load(self, key):
        found = super().load(key)
        return found if found and found.data else None


@caught_by("test_data_comes_back_as_it_was")
class DataIsText(Store):
    def save(self, key, data, *, expires_at, replacing):
        text = data.decode("utf-8", "replace").encode()
        return super().save(key, text, expires_at=expires_at, replacing=replacing)


@caught_by("test_data_comes_back_as_it_was")
class PaddingIsStripped(Store):
    def load(self, key):
        found = super().load(key)
        return found and found._replace(data=found.data.rstrip(b"\0"))


@caught_by("test_large_data")
class CutsAt64KiB(Store):
    def save(self, key, data, *, expires_at, replacing):
        return super().save(key, data[:65535], expires_at=expires_at, replacing=replacing)


@caught_by("test_large_data")
class HoldsLessThanItSays(Store):
    max_bytes = 1000

    def save(self, key, data, *, expires_at, replacing):
        return super().save(key, data[:999], expires_at=expires_at, replacing=replacing)


@caught_by("test_similar_keys_are_different")
class CaseIsIgnored(Store):
    def load(self, key):
        return super().load(key.lower())

    def save(self, key, data, *, expires_at, replacing):
        return super().save(key.lower(), data, expires_at=expires_at, replacing=replacing)


@caught_by("test_delete")
class DeleteOfNothingFails(Store):
    def delete(self, key):
        if self.load(key) is None:
            raise KeyError
        super().delete(key)


@caught_by("test_save_with_a_past_time_deletes")
class PastTimeIsRefused(Store):
    def save(self, key, data, *, expires_at, replacing):
        if expires_at <= self._clock():
            return None
        return super().save(key, data, expires_at=expires_at, replacing=replacing)


@caught_by("test_save_with_a_past_time_is_refused_where_something_else_is")
class PastTimeDeletesAnything(Store):
    def save(self, key, data, *, expires_at, replacing):
        if expires_at <= self._clock():
            self.delete(key)
            return True
        return super().save(key, data, expires_at=expires_at, replacing=replacing)


@caught_by("test_save_with_a_past_time_where_nothing_is")
class PastTimeIsAlwaysAccepted(Store):
    def save(self, key, data, *, expires_at, replacing):
        accepted = super().save(key, data, expires_at=expires_at, replacing=replacing)
        return accepted or (expires_at <= self._clock() and self.version(key) is None) or None


class NeverExpires(Store):
    """A base for stores that check the expiry in some operations only."""

    def __init__(self, *, clock):
        super().__init__(clock=lambda: 0.5)
        self.now = clock
        self.ends = {}

    def save(self, key, data, *, expires_at, replacing):
        version = super().save(key, data, expires_at=expires_at, replacing=replacing)
        if version is not None:
            self.ends[key] = expires_at
        return version

    def load(self, key):
        return None if self.ends.get(key, 0) <= self.now() else super().load(key)


@caught_by("test_what_has_expired_is_missing_for_every_operation")
class ExpiredIsLoaded(NeverExpires):
    load = MemoryStore.load


@caught_by("test_what_has_expired_is_missing_for_every_operation")
class ExpiredIsInTheWay(NeverExpires):
    """Cannot be created anew, and can be replaced."""


@caught_by("test_the_last_accepted_time_counts")
class SaveKeepsTheFirstTime(Store):
    def __init__(self, *, clock):
        super().__init__(clock=clock)
        self.first = {}

    def save(self, key, data, *, expires_at, replacing):
        end = self.first.setdefault(key, expires_at)
        return super().save(key, data, expires_at=end, replacing=replacing)


@caught_by("test_the_last_accepted_time_counts")
class RefusedSaveMovesTheTime(Store):
    def save(self, key, data, *, expires_at, replacing):
        version = super().save(key, data, expires_at=expires_at, replacing=replacing)
        if version is None:
            found = self.load(key)
            if found is not None:
                self.put(key, found.data, expires_at)
        return version


@caught_by("test_nothing_expires_early")
class WholeSecondsRoundedDown(Store):
    def save(self, key, data, *, expires_at, replacing):
        return super().save(key, data, expires_at=int(expires_at), replacing=replacing)


@caught_by("test_far_times")
class SecondsFromNowUpToAMonth(Store):
    """As Memcached takes them, more being a date long ago."""

    def save(self, key, data, *, expires_at, replacing):
        if expires_at - self._clock() > 30 * 86400:
            expires_at = expires_at - self._clock()
        return super().save(key, data, expires_at=expires_at, replacing=replacing)


@caught_by("test_one_of_many_saves_wins or test_nothing_is_lost_among_threads")
class ChecksThenWrites(Store):
    def save(self, key, data, *, expires_at, replacing):
        if self.version(key) != replacing:
            return None
        time.sleep(0.001)
        return self.put(key, data, expires_at)


@caught_by("test_readers_see_the_old_or_the_new")
class ReadsInTwoParts(Store):
    def load(self, key):
        first = super().load(key)
        time.sleep(0.001)
        second = super().load(key)
        return second and second._replace(data=first.data[:10] + second.data[10:])


@caught_by("test_use_before_and_after_fork")
class DiesInAChild(Store):
    def __init__(self, *, clock):
        super().__init__(clock=clock)
        self.process = os.getpid()

    def load(self, key):
        if self.process != os.getpid():
            raise ConnectionResetError
        return super().load(key)


@caught_by("test_purge")
class PurgesWithoutLimit(Store):
    def purge(self, limit=1000):
        return super().purge(1000)


@caught_by("test_purge")
class PurgesEverything(Store):
    def purge(self, limit=1000):
        keys = list(self.keys())
        for key in keys:
            self.delete(key)
        return super().purge(limit) + len(keys)


@caught_by("test_keys")
class ListsWithAPrefix(Store):
    def keys(self):
        return map("sessions:{}".format, super().keys())


@caught_by("test_keys")
class ListsWhatHasExpired(Store):
    def keys(self):
        return iter(list(self._records))


@caught_by("test_owners_are_any_strings")
class OwnersAreFolded(Store):
    def save_owned(self, key, data, *, owner, **keywords):
        owner = owner and owner.strip().lower()
        return super().save_owned(key, data, owner=owner, **keywords)

    def keys_of(self, owner):
        return super().keys_of(owner.strip().lower())


class ListsApart(Store):
    """Sound in what an application needs, but for what a subclass does."""

    def __init__(self, **options):
        super().__init__(**options)
        self.lists = {}

    def keys_of(self, owner):
        listed = self.lists.setdefault(owner, [])
        listed[:] = [key for key in listed if self.load(key)]
        return list(listed)

    def save_owned(self, key, data, *, expires_at, replacing, owner, was):
        version = self.save(key, data, expires_at=expires_at, replacing=replacing)
        if version is not None:
            self.move(key, owner, was)
        return version

    def move(self, key, owner, was):
        if was != owner and key in self.lists.get(was, ()):
            self.lists[was].remove(key)
        if owner is not None and key not in self.lists.setdefault(owner, []):
            self.lists[owner].append(key)


@caught_by("test_what_has_expired_is_not_listed")
class GhostsAreListed(ListsApart):
    def keys_of(self, owner):
        return list(self.lists.get(owner, ()))


@caught_by("test_a_refused_save_lists_nothing_and_takes_nothing_off")
class RefusedSavesAreListed(ListsApart):
    def save_owned(self, key, data, *, owner, was, **keywords):
        self.move(key, owner, was)
        return self.save(key, data, **keywords)


@caught_by("test_a_record_that_changes_hands_is_listed_once")
class FormerOwnersKeepIt(ListsApart):
    def move(self, key, owner, was):
        super().move(key, owner, None)


@caught_by("test_the_oldest_is_first_and_a_renewal_moves_nothing")
class RenewalsMove(ListsApart):
    def move(self, key, owner, was):
        if key in self.lists.get(was, ()):
            self.lists[was].remove(key)
        super().move(key, owner, None)


@caught_by("test_an_owner_may_have_many")
class OnePageIsRead(Store):
    def keys_of(self, owner):
        return super().keys_of(owner)[:1000]


@caught_by("test_an_ordinary_save_leaves_the_owner")
class SavesForgetTheOwner(Store):
    def save(self, key, data, *, expires_at, replacing):
        ends = {"expires_at": expires_at, "replacing": replacing}
        return super().save_owned(key, data, **ends, owner=None, was=None)


@caught_by("test_lists_and_records_are_apart")
class ListsAreRecords(ListsApart):
    def move(self, key, owner, was):
        super().move(key, owner, was)
        self.save(owner or was, key.encode(), expires_at=9e9, replacing=None)


class OnABusyMachine(Store):
    """Sound; but a save takes its time, and the time that is left counts from its end."""

    def save(self, key, data, *, expires_at, replacing):
        left = expires_at - self._clock()
        self._clock.advance(0.3)
        end = self._clock() + left
        return super().save(key, data, expires_at=end, replacing=replacing)


CONTRACTS = """
import pytest
from tests.testing.test_contract import BROKEN, OnABusyMachine, Store
from wsgi_sessions.testing import ManualClock, StoreContract


def contract(cls):
    class Contract(StoreContract):
        shared = False

        @pytest.fixture
        def clock(self):
            return ManualClock()

        @pytest.fixture
        def store(self, clock):
            return cls(clock=clock)

    return Contract


TestSound = contract(Store)
TestOnABusyMachine = contract(OnABusyMachine)
for name, (cls, _) in BROKEN.items():
    globals()["Test" + name] = contract(cls)
"""


class Outcomes:
    """A pytest plugin that notes the outcome of each test of each store."""

    def __init__(self) -> None:
        self.of: dict[str, list[tuple[str, str]]] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when == "call" or report.failed:
            name = report.nodeid.split("::")[1].removeprefix("Test")
            self.of.setdefault(name, []).append((report.when, report.outcome))


@pytest.fixture(scope="session")
def outcomes(tmp_path_factory):
    """The contract test that matters on each broken store, and all of them on the sound one."""
    file = tmp_path_factory.mktemp("contract") / "test_contracts.py"
    file.write_text(CONTRACTS)
    chosen = [f"(Test{name} and ({test}))" for name, (_, test) in BROKEN.items()]
    chosen.append("(TestOnABusyMachine and (expire or time or early or purge or keys))")
    options = ["-q", "-p", "no:cacheprovider", "-c", os.devnull]
    plugin = Outcomes()
    pytest.main([str(file), *options, "-k", " or ".join(["TestSound", *chosen])], plugins=[plugin])
    return plugin.of


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_store_is_caught(outcomes, name):
    """By the contract test for its mistake, as a failure of that test."""
    assert ("call", "failed") in outcomes[name]
    assert {when for when, _ in outcomes[name]} == {"call"}


def test_a_sound_store_passes(outcomes):
    """What fails the stores above is what is broken in them."""
    assert {outcome for _, outcome in outcomes["Sound"]} <= {"passed", "skipped"}
    assert outcomes["Sound"].count(("call", "passed")) > 50


def test_a_busy_machine_fails_nothing(outcomes):
    """Where what a test prepares takes longer than it should last."""
    assert {outcome for _, outcome in outcomes["OnABusyMachine"]} == {"passed"}
    assert len(outcomes["OnABusyMachine"]) > 20


def test_manual_clock():
    """Starts at a time as real ones are, and goes when it is told to."""
    clock = ManualClock()
    assert 1.6e9 < clock() == clock()
    start = clock()
    clock.advance(1.5)
    clock.advance(timedelta(minutes=1))
    assert clock() == start + 61.5
    clock.now = 7.0
    assert clock() == 7.0
    assert ManualClock(5)() == 5


def test_real_clock(monkeypatch):
    """Advancing it takes the time; going back is no time."""
    slept = []
    ours = SimpleNamespace(time=time.time, sleep=slept.append)  # other threads may sleep too
    monkeypatch.setattr("wsgi_sessions.testing.clock.time", ours)
    clock = RealClock()
    clock.advance(timedelta(milliseconds=10))
    clock.advance(0.01)
    clock.advance(-5)
    assert slept == [0.01, 0.01]
    before = time.time()
    assert before <= clock() <= time.time()
