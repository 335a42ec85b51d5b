"""Those who use the sessions meanwhile, and what they must never see.

A write that was answered 503 may have been done or not: a server that hung can do it when nobody
waits for the answer any more. So what a visitor may find is what was last answered 200, or one of
the writes since.
"""

from __future__ import annotations

import json
import random
import secrets
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException
from multiprocessing.context import SpawnContext
from typing import Any
from urllib.parse import urlsplit

SESSIONS = 25
PAUSE = 0.4  # seconds between two requests of a visitor, on average
PATIENCE = 30.0  # seconds until a store has to work again, after the last fault
SETTLE = 1.2  # seconds before the comparison; breakers close within one
TICK = 0.1  # seconds


class Run:
    """What the processes of one run know of each other. *refusals* are the statuses that tell of
    a store that does not work."""

    def __init__(self, context: SpawnContext, processes: int, refusals: set[int]) -> None:
        self._refusals = refusals
        self.begun = context.Barrier(processes + 1)
        self.over = context.Event()
        self._written = context.Value("L")
        self._refused = context.Value("L")

    def note(self, kind: str, status: int) -> None:
        if status in self._refusals:
            _increment(self._refused)
        elif kind == "write":
            _increment(self._written)

    def wait_for_a_refusal(self) -> None:
        """Return when somebody has been refused since; or after :data:`PATIENCE`."""
        _wait_for_more(self._refused, 1)

    def wait_for_writes(self) -> None:
        """Return when :data:`SESSIONS` writes were confirmed since; or after :data:`PATIENCE`."""
        _wait_for_more(self._written, SESSIONS)


def _increment(count: Any) -> None:
    with count.get_lock():
        count.value += 1


def _wait_for_more(count: Any, number: int) -> None:
    enough, end = count.value + number, time.monotonic() + PATIENCE
    while count.value < enough and time.monotonic() < end:
        time.sleep(0.01)


_run: Run
"""That this process takes part in."""


def join(run: Run) -> None:
    """Begin together with the other processes of *run*."""
    global _run
    _run = run
    run.begun.wait()


@dataclass
class Notes:
    """What one process has to tell."""

    answers: Counter[str] = field(default_factory=Counter)
    """By kind of request and status: ``"write 200"``."""
    violations: list[str] = field(default_factory=list)
    slowest: dict[str, float] = field(default_factory=dict)
    """Seconds, by kind of request."""
    waits: list[tuple[float, float]] = field(default_factory=list)
    """When pages that do not touch the session were asked for, and how long they took."""
    ticks: Counter[tuple[int, int]] = field(default_factory=Counter)
    """How many requests that need the store were answered, by :data:`TICK` and status."""
    dead: int = 0
    """Logouts answered 200 whose cookie was tried at the end."""
    checked: int = 0
    """Sessions that were compared at the end."""

    def add(self, other: Notes) -> None:
        self.answers += other.answers
        self.violations += other.violations
        self.waits += other.waits
        self.ticks += other.ticks
        self.dead += other.dead
        self.checked += other.checked
        for kind, seconds in other.slowest.items():
            self.slowest[kind] = max(self.slowest.get(kind, 0.0), seconds)


@dataclass
class Answer:
    status: int
    told: Any
    set_cookie: str | None


