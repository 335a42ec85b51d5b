"""Overlapping requests through Django: its engines and ours side by side, under gunicorn.

``python -m tests.django.races`` prints the table of ``docs/django.md``. Each race is made by a gate
that the requests wait at, so the figures are the same every time.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import requests

from tests.servers.redis import RedisServer
from tests.support.patience import patient_url, wait_until
from tests.support.serving import gunicorn

TABS = 8


class Engine(NamedTuple):
    title: str
    path: str


DATABASE = Engine("Django, database", "django.contrib.sessions.backends.db")
CACHE = Engine("Django, cache (Redis)", "django.contrib.sessions.backends.cache")
OURS = Engine("`wsgi_sessions` (Redis)", "wsgi_sessions.django")
ENGINES = (DATABASE, CACHE, OURS)


class Visitor:
    """One browser, whose tabs may send requests at the same time."""

    def __init__(self, url: str, directory: Path) -> None:
        self._url, self._directory = url, directory
        self.http = requests.Session()
        self.http.trust_env = False  # no proxy of the machine's
        self.get("begin")

    def get(self, view: str, **query: str) -> requests.Response:
        return self.http.get(f"{self._url}/{view}/", params=query, timeout=120)

    def looks(self) -> list[str]:
        """The user, and how many keys, items, seen and counted there are."""
        return self.get("look").text.split()

    def twin(self) -> Visitor:
        """Another tab, with the cookies of now."""
        twin = Visitor.__new__(Visitor)
        twin._url, twin._directory, twin.http = self._url, self._directory, requests.Session()
        twin.http.trust_env = False
        twin.http.cookies.update(self.http.cookies)
        return twin

    @contextmanager
    def in_flight(self, view: str, tabs: int) -> Iterator[list[Future[requests.Response]]]:
        """So many requests, from tabs of their own, that have loaded the session; they go on at the
        end of the block. What cookies they get, the browser has then."""
        gate = Path(tempfile.mkdtemp(dir=self._directory))
        before = dict(self.http.cookies)
        twins = [self.twin() for _ in range(tabs)]
        with ThreadPoolExecutor(tabs) as pool:
            answers = [
                pool.submit(twin.get, view, gate=str(gate), name=str(number))
                for number, twin in enumerate(twins)
            ]
            wait_until(lambda: len(list(gate.iterdir())) == tabs, "all are at the gate", seconds=60)
            try:
                yield answers
            finally:
                (gate / "open").touch()
        for twin in twins:
            if dict(twin.http.cookies) != before:
                self.http.cookies = twin.http.cookies


Race = Callable[[Visitor], str]


def different_keys(visitor: Visitor) -> str:
    with visitor.in_flight("put", TABS):
        pass
    return f"{visitor.looks()[1]} kept"


def appended_items(visitor: Visitor) -> str:
    with visitor.in_flight("see", TABS):
        pass
    return f"{visitor.looks()[3]} kept"


def a_counter(visitor: Visitor) -> str:
    with visitor.in_flight("count", TABS):
        pass
    return f"{visitor.looks()[4]} counted"


def a_nested_change(visitor: Visitor) -> str:
    visitor.get("nest")
    return "kept" if visitor.looks()[2] == "1" else "lost"


def a_logout(visitor: Visitor) -> str:
    visitor.get("enter")
    thief = visitor.twin()
    with visitor.in_flight("put", 1) as answers:
        thief.twin().get("leave")
    revived = "revived" if thief.looks()[:2] != ["-", "0"] else "gone"
    return f"{answers[0].result().status_code}, {revived}"


def a_login(visitor: Visitor) -> str:
    with visitor.in_flight("put", 1) as answers:
        other = visitor.twin()
        other.get("enter")
        visitor.http.cookies = other.http.cookies
    logged_in = "logged in" if visitor.looks()[0] == "ann" else "logged out"
    return f"{answers[0].result().status_code}, {logged_in}"


def two_logins(visitor: Visitor) -> str:
    with visitor.in_flight("enter", 2) as answers:
        pass
    statuses = " and ".join(str(answer.result().status_code) for answer in answers)
    logged_in = "logged in" if visitor.looks()[0] == "ann" else "logged out"
    return f"{statuses}, {logged_in}"


RACES: dict[str, Race] = {
    f"{TABS} requests at once put {TABS} keys": different_keys,
    f"{TABS} requests at once append to one list (`merge_keys`)": appended_items,
    f"{TABS} requests at once count (`increment()`)": a_counter,
    "a change inside a dict, without `modified = True`": a_nested_change,
    "a request in flight during a logout: its answer, the session": a_logout,
    "a request in flight during a login: its answer, the visitor": a_login,
    "two logins at once: their answers, the visitor": two_logins,
}


def outcomes(engine: Engine, redis_url: str, directory: Path) -> dict[str, str]:
    """For each race what came of it."""
    environment = {
        "RACED_ENGINE": engine.path,
        "RACED_REDIS": redis_url,
        "WSGI_SESSIONS_STORE": patient_url(f"{redis_url}?prefix=raced:"),
    }
    workers = ("--preload", "-w", "2", "--threads", str(TABS + 2), "--timeout", "120")
    site = "tests.django.raced_site:application"
    with gunicorn(site, directory, *workers, **environment) as url:
        return {name: race(Visitor(url, directory)) for name, race in RACES.items()}


def table(columns: dict[Engine, dict[str, str]]) -> str:
    """As Markdown."""
    lines = [["", *(engine.title for engine in columns)], ["---"] * (len(columns) + 1)]
    lines += [[name, *(column[name] for column in columns.values())] for name in RACES]
    return "\n".join(f"| {' | '.join(line)} |".replace("|  |", "| |") for line in lines)


def main() -> None:
    with tempfile.TemporaryDirectory() as directory:
        redis = RedisServer(Path(directory, "redis")).start()
        try:
            columns = {}
            for number, engine in enumerate(ENGINES):
                place = Path(directory, str(number))
                place.mkdir()
                columns[engine] = outcomes(engine, redis.url, place)
        finally:
            redis.stop()
    print(table(columns))


if __name__ == "__main__":
    main()
