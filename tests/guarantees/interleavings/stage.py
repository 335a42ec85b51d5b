"""Where scripts are played: the session of a browser, behind the middleware, on a pausing store."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from tests.guarantees.interleavings.schedule import (
    Call,
    Choices,
    PausingIndexedStore,
    pausing,
    run,
)
from tests.guarantees.interleavings.scripts import START, Script, Values
from wsgi_sessions import SessionManager, SessionMiddleware, StoreUnavailable
from wsgi_sessions.stores.base import OwnerIndex, Store
from wsgi_sessions.testing import ManualClock

DAY = 86_400
VISITS = {
    "fresh": "a cookie that was just sent",
    "due": "a cookie whose renewal is due",
    "member": "the cookie of somebody who is logged in",
    "none": "no cookie, because this is the first visit",
}
OPTIONS: dict[str, Any] = {
    "secret": "a secret of the tests",
    "lifetime": DAY,
    "permanent_lifetime": DAY,
    "login_keys": ["user_id"],
    "merge_keys": ["tabs"],
}


@dataclass
class Response:
    """What the browser got."""

    status: int
    answer: Any
    cookie: str | None
    """The new value of the cookie; ``""`` if it was expired, ``None`` if nothing was said."""


class Stage:
    """Plays scripts against *store*, again and again, each time from the same beginning.

    *visit* says what the browser has when it sends the requests, one of :data:`VISITS`.
    """

    def __init__(self, store: Store, clock: ManualClock, visit: str) -> None:
        self.store = store
        self.visit = visit
        self.manager = SessionManager(store, clock=clock, **OPTIONS)
        self._clock = clock
        self._pausing = pausing(store)
        self._middleware = SessionMiddleware(_application, self._pausing, clock=clock, **OPTIONS)
        # Which keys sign is compared with the store once in a process: that is another subject.
        self._middleware.manager.repository.before_create = lambda: None
        self.first = ""
        self.start: Values = START | {"@owner": "me"} if visit == "member" else START
        if visit != "none":
            self._begin()

    def _begin(self) -> None:
        session = self.manager.open(None)
        session.update(START)
        if "@owner" in self.start:
            session.login(self.start["@owner"])
        [(_, header)] = self.manager.commit(session)
        self.first = _cookie_value(header)
        self._record = self.store.load(session.id)
        if self.visit == "due":
            self._clock.advance(DAY / 8)

    def _reset(self) -> None:
        for key in {call.key for call in self._pausing.history}:
            self.store.delete(key)
        self._pausing.history.clear()
        if isinstance(self._pausing, PausingIndexedStore):
            for key, owner in self._pausing.listed:
                self._take_off(key, owner)
            self._pausing.listed.clear()
        if self.first:
            key, owner = self.first[:22], self.start.get("@owner")
            self.store.delete(key)
            record = {"expires_at": self._clock() + DAY, "replacing": None}
            if owner is not None and isinstance(self.store, OwnerIndex):
                self.store.save_owned(key, self._record.data, **record, owner=owner, was=None)
            else:
                self.store.save(key, self._record.data, **record)

    def _take_off(self, key: str, owner: str) -> None:
        """What no session does, a key that is used again, needs the list cleared of it."""
        end = {"expires_at": self._clock() + DAY, "was": owner}
        self.store.delete(key)
        version = self.store.save_owned(key, b"", **end, replacing=None, owner=owner)
        self.store.save_owned(key, b"", **end, replacing=version, owner=None)
        self.store.delete(key)

    def play(
        self, scripts: Sequence[Script], choices: Choices, **how: Any
    ) -> tuple[list[Call], list[Response]] | None:
        """Play *scripts* at once in the order of *choices*: what the store did, what came back.
        *how* is what :func:`~tests.guarantees.interleavings.schedule.run` takes."""
        self._reset()
        # A renewal that failed in the order before is no reason to try none in this.
        self._middleware.manager.repository._unrenewed_at = -1e9
        history = self._pausing.history
        responses: dict[int, Response] = {}

        def serve(number: int) -> None:
            responses[number] = self._request(scripts[number], "ABC"[number])

        requests = [partial(serve, number) for number in range(len(scripts))]
        if not run(requests, history, choices, **how):
            return None
        return history, [responses[number] for number in range(len(scripts))]

    def _request(self, script: Script, me: str) -> Response:
        response = Response(500, None, None)

        def start_response(status: str, headers: Iterable[tuple[str, str]], *_: Any) -> Callable:
            response.status = int(status[:3])
            cookies = [value for name, value in headers if name == "Set-Cookie"]
            if cookies:
                [header] = cookies
                response.cookie = _cookie_value(header)
            return _no_write

        def act(session: Any) -> None:
            response.answer = script.act(session, me)

        environ = {"act": act, "wsgi.url_scheme": "http", "HTTP_HOST": "localhost"}
        if self.first:
            environ["HTTP_COOKIE"] = f"sid={self.first}"
        try:
            self._middleware(environ, start_response)
        except StoreUnavailable:
            response.status = 500  # by the server: the application let the exception through
        return response

    # What is there afterwards

    def opens(self, cookie: str) -> Values | None:
        """What a request with this cookie finds; ``None`` if no session."""
        session = self.manager.open(f"sid={cookie}")
        if session.new:
            assert dict(session) == {}
            return None
        header = {"@owner": session.owner, "@permanent": session.permanent}
        return dict(session) | {name: value for name, value in header.items() if value}

    def stored(self) -> set[str]:
        """The keys of what the store holds."""
        keys = {call.key for call in self._pausing.history} | {self.first[:22] or "none"}
        return {key for key in keys if self.store.load(key) is not None}

    def owners_of(self, key: str, owner: str, *, without_index: bool = True) -> bool:
        """Whether the session is listed under *owner*; *without_index* if the store has none."""
        return (
            key in self.store.keys_of(owner)
            if isinstance(self.store, OwnerIndex)
            else without_index
        )


def _application(environ: dict[str, Any], start_response: Callable) -> list[bytes]:
    environ["act"](environ["wsgi.session"])
    start_response("200 OK", [])
    return []


def _no_write(data: bytes) -> None:
    raise AssertionError("nobody writes")


def _cookie_value(header: str) -> str:
    return header.partition(";")[0].partition("=")[2]
