"""What must be true when overlapping requests are over, whatever the order was.

The model reads the history of store calls and keeps plain dicts:

* A request stands for what its cookie opened when it loaded. Each save that the store accepts
  makes the script's effect on what is there at that moment; nothing is lost, because the effect
  starts from there and not from what the request saw.
* A request is *superseded* when it finds that another has replaced the secret of its session, or
  ended it. From then on it changes nothing, and its response carries no ``Set-Cookie``. (One that
  finds nothing at its very first load is no such case: it is a new visitor.)
* A login is never superseded: what it has put is then in a session of its own.
* A logout ends the session that it loaded, also if a login replaced the secret meanwhile.
* A cookie is sent by who made the session, replaced the secret, renewed it, or changed
  ``permanent``. (Where two do the last, or a save meets it, either may tell the browser.) It is
  expired by who ended the session, or failed to, or tried to and found none.
* A request that meets a failure is told so, in a response that sets the cookie which its earlier
  saves have promised. Where its last save or deletion failed after it was done, it is done
  nevertheless, and then there may be a session whose cookie nobody got. So that no login is lost
  that way, a save with a new secret whose answer was lost is taken for done: its cookie is sent,
  and opens nothing if it was not.

The browser may get the responses in any order. The cookie it then holds opens the newest state of
the session. There is one exception, which no server can avoid, because HTTP has no conditional
``Set-Cookie``: see :func:`outrun`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import permutations
from typing import NamedTuple

from tests.guarantees.interleavings.schedule import Call, Fate
from tests.guarantees.interleavings.scripts import Script, Values, is_empty, keys
from tests.guarantees.interleavings.stage import Response, Stage

BROWSER = -1
"""The secret that the browser came with; the others are numbered by the request that made them."""


class State(NamedTuple):
    """A session that lives."""

    values: Values
    secret: int


class Cookie(NamedTuple):
    """One that was sent."""

    key: str
    secret: int


EXPIRED = Cookie("", BROWSER)


@dataclass
class Request:
    """What the model knows of one request."""

    number: int
    script: Script
    secret: int
    """Of the session that it has: the browser's, or one of its own."""
    attached: bool = False
    """It found a session at its first load."""
    seen: Values | None = None
    """At the first load."""
    there: Values = field(default_factory=dict)
    """When it last heard from the store."""
    permanent: bool = False
    """What it takes this to be, by its first load or its last save."""
    token: str | None = None
    """The first one it met."""
    saves: int = 0
    superseded: bool = False
    ended: bool = False
    failed: bool = False
    """One of its store calls did."""
    unheard: bool = False
    """It may have changed something without knowing."""
    cookie: Cookie | None = None
    cookie_since: int = -1
    may_be_silent: bool = False
    in_doubt: bool = False
    """Its cookie is that of a save whose answer was lost."""

    @property
    def me(self) -> str:
        return "ABC"[self.number]

    def heard(self, values: Values) -> None:
        self.there = values
        self.token = self.token or values.get("csrf")

    def after_save(self) -> Values:
        """What the next save of this request makes of what it knows to be there."""
        if self.saves >= len(self.script.effects):
            return self.there
        return self.script.effects[self.saves](self.seen or {}, self.there, self.me)


