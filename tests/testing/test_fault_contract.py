"""The contract suite finds what is wrong with a store whose server fails: one store a mistake."""

from __future__ import annotations

import os
from contextlib import contextmanager, suppress

import pytest

from tests.testing.test_contract import Outcomes
from wsgi_sessions import StoreUnavailable
from wsgi_sessions.stores import MemoryStore
from wsgi_sessions.testing.fault_contract import FaultContract

BROKEN: dict[str, tuple[type[Remote], str]] = {}


def caught_by(test: str):
    """Register a broken store with the contract test that has to fail for it."""

    def register(store: type[Remote]) -> type[Remote]:
        BROKEN[store.__name__] = store, test
        return store

    return register


class Remote(MemoryStore):
    """Sound, over a connection and two servers that are made up. Each mistake is in one step."""

    def __init__(self):
        super().__init__()
        self.gone, self.full, self.losing = set(), False, False
        self.forgotten = 0

    # -- the faults

    def forget(self):
        self.forgotten = 4

    @contextmanager
    def stopped(self, *places):
        self.gone = set(places or "01")
        yield
        self.gone = set()

    @contextmanager
    def unwritable(self):
        self.full = True
        yield
        self.full = False

    def lose(self):
        self.losing = True

    # -- the steps

    def place_of(self, key):
        return str(sum(key.encode()) % 2)

    def unreachable(self):
        raise StoreUnavailable("refused", applied=False)

    def lost(self):
        raise StoreUnavailable("no answer")

    def refused(self):
        raise StoreUnavailable("full", applied=False, busy=True)

    def dead(self, kept):
        """A connection of *kept* ones gave no answer."""
        self.forgotten = 0

    def reach(self, key, *, reads):
        if self.place_of(key) in self.gone:
            return self.unreachable()
        if self.forgotten:
            self.dead(self.forgotten)
            if not reads:
                return self.lost()
        if self.full and not reads:
            return self.refused()
        return "reached"

    def answer(self, answer):
        losing, self.losing = self.losing, False
        return self.lost() if losing else answer

    # -- the operations

    def load(self, key):
        if self.reach(key, reads=True) != "reached":
            return None
        try:
            return self.answer(super().load(key))
        except StoreUnavailable:
            return super().load(key)

    def save(self, key, data, **keywords):
        if self.reach(key, reads=False) != "reached":
            return None
        return self.answer(super().save(key, data, **keywords))

    def save_owned(self, key, data, **keywords):
        if self.reach(key, reads=False) != "reached":
            return None
        return self.answer(super().save_owned(key, data, **keywords))

    def delete(self, key):
        if self.reach(key, reads=False) == "reached":
            super().delete(key)

    def keys_of(self, owner):
        self.reach(next(iter(self._records), owner), reads=True)
        return super().keys_of(owner)

    def purge(self, limit=1000):
        self.reach(next(iter(self._records), ""), reads=False)
        return super().purge(limit)


@caught_by("test_a_load_over_a_forgotten_connection_succeeds")
class LoadsAreNotRepeated(Remote):
    def load(self, key):
        if self.forgotten:
            self.forgotten -= 1
            self.lost()
        return super().load(key)


@caught_by("test_a_load_over_a_forgotten_connection_succeeds")
class KeepsTheOthersThatAreForgotten(Remote):
    """A load finds one of them, and the save after it the next."""

    def dead(self, kept):
        self.forgotten = kept - 1


@caught_by("test_a_save_over_a_forgotten_connection_costs_no_other_operation")
class EachSaveFindsAnotherDeadConnection(Remote):
    def load(self, key):
        left, self.forgotten = self.forgotten, 0
        try:
            return super().load(key)
        finally:
            self.forgotten = left

    def dead(self, kept):
        self.forgotten = kept - 1


@caught_by("test_a_save_over_a_forgotten_connection_costs_no_other_operation")
class ALostSaveIsSaidToBeDone(Remote):
    def save(self, key, data, **keywords):
        try:
            return super().save(key, data, **keywords)
        except StoreUnavailable as error:
            if error.applied is None:
                return 1
            raise


@caught_by("test_an_outage_is_not_an_answer")
class AnOutageIsMissingOrRefused(Remote):
    def unreachable(self):
        return None


@caught_by("test_an_outage_is_not_an_answer")
class AnOutageIsMissingToLoads(Remote):
    def load(self, key):
        try:
            return super().load(key)
        except StoreUnavailable:
            return None


@caught_by("test_an_outage_is_not_an_answer")
class AnOutageDeletes(Remote):
    def delete(self, key):
        with suppress(StoreUnavailable):
            super().delete(key)


@caught_by("test_an_outage_is_not_an_answer")
class AnOutageListsNothing(Remote):
    def keys_of(self, owner):
        try:
            return super().keys_of(owner)
        except StoreUnavailable:
            return []


@caught_by("test_an_outage_is_not_an_answer")
class AnOutageIsAnErrorOfTheSystem(Remote):
    def unreachable(self):
        raise ConnectionRefusedError


@caught_by("test_an_outage_is_not_an_answer")
class AnOutageIsBusy(Remote):
    def unreachable(self):
        raise StoreUnavailable("refused", applied=False, busy=True)


@caught_by("test_an_outage_is_not_an_answer")
class ForgetsInAnOutage(Remote):
    def unreachable(self):
        self._records.clear()
        super().unreachable()


@caught_by("test_what_could_not_be_sent_was_not_applied")
class NeverKnowsWhetherItWasApplied(Remote):
    def unreachable(self):
        raise StoreUnavailable("refused")