class Browser:
    """Asks, one request at a time, and notes how it went."""

    def __init__(self, url: str, notes: Notes) -> None:
        self._address = urlsplit(url).netloc
        self._connection = HTTPConnection(self._address, timeout=60)
        self._notes = notes

    def ask(self, kind: str, word: object = "", cookie: str = "") -> Answer:
        """The answer; 0 if there is none, which is a violation."""
        begun = time.monotonic()
        try:
            headers = {"Cookie": f"sid={cookie}"} if cookie else {}
            self._connection.request("GET", f"/{kind}?word={word}", headers=headers)
            response = self._connection.getresponse()
            body = response.read()
        except (OSError, HTTPException) as error:
            self._connection.close()
            self._notes.violations.append(f"{kind}: no answer: {type(error).__name__}")
            return Answer(0, None, None)
        took = time.monotonic() - begun
        self._note(kind, response.status, begun, took)
        told = json.loads(body) if response.status == 200 else None
        return Answer(response.status, told, response.getheader("Set-Cookie"))

    def _note(self, kind: str, status: int, begun: float, took: float) -> None:
        notes = self._notes
        notes.answers[f"{kind} {status}"] += 1
        notes.slowest[kind] = max(notes.slowest.get(kind, 0.0), took)
        if kind == "plain":
            notes.waits.append((begun, took))
        else:
            notes.ticks[int((begun + took) / TICK), status] += 1
            _run.note(kind, status)
        if status not in ({200} if kind == "plain" else {200, 401, 503}):
            notes.violations.append(f"{kind} was answered {status}")

    def close(self) -> None:
        self._connection.close()


