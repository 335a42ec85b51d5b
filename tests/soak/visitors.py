"""Those who use the sessions meanwhile, and what they must never see.

A write that was answered 503, or not at all, may have been done or not: a server that hung can do
it when nobody waits for the answer any more. So what a visitor may find is what was last answered
200, or one of the writes since. For the same reason the 503 of a login or of a new secret may bring
a cookie, which opens a session if it was done.
"""

from __future__ import annotations

import json
import random
import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from typing import Any
from urllib.parse import urlsplit

from tests.soak.faults import Refusal
from tests.soak.notes import Notes, Promise, total
from tests.soak.shared import PATIENCE, Run

SESSIONS = 25
PAUSE = 0.4  # seconds between two requests of a visitor, on average, if the server is fast
ID = 22  # characters of a cookie that name the session
SETTLE = 1.2  # seconds before the comparison; breakers close within one
FORKS_PER_SECOND = 0.25  # of each visitor in a storm, if it asks that often
STRANGER = "stranger"
"""For reports: a page that was asked for with a cookie that may open nothing, and then begins a
session."""


_run: Run
"""That this process takes part in."""


def join(run: Run) -> None:
    """Begin together with the other processes of *run*."""
    global _run
    _run = run
    run.begun.wait()


@dataclass
class Answer:
    status: int
    told: Any
    set_cookie: str | None
    begun: float
    ended: float


class Browser:
    """Asks, one request at a time, and notes how it went."""

    def __init__(self, url: str, notes: Notes) -> None:
        self._address = urlsplit(url).netloc
        self._connection = HTTPConnection(self._address, timeout=60)
        self._notes = notes

    def ask(self, kind: str, word: object = "", cookie: str = "") -> Answer:
        """The answer; of status 0 if there is none."""
        begun = time.monotonic()
        try:
            headers = {"Cookie": f"sid={cookie}"} if cookie else {}
            self._connection.request("GET", f"/{kind}?word={word}", headers=headers)
            response = self._connection.getresponse()
            status, body = response.status, response.read()
            set_cookie = response.getheader("Set-Cookie")
        except (OSError, HTTPException):
            self._connection.close()
            status, body, set_cookie = 0, b"", None
        told = json.loads(body) if status == 200 else None
        answer = Answer(status, told, set_cookie, begun, time.monotonic())
        self._note(kind, answer)
        return answer

    def _note(self, kind: str, answer: Answer) -> None:
        notes, status, took = self._notes, answer.status, answer.ended - answer.begun
        notes.answers[f"{kind} {status}"] += 1
        if kind == "plain":
            notes.waits.append((answer.begun, took))
        else:
            notes.slowest = max(notes.slowest, took)
        if status not in (0, 200, *(() if kind == "plain" else (401, 503))):
            notes.violations[Promise.SERVED, f"{kind} was answered {status}"] += 1

    def refused(self, kind: str, answer: Answer, id: str = "") -> None:
        refusal = Refusal(kind, id, answer.status, answer.begun, answer.ended)
        self._notes.refusals.append(refusal)

    def close(self) -> None:
        self._connection.close()


