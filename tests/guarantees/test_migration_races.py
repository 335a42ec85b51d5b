"""Two requests with the same old cookie, in every order; and workers that die on the way."""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Callable, Hashable, Iterator
from typing import Any

import pytest

from tests.guarantees.interleavings import schedule
from tests.guarantees.interleavings.schedule import Call, PausingStore, every_schedule, run
from tests.support.old_library import OldLibrary
from tests.support.visitor import Visitor
from wsgi_sessions import MemoryStore, Session, SessionManager, StoreUnavailable
from wsgi_sessions.cookie.token import ID_LENGTH
from wsgi_sessions.migration import OldSession
from wsgi_sessions.stores import Stored
from wsgi_sessions.testing import ManualClock

SECRET = "the signing secret of the tests"
Act = Callable[[Session], object]


def sessions_in(store: MemoryStore) -> list[str]:
    return [key for key in list(store.keys()) if len(key) == ID_LENGTH]


class Browser(Visitor):
    """Has the old cookie, and takes over what each response sets."""

    @property
    def header(self) -> str:
        return super().header or "old=k"


class PausingPlace(PausingStore):
    """The old place. What happens there and what happens in the new one cannot tell which of them
    was first."""

    def _call(self, operation: str, key: str, do: Callable[..., Any], *arguments: Any) -> Any:
        return super()._call(f"old {operation}", key, do, *arguments)


class Race:
    """Two requests of one browser, between an old place and a new one."""

    def __init__(self, clock: ManualClock) -> None:
        self.store, self.clock = MemoryStore(clock=clock), clock
        self.old = OldLibrary(MemoryStore(clock=clock))
        self.old.put("k", user="ada")
        self.history: list[Call] = []
        self.cookies: list[str] = []
        self.failed: list[int] = []

    def request(self, number: int, act: Act) -> Callable[[], None]:
        old = OldLibrary(PausingPlace(self.old.place))
        store = PausingStore(self.store)
        old.place.history = store.history = self.history
        options: dict[str, Any] = {"secret": SECRET, "clock": self.clock, "migrate_from": old}

        def answer() -> None:
            visitor = Browser(SessionManager(store, **options))
            visitor.manager.repository.before_create = lambda: None  # that is another subject
            try:
                with visitor.request() as session:
                    act(session)
            except StoreUnavailable:
                self.failed.append(number)
            self.cookies.append(visitor.cookie)

        return answer

    def afterwards(self, cookie: str = "") -> dict[str, object]:
        """What a later request finds, by this cookie or by the old one."""
        options: dict[str, Any] = {"secret": SECRET, "clock": self.clock}
        manager = SessionManager(self.store, migrate_from=self.old, **options)
        return Browser(manager, cookie).read()


def put(name: str) -> Act:
    return lambda session: session.update({name: session["user"]})


def read(session: Session) -> object:
    return session["user"]


def if_it_is_there(act: Act) -> Act:
    """*act*, unless the other request has ended the session before."""
    return lambda session: act(session) if "user" in session else None


def log_out(session: Session) -> None:
    session.invalidate()


def log_in(session: Session) -> None:
    session["user"]
    session.login("ada")


