"""The whole system: gunicorn under load by wrk, as a ratio to the bare application.

All servers run at the same time and idle until their turn; in every round each gets one, beside the
bare application of the same framework.
"""

from __future__ import annotations

import json
import urllib.request
from collections import defaultdict
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

from benchmarks.contenders import CONTENDERS, Places, available
from benchmarks.servers import running
from benchmarks.table import table
from benchmarks.wrk import CONNECTIONS, Load, load
from tests.support.repeated_request import header
from tests.support.serving import gunicorn

WORKERS = {
    "gthread": ["--workers=1", "--worker-class=gthread", "--threads=8"],
}
MANY = 64


class Subject(NamedTuple):
    """What is asked for, of whom, with how many sessions in turn."""

    contender: str
    path: str
    sessions: int = 1


PLAIN = [
    Subject("ours-redis", "/untouched"),
    Subject("ours-redis", "/read"),
    Subject("ours-redis", "/write", MANY),
    Subject("ours-redis", "/hit"),
    Subject("floor-redis", "/read"),
    Subject("beaker-redis", "/read"),
    Subject("beaker-redis", "/write", MANY),
]
FLASK = [
    Subject("ours-flask-redis", "/read"),
    Subject("ours-flask-redis", "/write", MANY),
    Subject("flask-session-redis", "/read"),
    Subject("flask-session-redis", "/write", MANY),
]

Figures = dict[str, dict[str, dict[str, float]]]


def measure(workers: Iterable[str], *groups: list[Subject], rounds: int, seconds: float) -> Figures:
    """By kind of worker and subject: requests per second, p99 in ms, ratio to the bare one. Each
    group of subjects shares a bare application."""
    figures: Figures = {}
    with running({"redis"}) as places:
        for worker in workers:
            figures[worker] = {}
            for subjects in filter(None, groups):
                with ExitStack() as started:
                    bench = _Bench(worker, subjects, places, started)
                    figures[worker] |= bench.run(rounds, seconds)
    return figures


class _Bench:
    """The servers of one kind of worker."""

    def __init__(
        self, worker: str, subjects: list[Subject], places: Places, started: ExitStack
    ) -> None:
        self._places, self._directory = places, Path(places["directory"])
        wanted = dict.fromkeys(subject.contender for subject in subjects)
        there = [one.name for one in available((CONTENDERS[name] for name in wanted), places)]
        self._subjects = [subject for subject in subjects if subject.contender in there]

        def serve(name: str, **environment: str) -> str:
            directory = self._directory / f"{worker}-{name}{len(environment)}"
            directory.mkdir()
            environment |= {"BENCHMARK_CONTENDER": name, "BENCHMARK_PLACES": json.dumps(places)}
            application = "benchmarks.served_application:application"
            return started.enter_context(
                gunicorn(application, directory, *WORKERS[worker], **environment)
            )

        self._bare = serve(there[0], BENCHMARK_BARE="1")
        self._urls = {name: serve(name) for name in there}

    def run(self, rounds: int, seconds: float) -> dict[str, dict[str, float]]:
        loads: dict[Subject, list[Load]] = defaultdict(list)
        ratios: dict[Subject, list[float]] = defaultdict(list)
        cookies = {subject: self._cookies(subject) for subject in self._subjects}
        for url in [self._bare, *self._urls.values()]:  # not before their workers have begun
            urllib.request.urlopen(f"{url}/untouched").close()
        for _ in range(rounds):
            for subject in self._subjects:
                # With the same cookie, since the server takes time to read it.
                bare = load(
                    f"{self._bare}/untouched", cookies[subject], self._directory, seconds=seconds
                )
                url = self._urls[subject.contender] + subject.path
                full = load(url, cookies[subject], self._directory, seconds=seconds)
                loads[subject].append(full)
                # In one second of a quick run a busy machine may have answered nothing.
                ratios[subject].append(full.per_second / max(bare.per_second, 1))
        figures = {}
        for subject, measured in loads.items():
            figures[f"{subject.contender}{subject.path}"] = {
                "per second": round(median(one.per_second for one in measured)),
                "p99 ms": round(median(one.p99 for one in measured) * 1000, 2),
                "of bare": round(median(ratios[subject]), 3),
                "failed": sum(one.failed for one in measured),
            }
            if subject.path == "/hit":
                done = sum(one.requests - one.failed for one in measured)
                there = self._hits(subject, cookies[subject][0])
                figures[f"{subject.contender}{subject.path}"]["lost"] = max(done - there, 0)
        return figures

    def _cookies(self, subject: Subject) -> list[str]:
        if subject.contender.startswith("floor"):
            return []
        url = f"{self._urls[subject.contender]}/fill/small"
        return [_cookie(url) for _ in range(subject.sessions)]

    def _hits(self, subject: Subject, cookie: str) -> int:
        application: Any = CONTENDERS[subject.contender].make(self._places).application
        return int(application.manager.open(cookie)["hits"])


def _cookie(url: str) -> str:
    with urllib.request.urlopen(url) as response:
        lines = response.headers.get_all("Set-Cookie")
    pairs = (line.partition(";")[0].partition("=") for line in lines)
    return header({name: value for name, _, value in pairs})


def show(figures: Figures) -> str:
    rows = [
        [
            f"{worker}: {subject}",
            f"{one['per second']:,.0f}",
            f"{one['p99 ms']:.1f}",
            f"{one['of bare']:.2f}",
            f"{one['failed']:.0f}",
            f"{one['lost']:.0f}" if "lost" in one else "",
        ]
        for worker, subjects in figures.items()
        for subject, one in subjects.items()
    ]
    title = f"gunicorn, wrk with {CONNECTIONS} connections"
    return table([title, "per second", "p99 ms", "of bare", "failed", "lost"], rows)
