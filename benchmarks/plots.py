"""The pictures of the results that the documentation shows."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from benchmarks.archive import DIRECTORY
from benchmarks.svg import Bar, Line, bars, lines

Results = dict[str, Any]

_REDIS = {
    "ours-redis": "wsgi_sessions",
    "floor-redis": "redis-py alone",
    "pyramid-redis": "pyramid_session_redis",
    "beaker-redis": "Beaker",
    "flask-session-redis": "Flask-Session",
    "django-cache": "Django, cache",
}


def draw(results: Results) -> None:
    """Write those that there are figures for."""
    for name, plot in PLOTS.items():
        try:
            picture = plot(results)
        except KeyError as missing:
            print(f"{name}.svg is left out: {missing} was not measured")
            continue
        (DIRECTORY / f"{name}.svg").write_text(picture)


def _requests(results: Results) -> str:
    figures = results["instructions"]
    groups = [
        ("session not touched", _bars(figures, "untouched", leave_out={"floor-redis"})),
        ("read one key", _bars(figures, "read")),
        ("write one key", _bars(figures, "write")),
        ("new session", _bars(figures, "new")),
    ]
    return bars(
        "What sessions in Redis add to a request",
        "thousands of CPU instructions, the application without sessions taken off; less is better",
        groups,
        unit=" k",
    )


def _bars(figures: Any, scenario: str, leave_out: Iterable[str] = ()) -> list[Bar]:
    return [
        Bar(label, figures[name][scenario], _kind(name))
        for name, label in _REDIS.items()
        if name not in leave_out
    ]


def _kind(name: str) -> str:
    return name.partition("-")[0] if name.startswith(("ours", "floor")) else "other"


def _served(results: Results) -> str:
    figures = results["served"]["gthread"]
    plain = {
        "ours-redis/untouched": "wsgi_sessions, untouched",
        "ours-redis/read": "wsgi_sessions, read",
        "floor-redis/read": "one redis.get()",
        "beaker-redis/read": "Beaker, read",
        "ours-redis/write": "wsgi_sessions, write",
        "beaker-redis/write": "Beaker, write",
    }
    flask = {
        "ours-flask-redis/read": "wsgi_sessions, read",
        "flask-session-redis/read": "Flask-Session, read",
        "ours-flask-redis/write": "wsgi_sessions, write",
        "flask-session-redis/write": "Flask-Session, write",
    }
    groups = [
        (title, [Bar(label, 100 * figures[name]["of bare"], _kind(name)) for name, label in rows])
        for title, rows in (("plain WSGI", plain.items()), ("Flask", flask.items()))
    ]
    return bars(
        "Requests per second under gunicorn, of those without sessions",
        "gthread, one worker, eight threads, sessions in Redis, wrk with 8 connections; more is "
        "better",
        groups,
        unit=" %",
    )


def _sizes(results: Results) -> str:
    figures = results["sizes"]["microseconds"]
    series = [
        _line(figures, "ours-redis read", "wsgi_sessions, read", "ours"),
        _line(figures, "ours-redis write", "wsgi_sessions, write", "ours", dashed=True),
        _line(figures, "flask-session-redis read", "Flask-Session, read", "other"),
        _line(figures, "flask-session-redis write", "Flask-Session, write", "other", dashed=True),
    ]
    return lines(
        "One key of a session, by the size of the session",
        "in process, with sessions in Redis",
        series,
        "kilobytes of session",
        "microseconds per request",
    )


def _crowd(results: Results) -> str:
    figures = results["crowd"]
    kinds = {"ours-redis": ("Redis", "ours"), "ours-sqlite": ("SQLite", "second")}
    kinds["ours-postgresql"] = ("PostgreSQL", "other")
    series = [
        _line(figures, f"{name} {way}", f"{label}, {way}", kind, dashed=way == "write")
        for name, (label, kind) in kinds.items()
        for way in ("read", "write")
    ]
    return lines(
        "A request, by the number of sessions that are stored",
        "in process, session of eight keys",
        series,
        "stored sessions",
        "microseconds per request",
    )


def _line(figures: Any, row: str, label: str, kind: str, *, dashed: bool = False) -> Line:
    points = sorted((float(x), float(y)) for x, y in figures[row].items())
    return Line(label, points, kind, dashed)


PLOTS: dict[str, Callable[[Results], str]] = {
    "requests": _requests,
    "served": _served,
    "sizes": _sizes,
    "crowd": _crowd,
}