class Visitor:
    """Has one session at a time, with a canary in it."""

    def __init__(self, url: str, notes: Notes) -> None:
        self._browser = Browser(url, notes)
        self._notes = notes
        self._dead: list[str] = []  # cookies whose end was confirmed
        self._left: list[str] = []  # canaries of sessions whose logout was confirmed
        self._forget()

    def _forget(self) -> None:
        self._cookie, self._canary = "", secrets.token_hex(8)
        self._written, self._tried = 0, 0
        self._unsure: set[int] = set()  # writes since the last confirmed one
        self._count, self._maybe = 0, 0  # increments: confirmed, and beyond
        self._doubtful = False  # whether the cookie may be one that was replaced, or never stored

    def run(self) -> None:
        """Use the session until the run is over, then compare."""
        actions: list[tuple[Callable[[], object], int]] = [
            (self._write, 75), (self._read, 12), (self._logout, 4), (self._regenerate, 4),
            (self._come_back, 5),
        ]  # fmt: skip
        steps, weights = zip(*actions, strict=True)
        time.sleep(random.uniform(0, _run.pause))
        while not _run.over.is_set():
            if not self._cookie:
                self._login()
            elif _run.storm.is_set() and random.random() < FORKS_PER_SECOND * _run.pause:
                self._fork()
            else:
                random.choices(steps, weights)[0]()
            time.sleep(random.uniform(0.5, 1.5) * _run.pause)
        self._compare()
        self._browser.close()

    def _wrong(self, promise: Promise, what: str) -> None:
        self._notes.violations[promise, what] += 1

    def _ask(self, kind: str, word: object = "") -> Answer:
        """With its cookie. What is refused is noted, and why it may have been is known later."""
        answer = self._browser.ask(kind, word, self._cookie)
        refused = answer.status in (0, 503)
        if answer.status == 401 and _run.anonymous and not self._doubtful:
            refused = True
        if refused:
            told = STRANGER if self._doubtful else kind
            self._browser.refused(told, answer, self._cookie[:ID])
            _run.note_refusal()
        return answer

    # What a visitor does

    def _login(self) -> None:
        answer = self._ask("login", self._canary)
        if answer.set_cookie:
            self._take(answer.set_cookie)
            self._doubtful = answer.status != 200
        else:
            if answer.status == 200:
                self._wrong(Promise.SERVED, "a login sends no cookie")
            self._canary = secrets.token_hex(8)

    def _write(self) -> None:
        self._tried += 1
        answer = self._ask("write", self._tried)
        if answer.status == 200:
            self._look_at(answer)
            self._written, self._doubtful = self._tried, False
            self._count += 1
            self._unsure.clear()
            _run.note_write()
        elif answer.status == 401:
            self._not_known(answer)
        else:
            self._unsure.add(self._tried)
            self._maybe += 1
            self._no_cookie(answer)

    def _read(self, kind: str = "read") -> int:
        answer = self._ask(kind)
        if answer.status == 200:
            self._look_at(answer)
        elif answer.status == 401:
            self._not_known(answer)
        else:
            self._no_cookie(answer)
        return answer.status

    def _fork(self) -> None:
        """A page that reads; a child of the worker writes something that nobody compares."""
        if self._read("fork") == 200:
            _run.note_fork()

    def _regenerate(self) -> None:
        before = self._cookie
        answer = self._ask("regenerate")
        if answer.status == 200 and answer.set_cookie:
            self._look_at(answer)
            self._dead.append(before)
            self._doubtful = False
        elif answer.status == 401:
            self._not_known(answer)
        else:
            self._doubtful = True
            if answer.set_cookie:
                self._take(answer.set_cookie)

    def _logout(self) -> None:
        """What is not confirmed: a login whose answer was lost may be done when its session has
        been looked for in vain already."""
        answer = self._ask("logout")
        if answer.status == 200 and not self._doubtful:
            self._dead.append(self._cookie)
            self._left.append(self._canary)
        expired = "Max-Age=0" in (answer.set_cookie or "")
        if answer.status and not expired and not self._doubtful:
            self._wrong(Promise.UNDONE, f"a logout answered {answer.status} leaves the cookie")
        self._forget()

    def _come_back(self) -> None:
        """With a cookie that is dead."""
        if self._dead:
            self._bury(random.choice(self._dead))

    def _bury(self, cookie: str) -> int:
        answer = self._browser.ask("read", cookie=cookie)
        if answer.status == 200:
            self._wrong(Promise.UNDONE, "a session that was logged out or replaced is alive")
        elif answer.status != 401:
            self._browser.refused(STRANGER, answer, cookie[:ID])
        return answer.status

    # What it must find

    def _take(self, set_cookie: str) -> None:
        self._cookie = set_cookie.partition(";")[0].partition("=")[2]

    def _no_cookie(self, answer: Answer) -> None:
        if answer.set_cookie:
            self._wrong(Promise.SERVED, f"an answer {answer.status} sends a cookie")

    def _not_known(self, answer: Answer) -> None:
        """Without a session: at most because the store was down, or its cookie is another now."""
        if not self._doubtful:
            self._no_cookie(answer)
            if _run.anonymous:
                return
            self._wrong(Promise.LOST, "a session is lost")
        self._forget()

    def _look_at(self, answer: Answer) -> None:
        """What a page shows, and the cookie that it may send afresh."""
        told = answer.told
        if told["canary"] != self._canary:
            self._wrong(Promise.CROSSED, "a session shows the canary of another")
        if told["left"] != told["right"] or told["size"] != told["left"] * 37 % 1000:
            self._wrong(Promise.LOST, "a write is half there")
        if told["left"] != self._written and told["left"] not in self._unsure:
            self._wrong(Promise.LOST, "another value is there than the one that was confirmed")
        if not self._count <= told["count"] <= self._count + self._maybe:
            self._wrong(Promise.LOST, "another number of increments than were confirmed")
        if answer.set_cookie:
            self._take(answer.set_cookie)

    def _compare(self) -> None:
        """When the store works again."""
        time.sleep(SETTLE)
        if not self._until(lambda: not self._cookie or self._read() == 200):
            self._wrong(Promise.LOST, "a session is not found again")
        self._notes.checked += bool(self._cookie)
        if self._cookie and not self._until(lambda: self._lists(self._canary, self._cookie[:ID])):
            self._wrong(Promise.LOST, "a session is not listed under its owner, or not alone")
        for canary in self._left[-3:]:
            if not self._until(lambda canary=canary: self._lists(canary)):
                self._wrong(Promise.UNDONE, "a session that was logged out is listed")
        for cookie in self._dead:
            if not self._until(lambda cookie=cookie: self._bury(cookie) not in (0, 503)):
                self._wrong(Promise.SERVED, "the store is not found again")
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
            time.sleep(0.4)
        return True


def visit(url: str) -> Notes:
    """One process of visitors."""
    notes = [Notes() for _ in range(SESSIONS)]
    visitors = [Visitor(url, one) for one in notes]
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
        answer = browser.ask("plain")
        if answer.status != 200:
            browser.refused("plain", answer)
        time.sleep(0.01)
    browser.close()
    return notes