@pytest.fixture(autouse=True)
def _fast(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr("wsgi_sessions.session.repository.uniform", lambda least, most: 0.0)
    monkeypatch.setattr(schedule, "ELSEWHERE", ("old load", "old delete"))
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


def every_race(clock: ManualClock, *acts: Act, failures: int = 0) -> Iterator[Race]:
    """Two requests that do this, run in every order."""
    for choices in every_schedule():
        race = Race(clock)
        requests = [race.request(number, act) for number, act in enumerate(acts)]
        if run(requests, race.history, choices, failures=failures, pruned=True):
            yield race


def test_in_every_order_there_is_one_session(clock: ManualClock) -> None:
    """With the changes of both requests; the old one is gone."""
    refusals: Counter[int] = Counter()
    for race in every_race(clock, put("a"), put("b")):
        assert len(sessions_in(race.store)) == 1
        assert race.old.read("k") is None
        for cookie in ("", *race.cookies):
            assert race.afterwards(cookie) == {"user": "ada", "a": "ada", "b": "ada"}
        refusals[sum(call.operation == "save" and not call.accepted for call in race.history)] += 1
    assert set(refusals) == {0, 1, 2}  # nothing; the claim or the session; both
    assert refusals.total() > 500


@pytest.mark.parametrize("other", [read, put("b")], ids=["read", "put"])
def test_in_every_order_a_logout_is_final(clock: ManualClock, other: Act) -> None:
    """No request in flight brings the session back, whichever of them took it over."""
    for race in every_race(clock, log_out, if_it_is_there(other)):
        assert sessions_in(race.store) == []
        assert race.old.read("k") is None
        for cookie in ("", *race.cookies):
            assert race.afterwards(cookie) == {}


def test_in_every_order_a_login_kills_the_old_cookie(clock: ManualClock) -> None:
    """The other request's changes are saved before it, or dropped."""
    for race in every_race(clock, log_in, if_it_is_there(put("b"))):
        assert len(sessions_in(race.store)) == 1
        assert any(race.afterwards(cookie).get("user") == "ada" for cookie in race.cookies)
        clock.advance(60)
        assert race.afterwards() == {}


def test_in_every_order_one_failing_call_loses_nothing(clock: ManualClock) -> None:
    """Done or not, and reported as failed: who comes again has the session, and it is one."""
    for race in every_race(clock, read, read, failures=1):
        assert race.afterwards() == {"user": "ada"}
        assert all(race.afterwards(cookie) == {"user": "ada"} for cookie in race.cookies)
        assert race.old.read("k") is None
        assert len(race.failed) <= 1


class Killed(BaseException):
    """The worker is gone."""


class MortalStore:
    """Dies at one of its calls, before or after it is done."""

    def __init__(self, store: Any, life: list[int], *, after: bool) -> None:
        self._store, self._life, self._after = store, life, after

    def _call(self, do: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
        self._life[0] -= 1
        if self._life[0] == 0 and not self._after:
            raise Killed
        answer = do(*arguments, **options)
        if self._life[0] == 0:
            raise Killed
        return answer

    def load(self, key: str) -> Stored | None:
        return self._call(self._store.load, key)

    def save(self, key: str, data: bytes, **options: Any) -> Hashable | None:
        return self._call(self._store.save, key, data, **options)

    def delete(self, key: str) -> None:
        self._call(self._store.delete, key)


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_a_worker_that_dies_loses_nothing(clock: ManualClock, after: bool) -> None:
    """At each of its calls to both places: the next request has the session, all of it; the
    old record goes; and a logout is final."""
    deaths = 0
    for call in range(1, 20):
        store, place = MemoryStore(clock=clock), MemoryStore(clock=clock)
        OldLibrary(place).put("k", user="ada", cart=["tea"])
        life = [call]
        options: dict[str, Any] = {"secret": SECRET, "clock": clock}
        mortal = SessionManager(
            MortalStore(store, life, after=after),
            migrate_from=OldLibrary(MortalStore(place, life, after=after)),
            **options,
        )
        try:
            with Browser(mortal).request() as session:
                session["user"]
        except Killed:
            deaths += 1
        manager = SessionManager(store, migrate_from=OldLibrary(place), **options)
        survivor = Browser(manager)
        with survivor.request() as session:
            assert session.copy() == {"user": "ada", "cart": ["tea"]}
        assert OldLibrary(place).read("k") is None
        with survivor.request() as session:
            session.invalidate()
        assert Browser(manager).read() == {}
    assert deaths == 9  # two of the calls are about the signing key


def test_two_threads_that_have_both_read_the_old_session(clock: ManualClock) -> None:
    """Held until each has: they end up in one session with the changes of both."""
    both = threading.Barrier(2)

    class Slow(OldLibrary):
        def read(self, key: str) -> OldSession | None:
            found = super().read(key)
            both.wait(timeout=60)
            return found

    store, old = MemoryStore(clock=clock), Slow()
    old.put("k", user="ada")
    manager = SessionManager(store, secret=SECRET, clock=clock, migrate_from=old)
    browsers = [Browser(manager), Browser(manager)]

    def answer(number: int) -> None:
        with browsers[number].request() as session:
            session[f"n{number}"] = session["user"]

    threads = [threading.Thread(target=answer, args=(number,)) for number in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(sessions_in(store)) == 1
    for browser in browsers:
        assert browser.read() == {"user": "ada", "n0": "ada", "n1": "ada"}