@caught_by("test_what_could_not_be_sent_was_not_applied")
class WritesThoughItSaysThatItDidNot(Remote):
    def save(self, key, data, **keywords):
        try:
            return super().save(key, data, **keywords)
        except StoreUnavailable:
            MemoryStore.save(self, key, data, **keywords)
            raise


@caught_by("test_what_cannot_be_written_can_be_read")
class WhatIsFullCannotBeRead(Remote):
    def load(self, key):
        return self.refused() if self.full else super().load(key)


@caught_by("test_what_cannot_be_written_can_be_read")
class WhatIsFullLosesTheRecord(Remote):
    def refused(self):
        self._records.clear()
        super().refused()


@caught_by("test_what_cannot_be_written_can_be_read")
class WhatIsFullIsRefused(Remote):
    def refused(self):
        return None


@caught_by("test_what_cannot_be_written_can_be_read")
class WhatIsFullIsAnOutage(Remote):
    """The breaker counts it."""

    def refused(self):
        raise StoreUnavailable("full", applied=False)


@caught_by("test_what_cannot_be_written_can_be_read")
class WhatIsFullIsNotKnown(Remote):
    """So that a login sends the cookie of a session that does not exist."""

    def refused(self):
        raise StoreUnavailable("full", busy=True)


@caught_by("test_what_cannot_be_written_is_not_called_refused")
class CreationsAreRefusedWhereItIsFull(Remote):
    def save(self, key, data, *, expires_at, replacing):
        if self.full and replacing is None:
            return None
        return super().save(key, data, expires_at=expires_at, replacing=replacing)


@caught_by("test_what_cannot_be_written_is_not_called_refused")
class DeletionsAreForgottenWhereItIsFull(Remote):
    def delete(self, key):
        if not self.full:
            super().delete(key)


@caught_by("test_a_save_whose_answer_was_lost_is_not_called_refused")
class ALostAnswerIsRefused(Remote):
    def save(self, key, data, **keywords):
        try:
            return super().save(key, data, **keywords)
        except StoreUnavailable as error:
            if error.applied is None:
                return None
            raise


@caught_by("test_a_save_whose_answer_was_lost_is_not_called_refused")
class SendsItAgainAndIsRefusedByItself(Remote):
    def save(self, key, data, **keywords):
        try:
            return super().save(key, data, **keywords)
        except StoreUnavailable as error:
            if error.applied is None:
                return super().save(key, data, **keywords)
            raise


@caught_by("test_a_save_whose_answer_was_lost_is_not_called_refused")
class ALostAnswerWasNotApplied(Remote):
    def lost(self):
        raise StoreUnavailable("no answer", applied=False)


@caught_by("test_a_load_whose_answer_was_lost_is_not_called_missing")
class ALostAnswerIsMissing(Remote):
    def load(self, key):
        losing, self.losing = self.losing, False
        return None if losing else super().load(key)


@caught_by("test_a_key_has_one_place")
class APlaceIsWhereThereIsOneThatAnswers(Remote):
    def place_of(self, key):
        place = super().place_of(key)
        return place if place not in self.gone else str(1 - int(place))

    def reach(self, key, *, reads):
        return "reached"


@caught_by("test_a_server_that_is_gone_costs_its_own_records_only")
class OneServerCostsAll(Remote):
    def reach(self, key, *, reads):
        return self.unreachable() if self.gone else super().reach(key, reads=reads)


@caught_by("test_a_server_that_is_gone_costs_its_own_records_only")
class AServerThatIsGoneIsMissing(Remote):
    def load(self, key):
        return None if self.gone and self.place_of(key) in self.gone else super().load(key)


CONTRACTS = """
import pytest
from tests.testing.test_fault_contract import BROKEN, Remote
from wsgi_sessions.testing import StoreContract


def contract(cls):
    class Contract(StoreContract):
        shared = False

        @pytest.fixture
        def store(self):
            return cls()

        @pytest.fixture
        def forget_connections(self, store):
            return store.forget

        @pytest.fixture
        def stopped(self, store):
            return store.stopped

        @pytest.fixture
        def unwritable(self, store):
            return store.unwritable

        @pytest.fixture
        def lose_answer(self, store):
            return store.lose

        @pytest.fixture
        def stopped_place(self, store):
            return store.stopped

    return Contract


class TestLeftOut(StoreContract):
    @pytest.fixture
    def store(self):
        return Remote()


TestSound = contract(Remote)
for name, (cls, _) in BROKEN.items():
    globals()["Test" + name] = contract(cls)
"""
RULES = " or ".join(name for name in vars(FaultContract) if name.startswith("test_"))


@pytest.fixture(scope="session")
def outcomes(tmp_path_factory):
    """The contract test that matters on each broken store, and all of them on the sound one."""
    file = tmp_path_factory.mktemp("contract") / "test_fault_contracts.py"
    file.write_text(CONTRACTS)
    chosen = [f"(Test{name} and {test})" for name, (_, test) in BROKEN.items()]
    chosen.append(f"((TestSound or TestLeftOut) and ({RULES}))")
    options = ["-q", "-p", "no:cacheprovider", "-c", os.devnull]
    plugin = Outcomes()
    pytest.main([str(file), *options, "-k", " or ".join(chosen)], plugins=[plugin])
    return plugin.of


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_store_is_caught(outcomes, name):
    """By the contract test for its mistake, as a failure of that test."""
    assert ("call", "failed") in outcomes[name]
    assert {when for when, _ in outcomes[name]} == {"call"}


def test_a_sound_store_passes(outcomes):
    """What fails the stores above is what is broken in them."""
    assert {outcome for _, outcome in outcomes["Sound"]} == {"passed"}
    assert len(outcomes["Sound"]) == 12


def test_what_an_author_has_no_fault_for_is_left_out(outcomes):
    assert "LeftOut" not in outcomes
