"""The figures in the README and in ``docs/``, written there from ``results/summary.json``.

A table stands between ``<!-- table: NAME -->`` and ``<!-- end -->``. A figure stands between
``<!-- n: PATH -->`` and ``<!-- /n -->``: the keys that lead to it in the summary, with ``;``
between them, and a format (``.2f``; by default a whole number). ``python -m benchmarks pages``
writes all of them again, with ``--check`` it says which pages and pictures differ.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.archive import summary
from benchmarks.plots import stale
from benchmarks.scale import commands_of, requests_of, scale
from benchmarks.table import table
from benchmarks.targets import TARGETS

Results = dict[str, Any]

ROOT = Path(__file__).parents[1]
TABLE = re.compile(r"(?<=<!-- table: )([a-z-]+)( -->\n\n)(?:(?!<!--).)*(?=<!-- end -->)", re.DOTALL)
FIGURE = re.compile(r"(?<=<!-- n: )([^>]+?)( -->).*?(?=<!-- /n -->)", re.DOTALL)
FORMAT = re.compile(r";(,?\.\d[f%])$")

REDIS = {
    "ours-redis": "wsgi_sessions",
    "floor-redis": "redis-py alone: `get`; `get` and `set`; `set`",
    "pyramid-redis": "pyramid_session_redis",
    "beaker-redis": "Beaker",
    "flask-session-redis": "Flask-Session",
    "django-cache": "Django, cache",
}
"""The contenders of the README's table."""
SCENARIOS = {
    "untouched": "untouched",
    "read": "read a key",
    "write": "write a key",
    "new": "new session",
    "large-read": "read a key of 41 KB",
    "large-write": "write one",
}
OURS = {
    "ours-redis": "Redis, by URL",
    "ours-redis-client": "Redis, a client of redis-py",
    "ours-memcached": "Memcached",
    "ours-sqlite": "SQLite",
    "ours-postgresql": "PostgreSQL",
    "ours-file": "files",
    "ours-memory": "memory",
    "ours-cookie": "the cookie itself",
    "ours-flask-redis": "Redis, in Flask",
    "ours-django-redis": "Redis, in Django",
}
SIZES = {
    "ours-redis": "wsgi_sessions",
    "flask-session-redis": "Flask-Session",
    "django-cache": "Django, cache",
}
BYTES = {"/fill/small": "8 keys", "/fill/1": "1 KB", "/fill/large": "41 KB"}


def pages() -> list[Path]:
    """Every page that may hold figures."""
    return [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def write() -> None:
    """Write the figures of the summary into all pages."""
    results = summary()
    for page in pages():
        text = page.read_text()
        if (new := written(text, results)) != text:
            page.write_text(new)
            print(f"{page.relative_to(ROOT)} was written")


def differing(results: Results) -> list[str]:
    """The pages and pictures that show other figures than *results*."""
    texts = {str(page.relative_to(ROOT)): page.read_text() for page in pages()}
    differ = [name for name, text in texts.items() if written(text, results) != text]
    return differ + [str(path.relative_to(ROOT)) for path in stale(results["figures"])]


def written(text: str, results: Results) -> str:
    """*text* with the figures of *results* in it. Raises ``KeyError`` for a table or figure that
    does not exist."""
    text = TABLE.sub(lambda found: found[1] + found[2] + TABLES[found[1]](results) + "\n\n", text)
    return FIGURE.sub(lambda found: found[1] + found[2] + _figure(found[1], results), text)


def _figure(path: str, results: Results) -> str:
    kind = FORMAT.search(path)
    keys = path[: kind.start()] if kind else path
    beside = {**results, "derived": derived(results["figures"])}
    value: Any = beside if keys.split(";")[0] in beside else results["figures"]
    for key in keys.split(";"):
        value = value[key]
    return value if isinstance(value, str) else format(value, kind[1] if kind else ",.0f")


def derived(figures: Results) -> dict[str, float]:
    """What is reckoned from the figures, with two digits."""
    footprint = figures["footprint"]
    return {
        "commands of a Redis node": rounded(commands_of("ours-redis", footprint)),
        "requests of a PostgreSQL node": rounded(requests_of("ours-postgresql", footprint)),
    }


def rounded(value: float) -> float:
    return float(f"{value:.2g}")


def _instructions(results: Results) -> str:
    return _costs(results, REDIS)


def _stores(results: Results) -> str:
    return _costs(results, OURS)


def _costs(results: Results, rows: dict[str, str]) -> str:
    figures = results["figures"]["instructions"]
    cells = [
        [label, *(_thousands(figures[name].get(scenario)) for scenario in SCENARIOS)]
        for name, label in rows.items()
        if name in figures
    ]
    return table(["thousands of instructions", *SCENARIOS.values()], cells)


def _thousands(value: float | None) -> str:
    return "" if value is None else f"{value:,.0f}"


def _sizes(results: Results) -> str:
    """In bold where another is faster than this library."""
    figures = results["figures"]["sizes"]["microseconds"]
    columns = list(figures["ours-redis read"])
    rows = [
        [
            f"{label}, {path}",
            *(_marked(figures[f"{name} {path}"][size], figures[f"ours-redis {path}"][size])
              for size in columns),
        ]
        for path in ("read", "write")
        for name, label in SIZES.items()
    ]  # fmt: skip
    return table(["µs by KB of session", *columns], rows)


def _marked(value: float, ours: float) -> str:
    return f"**{value:,.0f}**" if value < ours else f"{value:,.0f}"


def _bytes(results: Results) -> str:
    figures = results["figures"]["sizes"]["bytes"]
    rows = [
        [
            REDIS[name],
            *(_marked(figures[name][path], figures["ours-redis"][path]) for path in BYTES),
        ]
        for name in REDIS
        if name in figures
    ]
    return table(["bytes in Redis, key included", *BYTES.values()], rows)


def _ratios(results: Results) -> str:
    """What was measured against something else, in its unit; bold where it is the other's win."""
    rows = [
        [target.name, "more" if target.at_least else "less", _ratio(target.measured(figures))]
        for figures in [results["figures"]]
        for target in TARGETS
        if target.unit == "x"
    ]
    return table(["what / against what", "better is", "measured"], rows)


def _ratio(value: float) -> str:
    return f"{value:.2g}" if value < 1 else f"{value:.3g}"


def _machine(results: Results) -> str:
    return table(["on", ""], [[fact, value] for fact, value in results["about"].items()])


TABLES: dict[str, Callable[[Results], str]] = {
    "instructions": _instructions,
    "stores": _stores,
    "sizes": _sizes,
    "bytes": _bytes,
    "ratios": _ratios,
    "machine": _machine,
    "scale": lambda results: scale(results["figures"]["footprint"]),
}
