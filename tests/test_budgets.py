"""What a request may cost, counted exactly: a change that makes one dearer fails here."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import pytest

from tests.support.calls import Counts, counts
from tests.support.every_store import STORES
from tests.support.recording import RecordingOwners, RecordingStore
from tests.support.remembered import UNCHECKED
from tests.support.visitor import Visitor
from wsgi_sessions import MemoryStore, Session, SessionManager
from wsgi_sessions.session.recent import RecentRecords
from wsgi_sessions.stores import OwnerIndex
from wsgi_sessions.testing import ManualClock

pytestmark = pytest.mark.logs_as_usual


# -- function calls

BUDGETS = {
    # scenario: calls of Python functions, of C functions, values decoded, values encoded
    "untouched": Counts(python=7, c=3, decoded=0, encoded=0),
    "anonymous": Counts(python=30, c=13, decoded=0, encoded=0),
    "forged": Counts(python=38, c=33, decoded=0, encoded=0),
    "read": Counts(python=50, c=64, decoded=0, encoded=0),
    "list": Counts(python=57, c=66, decoded=1, encoded=1),
    "write": Counts(python=94, c=94, decoded=0, encoded=0),
    "new": Counts(python=106, c=89, decoded=0, encoded=0),
    "large-read": Counts(python=50, c=79, decoded=0, encoded=0),
    "large-write": Counts(python=79, c=117, decoded=0, encoded=0),
}
"""Beyond the application's own, over a MemoryStore. Make them smaller, not larger."""


@pytest.mark.parametrize("scenario", BUDGETS)
def test_a_request_costs_no_more_calls_than_its_budget(
    scenario: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Calls are what CPU time is made of here, and they are the same on every machine."""
    monkeypatch.setattr(RecentRecords, "add", UNCHECKED)
    counted, budget = counts(MemoryStore(), scenario), BUDGETS[scenario]
    assert counted.python <= budget.python
    assert counted.c <= budget.c


@pytest.mark.parametrize("scenario", BUDGETS)
def test_only_what_is_used_is_decoded_and_only_what_changed_is_encoded(scenario: str) -> None:
    """One value of eight, or of 56; a list is encoded once to see whether it was changed."""
    counted, budget = counts(MemoryStore(), scenario), BUDGETS[scenario]
    assert (counted.decoded, counted.encoded) == (budget.decoded, budget.encoded)


# -- round trips


@pytest.fixture
def clock() -> ManualClock:
    """Near that of the servers, which have their own."""
    return ManualClock(time.time())


@pytest.fixture(params=STORES)
def store(request: pytest.FixtureRequest, clock: ManualClock) -> RecordingStore:
    inner = STORES[request.param](request, clock)
    return (RecordingOwners if isinstance(inner, OwnerIndex) else RecordingStore)(inner)


@pytest.fixture
def owned(store: RecordingStore) -> Iterator[bool]:
    """Whether the store has an index of owners."""
    return isinstance(store, RecordingOwners)


@pytest.fixture
def member(visitor: Visitor, store: RecordingStore) -> Visitor:
    """A visitor who has a session."""
    with visitor.request() as session:
        session.update(cart=["book"], visits=1, name="Ada")
    store.pop_calls()
    return visitor


REQUESTS: dict[str, tuple[Callable[[Session], object], list[str]]] = {
    "untouched": (lambda session: None, []),
    "looks whether anything happened": (lambda session: (session.accessed, session.modified), []),
    "read": (lambda session: session["name"], ["load"]),
    "read everything": (lambda session: session.copy(), ["load"]),
    "read a list": (lambda session: session["cart"], ["load"]),
    "write": (lambda session: session.update(name="Grace"), ["load", "save"]),
    "write what is there already": (lambda session: session.update(name="Ada"), ["load"]),
    "change a list": (lambda session: session["cart"].append("pen"), ["load", "save"]),
    "delete a key": (lambda session: session.pop("name"), ["load", "save"]),
    "increment": (lambda session: session.increment("visits"), ["load", "save"]),
    "get_or_create of what is there": (
        lambda session: session.get_or_create("name", str),
        ["load"],
    ),
    "get_or_create": (lambda session: session.get_or_create("token", str), ["load", "save"]),
    "make permanent": (lambda session: setattr(session, "permanent", True), ["load", "save"]),
    "regenerate": (Session.regenerate, ["load", "save"]),
    "clear": (Session.clear, ["load", "save"]),
    "invalidate": (Session.invalidate, ["load", "delete"]),
}
"""What a request with a session does, and the calls of the store that it may cost."""


@pytest.mark.parametrize("request_kind", REQUESTS)
def test_a_request_costs_these_round_trips(
    request_kind: str, member: Visitor, store: RecordingStore
) -> None:
    """Each call is one round trip, which the tests of each store count at the server."""
    use, calls = REQUESTS[request_kind]
    with member.request() as session:
        use(session)
    assert store.pop_calls() == calls


def test_a_login_costs_no_more_with_an_index_of_owners(
    member: Visitor, store: RecordingStore, owned: bool
) -> None:
    """Two round trips: the list is written with the record. A logout deletes, and no more."""
    save = "save_owned" if owned else "save"
    with member.request() as session:
        session.login("ada")
    assert store.pop_calls() == ["load", save]
    with member.request() as session:
        session.login("bob")
    assert store.pop_calls() == ["load", save]
    with member.request() as session:
        session.invalidate()
    assert store.pop_calls() == ["load", "delete"]


def test_only_a_renewal_of_an_owned_session_writes_the_list_again(
    visitor: Visitor, store: RecordingStore, clock: ManualClock, owned: bool
) -> None:
    """An ordinary write never does, whenever it comes."""
    with visitor.request() as session:
        session.login("ada")
    store.pop_calls()
    for hours, save in ((1, "save"), (1.3, "save"), (0.2, "save_owned"), (1, "save")):
        clock.advance(hours * 3600)
        with visitor.request() as session:
            session["at"] = hours
        assert store.pop_calls() == ["load", save if owned else "save"]


def test_a_read_costs_a_second_round_trip_only_when_the_renewal_is_due(
    member: Visitor, store: RecordingStore, clock: ManualClock
) -> None:
    """Once in a tenth of the lifetime."""
    clock.advance(2.3 * 3600)
    with member.request() as session:
        session["name"]
    assert store.pop_calls() == ["load"]
    clock.advance(0.2 * 3600)
    with member.request() as session:
        session["name"]
    assert store.pop_calls() == ["load", "save"]
    with member.request() as session:
        session["name"]
    assert store.pop_calls() == ["load"]


@pytest.mark.parametrize("cookie", ["none", "malformed", "forged", "of another name", "too old"])
def test_a_request_without_a_valid_cookie_costs_nothing_to_read_and_one_to_write(
    cookie: str, member: Visitor, store: RecordingStore, clock: ManualClock
) -> None:
    """Rejected for free; a new session is one round trip."""
    manager, value = member.manager, member.cookie
    header = {
        "none": "",
        "malformed": f"sid={value[:40]}",
        "forged": f"sid={value[:-2]}{'A' if value[-2] != 'A' else 'B'}{value[-1]}",
        "of another name": f"sid2={value}",
        "too old": f"sid={value}",
    }[cookie]
    if cookie == "too old":
        clock.advance(401 * 86_400)
    _read(manager, header)
    assert store.pop_calls() == []
    session = manager.open(header)
    session["name"] = "Grace"
    manager.commit(session)
    assert store.pop_calls() == ["save"]


def _read(manager: SessionManager, header: str) -> None:
    session = manager.open(header)
    assert session.get("name") is None
    manager.commit(session)
