"""Anything may happen to a few visitors in any order; each always sees what the model says.

The model is a plain dict for each session and the moments that end it. It is exact but for one
thing: renewal is throttled, so a session that was last used between 0.9 and 1.0 of its lifetime
ago may have ended or not. There the application's word is taken.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    rule,
    run_state_machine_as_test,
)

from tests.support.browser import Browser, Jar, Page
from tests.support.every_store import STORES
from wsgi_sessions import Session, SessionMiddleware, Store
from wsgi_sessions.stores.base import Purgeable
from wsgi_sessions.testing import ManualClock

IDLE, PERMANENT, ABSOLUTE = 1000, 2000, 2500
STEPS = [1, 29, 31, 101, 500, 899, 900, 950, 999, 1000, 1799, 1800, 1999, 2000, 2499, 2500]

EXAMPLES = {"memory": 200}
"""There the model is tried, with the others the store."""

Action = Callable[[Session], Any]

clients = st.integers(0, 2)
keys = st.sampled_from(["a", "b", "c"])
values = st.one_of(
    st.integers(),
    st.text(max_size=5),
    st.lists(st.integers(), max_size=2),
    st.dictionaries(st.text(max_size=2), st.datetimes(), max_size=2),
    st.tuples(st.booleans(), st.none()),
)
names = st.sampled_from(["ann", "bob"])


class Crash(Exception):
    """What the application raises."""


@dataclass
class Truth:
    """A session as it must be."""

    values: dict[str, Any]
    began_at: float
    used_at: float
    owner: str | None = None
    permanent: bool = False

    @property
    def is_empty(self) -> bool:
        return not self.values and self.owner is None

    def is_over(self, now: float) -> bool | None:
        """``None`` if it may be or not."""
        lifetime = PERMANENT if self.permanent else IDLE
        idle = now - self.used_at
        if idle >= lifetime or now - self.began_at >= ABSOLUTE:
            return True
        return None if idle >= 0.9 * lifetime else False


@dataclass
class Client:
    """A browser, the session it must have, and the key its cookie is signed with."""

    browser: Browser
    truth: Truth | None = None
    signed_with: str = ""
    stale: list[Jar] = field(default_factory=list)
    """What it held before, and must not open anything any more."""


class Visitors(RuleBasedStateMachine):
    """Three clients of one application on *store*."""

    def __init__(self, store: Store, clock: ManualClock) -> None:
        super().__init__()
        self.store, self.clock = store, clock
        self.secrets = ["secret 0"]
        self.rotations = 0
        self.clients = [Client(Browser(self.serve, clock)) for _ in range(3)]
        self.action: Action = dict
        self.answer: Any = None
        self.restart()

    # The application

    def serve(self, environ: Any, start_response: Any) -> Any:
        return self.app(environ, start_response)

    def application(self, environ: Any, start_response: Any) -> list[bytes]:
        action, session = self.action, environ["wsgi.session"]
        self.answer = action(session)
        start_response("200 OK", [])
        return []

    def request(self, client: Client, action: Action) -> Any:
        """One request; the answer of *action*."""
        held = client.browser.jar.copy()
        self.action = action
        page = client.browser.get()
        self.take_note(client, held, page)
        return self.answer

    def take_note(self, client: Client, held: Jar, page: Page) -> None:
        assert page.status == 200
        if page.cookies:
            client.signed_with = self.secrets[0]
            now_held = {one.value[:44] for one in client.browser.jar}
            if {one.value[:44] for one in held} - now_held:
                client.stale = [*client.stale[-2:], held]

    # The truth

    def meet(self, number: int) -> tuple[Client, Truth]:
        """The client, and the session that its next request will find: an empty one if none."""
        client, now = self.clients[number], self.clock()
        if client.truth is not None:
            over = client.truth.is_over(now) or client.signed_with not in self.secrets
            if over or (client.truth.is_over(now) is None and not self.peek(client.browser.jar)):
                client.truth = None
        truth = client.truth or Truth({}, began_at=now, used_at=now)
        truth.used_at = now
        return client, truth

    def settle(self, client: Client, truth: Truth) -> None:
        """After a request that saw *truth* and left it as it is now."""
        client.truth = None if truth.is_empty else truth

    def peek(self, jar: Jar) -> Any:
        """What a request with these cookies would find, without making one."""
        session = self.app.manager.open(jar.header_for("https://shop.example/"))
        return None if session.new else (dict(session), session.owner, session.permanent)

    @invariant()
    def every_client_sees_its_session(self) -> None:
        for client in self.clients:
            found, truth = self.peek(client.browser.jar), client.truth
            over = truth is None or truth.is_over(self.clock())
            if over or client.signed_with not in self.secrets:
                assert found is None
            elif found is not None or over is False:
                assert found == (truth.values, truth.owner, truth.permanent)

    @invariant()
    def what_was_replaced_opens_nothing(self) -> None:
        for client in self.clients:
            for jar in client.stale:
                assert self.peek(jar) is None

    # What a request does

    @rule(number=clients)
    def read(self, number: int) -> None:
        client, truth = self.meet(number)
        assert self.request(client, dict) == truth.values
        self.settle(client, truth)

    @rule(number=clients, key=keys, value=values)
    def put(self, number: int, key: str, value: Any) -> None:
        client, truth = self.meet(number)
        self.request(client, lambda session: session.__setitem__(key, value))
        truth.values[key] = deepcopy(value)
        self.settle(client, truth)

    @rule(number=clients, key=keys)
    def delete(self, number: int, key: str) -> None:
        client, truth = self.meet(number)
        gone = self.request(client, lambda session: session.pop(key, None))
        assert gone == truth.values.pop(key, None)
        self.settle(client, truth)

    @rule(number=clients)
    def clear(self, number: int) -> None:
        client, _ = self.meet(number)
        self.request(client, lambda session: session.clear())
        client.truth = None

    @rule(number=clients, item=values)
    def append(self, number: int, item: Any) -> None:
        client, truth = self.meet(number)
        self.request(client, lambda session: session.setdefault("cart", []).append(item))
        truth.values["cart"] = [*truth.values.get("cart", []), item]
        self.settle(client, truth)

    @rule(number=clients, by=st.integers(-3, 3))
    def increment(self, number: int, by: int) -> None:
        client, truth = self.meet(number)
        answer = self.request(client, lambda session: session.increment("hits", by))
        truth.values["hits"] = truth.values.get("hits", 0) + by
        assert answer == truth.values["hits"]
        self.settle(client, truth)

    @rule(number=clients, item=values)
    def mutate(self, number: int, item: Any) -> None:
        client, truth = self.meet(number)
        self.request(client, lambda session: session.mutate("log", lambda log: [*log, item], []))
        truth.values["log"] = [*truth.values.get("log", []), item]
        self.settle(client, truth)

    @rule(number=clients, made=st.text(max_size=3))
    def get_or_create(self, number: int, made: str) -> None:
        client, truth = self.meet(number)
        answer = self.request(client, lambda session: session.get_or_create("csrf", lambda: made))
        assert answer == truth.values.setdefault("csrf", made)
        self.settle(client, truth)

    @rule(number=clients, permanent=st.booleans())
    def remember(self, number: int, permanent: bool) -> None:
        client, truth = self.meet(number)
        self.request(client, lambda session: setattr(session, "permanent", permanent))
        truth.permanent = permanent
        self.settle(client, truth)

    @rule(number=clients)
    def regenerate(self, number: int) -> None:
        client, truth = self.meet(number)
        held = len(client.stale)
        self.request(client, lambda session: session.regenerate())
        self.settle(client, truth)
        assert client.truth is None or len(client.stale) > min(held, 2)

    @rule(number=clients, name=names)
    def login(self, number: int, name: str) -> None:
        client, truth = self.meet(number)
        self.request(client, lambda session: session.login(name))
        if truth.owner not in (None, name):
            truth.values, truth.permanent = {}, False
        truth.owner, truth.began_at = name, self.clock()
        self.settle(client, truth)

    @rule(number=clients)
    def logout(self, number: int) -> None:
        client, truth = self.meet(number)
        self.request(client, lambda session: session.invalidate())
        client.truth = None
        assert truth.is_empty or list(client.browser.jar) == []

    # What goes wrong

    @rule(number=clients, key=keys, ending=st.sampled_from(["nothing", "login", "invalidate"]))
    def crash_before_commit(self, number: int, key: str, ending: str) -> None:
        """The application raises: nothing that it did is saved."""

        def crash(session: Session) -> None:
            session[key] = "never saved"
            session.setdefault("cart", []).append("never saved")
            if ending == "login":
                session.login("nobody")
            if ending == "invalidate":
                session.invalidate()
            raise Crash

        self.action = crash
        with pytest.raises(Crash):
            self.clients[number].browser.get()

    @rule(number=clients, value=values, meanwhile=st.sampled_from(["put", "login", "logout"]))
    def overlap(self, number: int, value: Any, meanwhile: str) -> None:
        """One request loads, another of the same browser is served, then the first goes on."""
        client, truth = self.meet(number)
        if client.truth is None:
            return

        def slow(session: Session) -> None:
            dict(session)
            getattr(self, meanwhile)(
                number, *{"put": ("b", value), "login": ("ann",)}.get(meanwhile, ())
            )
            session["a"] = value

        self.action = slow
        held = client.browser.jar.copy()
        page = client.browser.get()
        if meanwhile == "put":
            truth.values["a"] = deepcopy(value)
            self.take_note(client, held, page)
        else:
            assert page.cookies == []

    @rule(number=clients, value=values)
    def write_with_what_was_replaced(self, number: int, value: Any) -> None:
        """It reaches no session that there is."""
        for jar in self.clients[number].stale:
            thief = Browser(self.serve, self.clock)
            thief.jar = jar.copy()
            self.action = lambda session: session.update(stolen=value, seen=len(session))
            thief.get()

    # What operators do

    @rule(seconds=st.sampled_from(STEPS))
    def wait(self, seconds: int) -> None:
        self.clock.advance(seconds)

    @rule(number=clients, times=st.integers(1, 3), seconds=st.sampled_from([95, 450, 899]))
    def wait_and_read(self, number: int, times: int, seconds: int) -> None:
        for _ in range(times):
            self.clock.advance(seconds)
            self.read(number)

    @rule()
    def purge(self) -> None:
        if isinstance(self.store, Purgeable):
            self.store.purge()

    @rule()
    def restart(self) -> None:
        first, *fallbacks = self.secrets
        self.app = SessionMiddleware(
            self.application,
            self.store,
            secret=first,
            fallback_secrets=fallbacks,
            lifetime=IDLE,
            permanent_lifetime=PERMANENT,
            absolute_lifetime=ABSOLUTE,
            clock=self.clock,
        )

    @rule()
    def rotate_the_secret(self) -> None:
        self.rotations += 1
        self.secrets.insert(0, f"secret {self.rotations}")
        self.restart()

    @rule()
    def drop_the_fallback_secrets(self) -> None:
        del self.secrets[1:]
        self.restart()


@pytest.fixture
def clock() -> ManualClock:
    """Servers have clocks of their own, so this one starts with the present."""
    return ManualClock(float(int(time.time())))


SLOW = ("mongodb", "dynamodb")
"""Their servers are stand-ins, slower than all others together: ``make full`` has them."""


@pytest.mark.parametrize(
    "store_name",
    [pytest.param(name, marks=pytest.mark.full) if name in SLOW else name for name in STORES],
)
def test_every_client_always_sees_its_session(
    request: pytest.FixtureRequest, clock: ManualClock, store_name: str
) -> None:
    """The same model for every store."""
    store = STORES[store_name](request, clock)
    embedded = store_name in ("memory", "file", "sqlite")
    run_state_machine_as_test(
        lambda: Visitors(store, clock),
        settings=settings(max_examples=150 if embedded else 15, stateful_step_count=40),
    )
