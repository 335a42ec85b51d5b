"""What the library is to reach, beside what was measured."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from benchmarks.table import table

Results = dict[str, Any]
"""The figures of each part, by its name."""

How = Callable[[Results], float]


class Target(NamedTuple):
    name: str
    how: How
    must: float
    goal: float | None = None
    unit: str = "x"
    at_least: bool = False

    def met(self, measured: float) -> str:
        def reached(limit: float | None) -> bool:
            if limit is None:
                return False
            return measured >= limit if self.at_least else measured <= limit

        if reached(self.goal):
            return "goal"
        return "yes" if reached(self.must) else "NO"


def _k(contender: str, scenario: str) -> How:
    """Thousands of instructions."""
    return lambda results: float(results["instructions"][contender][scenario])


def _ratio(contender: str, scenario: str, other: str, its: str = "") -> How:
    """Of times."""
    key = f"{scenario}/{other}:{its or scenario}"
    return lambda results: float(results["timing"]["ratios"][contender][key])


def _calls(scenario: str) -> How:
    return lambda results: float(results["calls"][scenario]["python"])


def _served(subject: str, figure: str = "of bare") -> How:
    return lambda results: float(results["served"]["gthread"][subject][figure])


def _grown(row: str) -> How:
    """The largest number of stored sessions against the smallest."""

    def how(results: Results) -> float:
        times = results["crowd"][row]
        return float(times[max(times, key=int)] / times[min(times, key=int)])

    return how


def _bytes(results: Results) -> float:
    weights = results["sizes"]["bytes"]
    ours, theirs = weights["ours-redis"], weights["flask-session-redis"]
    return float(ours["/fill/payload"] / theirs["/fill/payload"])


def _purge(contender: str) -> How:
    def how(results: Results) -> float:
        figures = results["purge"][contender]
        return float(figures["p99 beside"] / figures["p99 alone"])

    return how


_FLASK_SESSION, _GET = "flask-session-redis", "floor-redis"

TARGETS = [
    Target("untouched", _k("ours-redis", "untouched"), 12, 10, "k"),
    Target("untouched, Python calls", _calls("untouched"), 8, 6, "calls"),
    Target("untouched / Flask-Session", _ratio("ours-redis", "untouched", _FLASK_SESSION), 0.02),
    Target("forged cookie", _k("ours-redis", "forged"), 25, 20, "k"),
    Target("anonymous read", _k("ours-redis", "anonymous"), 22, 17, "k"),
    Target("read, Redis", _k("ours-redis", "read"), 125, 110, "k"),
    Target("read, Redis / redis.get()", _ratio("ours-redis", "read", _GET), 1.0, 0.8),
    Target("read, Redis / Flask-Session", _ratio("ours-redis", "read", _FLASK_SESSION), 0.2),
    Target("read, a redis-py client", _k("ours-redis-client", "read"), 260, 215, "k"),
    Target("the same / redis.get()", _ratio("ours-redis-client", "read", _GET), 1.6),
    Target("write, Redis", _k("ours-redis", "write"), 190, 150, "k"),
    Target("write, Redis / get + set", _ratio("ours-redis", "write", _GET), 0.85),
    Target(
        "write, Redis / Flask-Session", _ratio("ours-redis", "write", _FLASK_SESSION), 0.35, 0.26
    ),
    Target("new, Redis", _k("ours-redis", "new"), 165, 140, "k"),
    Target("new, Redis / Flask-Session", _ratio("ours-redis", "new", _FLASK_SESSION), 0.35),
    Target("read 1 of 50 KB", _k("ours-redis", "large-read"), 240, None, "k"),
    Target("write 1 of 50 KB", _k("ours-redis", "large-write"), 580, None, "k"),
    Target(
        "read 1 of 50 KB / Flask-Session",
        _ratio("ours-redis", "large-read", _FLASK_SESSION),
        *(0.10, 0.06),
    ),
    Target(
        "write 1 of 50 KB / Flask-Session",
        _ratio("ours-redis", "large-write", _FLASK_SESSION),
        *(0.20, 0.14),
    ),
    Target("read, SQLite / Django's db", _ratio("ours-sqlite", "read", "django-db"), 0.08, 0.05),
    Target("write, SQLite / Django's db", _ratio("ours-sqlite", "write", "django-db"), 0.08, 0.05),
    Target("new, SQLite / Django's db", _ratio("ours-sqlite", "new", "django-db"), 0.08, 0.05),
    Target("read, SQLite / a select", _ratio("ours-sqlite", "read", "floor-sqlite"), 4.5),
    Target("read, files / redis.get()", _ratio("ours-file", "read", _GET, "read"), 0.45, 0.22),
    Target("write, files / redis.get()", _ratio("ours-file", "write", _GET, "read"), 1.8, 0.9),
    Target(
        "read, Memcached / Flask-Session",
        _ratio("ours-memcached", "read", "flask-session-memcached"),
        *(0.33, 0.16),
    ),
    Target(
        "write, Memcached / Flask-Session",
        _ratio("ours-memcached", "write", "flask-session-memcached"),
        *(0.55, 0.27),
    ),
    Target("read, memory / Beaker", _ratio("ours-memory", "read", "beaker-memory"), 0.25, 0.12),
    Target("write, memory / Beaker", _ratio("ours-memory", "write", "beaker-memory"), 0.25, 0.12),
    Target(
        "read, PostgreSQL / a Core select",
        _ratio("ours-postgresql", "read", "floor-postgresql"),
        *(1.1, 0.4),
    ),
    Target(
        "Flask untouched / Flask-Session",
        _ratio("ours-flask-redis", "untouched", _FLASK_SESSION),
        0.05,
    ),
    Target(
        "Flask read / Flask-Session",
        _ratio("ours-flask-redis", "read", _FLASK_SESSION),
        *(0.33, 0.25),
    ),
    Target(
        "Flask write / Flask-Session",
        _ratio("ours-flask-redis", "write", _FLASK_SESSION),
        *(0.55, 0.30),
    ),
    Target("gthread read / bare", _served("ours-redis/read"), 0.65, 0.70, at_least=True),
    Target("gthread untouched / bare", _served("ours-redis/untouched"), 0.97, 0.99, at_least=True),
    Target("gthread write / bare", _served("ours-redis/write"), 0.60, 0.75, at_least=True),
    Target("gthread one hot session / bare", _served("ours-redis/hit"), 0.40, 0.70, at_least=True),
    Target("gthread one hot session, lost", _served("ours-redis/hit", "lost"), 0, 0, "changes"),
    Target(
        "gthread Flask read / bare", _served("ours-flask-redis/read"), 0.78, 0.85, at_least=True
    ),
    Target("most / fewest stored: read, Redis", _grown("ours-redis read"), 1.1, 1.0),
    Target("most / fewest stored: write, Redis", _grown("ours-redis write"), 1.1, 1.0),
    Target("most / fewest stored: new, Redis", _grown("ours-redis new"), 1.5, 1.0),
    Target("most / fewest stored: read, SQLite", _grown("ours-sqlite read"), 1.1, 1.0),
    Target("most / fewest stored: write, SQLite", _grown("ours-sqlite write"), 1.1, 1.0),
    Target("most / fewest stored: new, SQLite", _grown("ours-sqlite new"), 1.5, 1.0),
    Target("bytes in Redis / Flask-Session", _bytes, 1.0, 0.7),
    Target("purge, SQLite: p99 beside / alone", _purge("ours-sqlite"), 2.0),
    Target("purge, PostgreSQL: p99 beside / alone", _purge("ours-postgresql"), 2.0),
]
"""``k``: thousands of instructions per request. ``x``: a ratio of times, of requests per second, or
of bytes."""


def show(results: Results) -> str:
    """Every target and what was measured, where it was."""
    return table(["target", "must", "goal", "measured", "met"], list(map(_row(results), TARGETS)))


def _row(results: Results) -> Callable[[Target], list[str]]:
    def row(target: Target) -> list[str]:
        sign = "≥" if target.at_least else "≤"
        goal = "" if target.goal is None else f"{sign} {target.goal:g}"
        try:
            measured = target.how(results)
        except (KeyError, ZeroDivisionError):
            return [target.name, f"{sign} {target.must:g} {target.unit}", goal, "not measured", ""]
        return [
            target.name,
            f"{sign} {target.must:g} {target.unit}",
            goal,
            f"{measured:.3g} {target.unit}",
            target.met(measured),
        ]

    return row