class Visitor:
    """Has one session at a time, with a canary in it."""

    def __init__(self, url: str, notes: Notes, *, anonymous: bool) -> None:
        self._browser = Browser(url, notes)
        self._notes = notes
        self._anonymous = anonymous
        self._dead: list[str] = []  # cookies whose end was confirmed
        self._left: list[str] = []  # canaries of sessions whose logout was confirmed
        self._forget()

    def _forget(self) -> None:
        self._cookie, self._canary = "", secrets.token_hex(8)
        self._written, self._tried = 0, 0
        self._unsure: set[int] = set()  # writes since the last confirmed one
        self._count, self._maybe = 0, 0  # increments: confirmed, and beyond
        self._replaced = False  # whether the cookie may have been replaced by one never received

    def run(self) -> None:
        """Use the session until the run is over, then compare."""
        actions: list[tuple[Callable[[], object], int]] = [
            (self._write, 75), (self._read, 12), (self._logout, 4), (self._regenerate, 4),
            (self._come_back, 5),
        ]  # fmt: skip
        steps, weights = zip(*actions, strict=True)
        time.sleep(random.uniform(0, PAUSE))
        while not _run.over.is_set():
            if self._cookie:
                random.choices(steps, weights)[0]()
            else:
                self._login()
            time.sleep(random.uniform(0.5, 1.5) * PAUSE)
        self._compare()
        self._browser.close()

    def _wrong(self, what: str) -> None:
        self._notes.violations.append(what)

    # What a visitor does

    def _login(self) -> None:
        answer = self._browser.ask("login", self._canary)
        if answer.status == 200 and answer.set_cookie:
            self._take(answer.set_cookie)
        elif answer.set_cookie or answer.status == 200:
            self._wrong(f"a login answered {answer.status} sends {bool(answer.set_cookie)} cookie")
        else:
            self._canary = secrets.token_hex(8)

    def _write(self) -> None:
        self._tried += 1
        answer = self._browser.ask("write", self._tried, self._cookie)
        if answer.status == 200:
            self._look_at(answer.told)
            self._written, self._replaced = self._tried, False
            self._count += 1
            self._unsure.clear()
        elif answer.status == 401:
            self._not_known(answer)
        else:
            self._unsure.add(self._tried)
            self._maybe += 1
            self._no_cookie(answer)

    def _read(self) -> int:
        answer = self._browser.ask("read", cookie=self._cookie)
        if answer.status == 200:
            self._look_at(answer.told)
        elif answer.status == 401:
            self._not_known(answer)
        else:
            self._no_cookie(answer)
        return answer.status

    def _regenerate(self) -> None:
        before = self._cookie
        answer = self._browser.ask("regenerate", cookie=before)
        if answer.status == 200 and answer.set_cookie:
            self._look_at(answer.told)
            self._take(answer.set_cookie)
            self._dead.append(before)
            self._replaced = False
        elif answer.status == 401:
            self._not_known(answer)
        else:
            self._replaced = True
            self._no_cookie(answer)

    def _logout(self) -> None:
        answer = self._browser.ask("logout", cookie=self._cookie)
        if answer.status == 200:
            self._dead.append(self._cookie)
            self._left.append(self._canary)
        expired = "Max-Age=0" in (answer.set_cookie or "")
        if answer.status and not expired and not self._replaced:
            self._wrong(f"a logout answered {answer.status} leaves the cookie")
        self._forget()

    def _come_back(self) -> None:
        """With a cookie that is dead."""
        if self._dead:
            self._bury(random.choice(self._dead))

    def _bury(self, cookie: str) -> int:
        answer = self._browser.ask("read", cookie=cookie)
        if answer.status == 200:
            self._wrong("a session that was logged out or replaced is alive")
        return answer.status

    # What it must find

    def _take(self, set_cookie: str) -> None:
        self._cookie = set_cookie.partition(";")[0].partition("=")[2]

    def _no_cookie(self, answer: Answer) -> None:
        if answer.set_cookie:
            self._wrong(f"an answer {answer.status} sends a cookie")

    def _not_known(self, answer: Answer) -> None:
        """Without a session: at most because the store was down, or somebody has another cookie."""
        if not self._replaced:
            self._no_cookie(answer)
            if self._anonymous:
                return
            self._wrong("a session is lost")
        self._forget()

    def _look_at(self, told: dict[str, Any]) -> None:
        if told["canary"] != self._canary:
            self._wrong("a session shows the canary of another")
        if told["left"] != told["right"] or told["size"] != told["left"] * 37 % 1000:
            self._wrong("a write is half there")
        if told["left"] != self._written and told["left"] not in self._unsure:
            self._wrong(f"{told['left']} is there, confirmed was {self._written}")
        if not self._count <= told["count"] <= self._count + self._maybe:
            self._wrong(f"{told['count']} increments, confirmed were {self._count}")

    def _compare(self) -> None:
        """When the store works again."""
        time.sleep(SETTLE)
        if not self._until(lambda: not self._cookie or self._read() == 200):
            self._wrong("a session is not found again")
        self._notes.checked += bool(self._cookie)
        if self._cookie and not self._until(lambda: self._lists(self._canary, self._cookie[:22])):
            self._wrong("a session is not listed under its owner, or not alone")
        for canary in self._left[-3:]:
            if not self._until(lambda canary=canary: self._lists(canary)):
                self._wrong("a session that was logged out is listed")
        for cookie in self._dead:
            if not self._until(lambda cookie=cookie: self._bury(cookie) not in (0, 503)):
                self._wrong("the store is not found again")
        self._notes.dead += len(self._dead)

    def _lists(self, canary: str, *ids: str) -> bool:
        """Whether these are the live sessions of this owner, where owners are listed."""
        answer = self._browser.ask("sessions", canary)
        return answer.status == 200 and (answer.told is None or answer.told["ids"] == list(ids))

    def _until(self, done: Callable[[], bool]) -> bool:
        """Whether it is, sooner or later."""
        end = time.monotonic() + PATIENCE
        while not done():
            if time.monotonic() > end:
                return False
            time.sleep(PAUSE)
        return True


def visit(url: str, anonymous: bool) -> Notes:
    """One process of visitors."""
    notes = [Notes() for _ in range(SESSIONS)]
    visitors = [Visitor(url, one, anonymous=anonymous) for one in notes]
    threads = [threading.Thread(target=visitor.run) for visitor in visitors]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return total(notes)


def look_on(url: str) -> Notes:
    """One process that asks for nothing but pages that do not touch the session."""
    notes = Notes()
    browser = Browser(url, notes)
    while not _run.over.is_set():
        browser.ask("plain")
        time.sleep(0.01)
    browser.close()
    return notes


def total(notes: list[Notes]) -> Notes:
    sum_ = Notes()
    for one in notes:
        sum_.add(one)
    return sum_