class Reference:
    """The model of one run."""

    def __init__(self, stage: Stage, scripts: Sequence[Script]) -> None:
        self.stage = stage
        self.due = stage.visit == "due"
        self.sessions: dict[str, State | None] = {}
        if stage.first:
            self.sessions[stage.first[:22]] = State(stage.start, BROWSER)
        self.requests = [
            Request(number, script, BROWSER if stage.first else number)
            for number, script in enumerate(scripts)
        ]

    # What the history means

    def follow(self, history: Iterable[Call]) -> None:
        for at, call in enumerate(history):
            request = self.requests[call.request]
            request.failed |= call.fate is not Fate.DONE
            request.unheard |= call.fate is Fate.UNHEARD and call.operation in ("save", "delete")
            promised = request.cookie, request.cookie_since
            if call.operation == "load" and call.fate is Fate.DONE:
                self._load(request, call, at)
            elif call.fate is not Fate.LOST:
                if call.operation == "save" and call.accepted:
                    self._save(request, call, at)
                elif call.operation == "delete":
                    self._end(request, call.key, at)
            if call.fate is not Fate.DONE:
                request.cookie, request.cookie_since = promised
                if call.operation == "save" and request.script.new_secret:
                    request.cookie, request.cookie_since = Cookie(call.key, request.number), at
                    request.in_doubt = True

    def _load(self, request: Request, call: Call, at: int) -> None:
        state = self.sessions.get(call.key)
        first = request.seen is None
        if state is not None and state.secret == request.secret:
            request.attached = True
        elif state is None and first:
            request.secret = request.number  # a new visitor
            if request.script.logs_out:
                request.cookie, request.cookie_since = EXPIRED, at
        else:
            request.superseded, request.cookie = True, None
        values = {} if state is None or request.superseded else state.values
        if first:
            request.seen, request.permanent = values, "@permanent" in values
        request.heard(values)

    def _save(self, request: Request, call: Call, at: int) -> None:
        creates = call.key not in self.sessions
        if creates and request.superseded and request.script.logs_in:
            request.superseded, request.seen, request.permanent = False, {}, False
        assert not request.superseded, "a superseded request changed something"
        if creates:
            request.secret = request.number
        state = State({}, request.secret) if creates else self.sessions[call.key]
        assert state is not None, "a save brought back a session that had ended"
        assert state.secret == request.secret, "a save got past a login"
        request.there = state.values
        values = request.after_save()
        request.saves += 1
        request.heard(values)
        if is_empty(values):
            self._end(request, call.key, at)
            return
        if request.script.new_secret:
            request.secret = request.number
        self.sessions[call.key] = State(values, request.secret)
        renewed = self.due and request.attached
        must = creates or renewed or request.script.new_secret
        if _tells_browser(request, state.values, values, must=must):
            request.cookie, request.cookie_since = Cookie(call.key, request.secret), at

    def _end(self, request: Request, key: str, at: int) -> None:
        assert not request.superseded, "an superseded request ended a session"
        self.sessions[key] = None
        request.ended = True
        request.cookie, request.cookie_since = EXPIRED, at

    # What must be true at the end

    def check(self, responses: Sequence[Response]) -> None:
        # A renewal that fails is forgiven, and none is tried for a second after it.
        due = self.due and not self._forgives()
        for request, response in zip(self.requests, responses, strict=True):
            check_response(request, response, due)
            request.cookie = self._sent(request, response)
        self._check_cookies(responses)
        self._check_store()
        for order in permutations(request for request in self.requests if request.cookie):
            self._check_jar(order)

    def _forgives(self) -> bool:
        """Whether a renewal may have failed without a word."""
        return self.due and any(request.failed for request in self.requests)

    def _sent(self, request: Request, response: Response) -> Cookie | None:
        """What the response must say about the cookie."""
        if response.status == 200:
            silent = (request.may_be_silent or self._forgives()) and response.cookie is None
            return None if silent else request.cookie
        empties = request.script.name == "empty" and request.attached
        # A clear() that fails may have been a logout, whatever was put after it.
        ends = request.script.logs_out or request.script.name == "refill"
        ends = ends or (empties and is_empty(request.after_save()))
        tried = self.stage.first and ends and response.status == 503
        found_none = not (request.attached or request.superseded)
        if tried and (request.attached or request.seen is None or found_none):
            return EXPIRED
        return None if ends else request.cookie

    def _check_cookies(self, responses: Sequence[Response]) -> None:
        """Each is what the model says, and opens what it stands for and nothing else."""
        known = {Cookie(self.stage.first[:22], BROWSER): self.stage.first[22:44]}
        for request, response in zip(self.requests, responses, strict=True):
            if request.cookie is None:
                assert response.cookie is None, f"{request.me} must not send a cookie"
            elif request.cookie is EXPIRED:
                assert response.cookie == "", f"{request.me} must expire the cookie"
            else:
                assert response.cookie, f"{request.me} must send a cookie"
                assert response.cookie[:22] == request.cookie.key, "the id is another one"
                secret = known.setdefault(request.cookie, response.cookie[22:44])
                assert response.cookie[22:44] == secret, "the secret is another one"
        assert len(set(known.values())) == len(known), "a secret was used again"
        for value in [self.stage.first, *(response.cookie for response in responses)]:
            if value:
                secret = next(one for one, text in known.items() if text == value[22:44])
                found = self.stage.opens(value)
                assert found == self.opened_by(secret), "a cookie opens something else"
        self._check_orphans(known)

    def opened_by(self, cookie: Cookie) -> Values | None:
        state = self.sessions.get(cookie.key)
        return state.values if state is not None and state.secret == cookie.secret else None

    def _check_orphans(self, known: Iterable[Cookie]) -> None:
        """Someone has the cookie of every session, unless who was to send it met a failure."""
        for key, state in self.sessions.items():
            if state is not None and Cookie(key, state.secret) not in known:
                assert self.requests[state.secret].failed, "a session that nobody can open"

    def _check_store(self) -> None:
        living = {key: state for key, state in self.sessions.items() if state is not None}
        assert self.stage.stored() == set(living), "the store holds more, or less, than what lives"
        for key, state in living.items():
            owner, former = state.values.get("@owner"), self.stage.start.get("@owner")
            if owner is not None:
                assert self.stage.owners_of(key, owner), "not listed"
            if former not in (None, owner) and not any(one.failed for one in self.requests):
                assert not self.stage.owners_of(key, former, without_index=False), "still listed"

    def _check_jar(self, order: Sequence[Request]) -> None:
        """The browser that gets the responses in this order holds the newest session."""
        cookie = order[-1].cookie if order else Cookie(self.stage.first[:22], BROWSER)
        if cookie == EXPIRED or outrun(order) or any(one.unheard for one in self.requests):
            return
        if order and order[-1].in_doubt:
            return
        assert self.opened_by(cookie) is not None, "the browser holds a dead cookie"


def _tells_browser(request: Request, before: Values, after: Values, *, must: bool) -> bool:
    """Whether a save is a reason to send the cookie. It *must* be, or ``permanent`` is changed by
    this save, or by another since this request loaded: if one but not both, it may say nothing."""
    permanent = "@permanent" in after
    changed = permanent != ("@permanent" in before)
    news = permanent != request.permanent
    request.permanent = permanent
    must = must or (changed and news)
    if must or changed or news:
        request.may_be_silent = not must and (request.may_be_silent or request.cookie is None)
    return must or changed or news


def outrun(order: Sequence[Request]) -> bool:
    """Whether the last response to arrive says less than one that arrived before.

    Its cookie was right when its request committed; another request committed later, and its
    response was faster. If the one is a renewal and the other a login, the browser holds a cookie
    that the login has replaced, and the user has to log in again.
    """
    return any(one.cookie_since > order[-1].cookie_since for one in order)


def check_response(request: Request, response: Response, due: bool) -> None:
    """What was acknowledged has been done, and what was answered is true."""
    if response.status != 200:
        assert request.failed, f"{request.me} failed without a reason"
        return
    if request.superseded:
        assert not request.script.logs_in, f"{request.me} is not logged in"
        return
    name = request.script.name
    if name == "read":
        seen = request.seen or {}
        assert response.answer == {key: seen[key] for key in keys(seen)}, "not what was there"
    if name == "token":
        assert response.answer == request.token, "not the token of this session"
    if request.script.logs_out and request.attached:
        assert request.ended, f"{request.me} did not end the session"
    if not request.ended:
        left = request.after_save()
        changes = left != request.there or (request.script.new_secret and not request.saves)
        nothing_to_store = is_empty(left) and not request.attached
        assert not changes or nothing_to_store, f"a change of {request.me} is lost"
        assert not due or not request.attached or request.saves, f"{request.me} did not renew"
