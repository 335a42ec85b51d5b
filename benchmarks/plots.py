"""The pictures of the results in README and site, by matplotlib (group ``bench``)."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

DIRECTORY = Path(__file__).parents[1] / "docs" / "images"

Results = dict[str, Any]

REDIS = {
    "ours-redis": ("wsgi_sessions", "tab:green"),
    "floor-redis": ("redis-py alone", "tab:gray"),
    "pyramid-redis": ("pyramid_session_redis", "tab:blue"),
    "beaker-redis": ("Beaker", "tab:blue"),
    "flask-session-redis": ("Flask-Session", "tab:blue"),
    "django-cache": ("Django, cache", "tab:blue"),
}
SIZES = {
    "ours-redis": ("wsgi_sessions", "tab:green"),
    "flask-session-redis": ("Flask-Session", "tab:blue"),
    "django-cache": ("Django, cache", "tab:purple"),
}
WHERE_WE_LOSE = "Circles: another library was faster."
CROWD = {
    "ours-redis": ("Redis", "tab:green"),
    "ours-sqlite": ("SQLite", "tab:orange"),
    "ours-postgresql": ("PostgreSQL", "tab:blue"),
}


def draw(results: Results) -> None:
    """Write those for which there are figures."""
    import matplotlib
    from matplotlib.figure import Figure

    # Text stays text, and the same figures make the same file.
    matplotlib.rcParams |= {"svg.fonttype": "none", "svg.hashsalt": "", "font.size": 10}
    for name, plot in PLOTS.items():
        figure = Figure(figsize=(7.6, 4.2), layout="constrained")
        try:
            plot(figure, results)
        except KeyError as missing:
            print(f"{name}.svg is left out: {missing} was not measured")
            continue
        about = {"Date": None, "Description": digest(results, PARTS[name])}
        figure.savefig(DIRECTORY / f"{name}.svg", metadata=about, bbox_inches="tight")


def stale(results: Results) -> list[Path]:
    """The pictures that were drawn of other figures."""
    pictures = {DIRECTORY / f"{name}.svg": digest(results, part) for name, part in PARTS.items()}
    return [path for path, drawn in pictures.items() if drawn not in path.read_text()]


def digest(results: Results, part: str) -> str:
    """What says in a picture of which figures it was made."""
    figures = json.dumps(results[part], sort_keys=True)
    return f"figures {hashlib.sha256(figures.encode()).hexdigest()[:16]}"


def _requests(figure: Any, results: Results) -> None:
    figure.set_size_inches(7.6, 7)
    figure.get_layout_engine().set(w_pad=0.2, h_pad=0.1)
    figure.suptitle(
        "What sessions in Redis add to a request: thousands of CPU instructions\n"
        "(bars over 1,100 are cut)"
    )
    scenarios = {
        "untouched": "session not touched",
        "read": "read one key",
        "write": "write one key",
        "new": "new session",
    }
    for axes, (scenario, title) in zip(
        figure.subplots(4, sharex=True), scenarios.items(), strict=True
    ):
        names = [name for name in REDIS if scenario != "untouched" or name != "floor-redis"]
        values = [results["instructions"][name][scenario] for name in names]
        labels, colours = zip(*(REDIS[name] for name in names), strict=True)
        bars = axes.barh(labels, [min(value, 1100) for value in values], color=colours)
        axes.bar_label(bars, [f"{value:,.0f}" for value in values], padding=4)
        axes.set_title(title, loc="left", fontweight="bold")
        axes.invert_yaxis()
        axes.set(xlim=(0, 1200), xticks=[])  # Django's longest are cut
        axes.spines[["top", "right", "bottom"]].set_visible(False)


def _sizes(figure: Any, results: Results) -> None:
    title = "One key of a session in Redis, by the size of the session"
    rows = results["sizes"]["microseconds"]
    figure.set_size_inches(7.6, 4.8)
    axes = _lines(figure, title, rows, SIZES, "kilobytes of session")
    for path in ("read", "write"):
        for name in list(SIZES)[1:]:
            for size, value in rows[f"{name} {path}"].items():
                if value < rows[f"ours-redis {path}"][size]:
                    axes.plot(float(size), value, "o", ms=13, mfc="none", mec="tab:red")
    figure.text(0.02, -0.01, WHERE_WE_LOSE, va="top")


def _crowd(figure: Any, results: Results) -> None:
    title = "A request, by the number of sessions that are stored"
    _lines(figure, title, results["crowd"], CROWD, "stored sessions of eight keys")


def _lines(
    figure: Any, title: str, rows: Any, contenders: dict[str, tuple[str, str]], unit: str
) -> Any:
    axes = figure.subplots()
    for name, (label, colour) in contenders.items():
        for path, style in (("read", "-"), ("write", "--")):
            points = sorted((float(x), y) for x, y in rows[f"{name} {path}"].items())
            axes.plot(*zip(*points, strict=True), style, color=colour, label=f"{label}, {path}")
    axes.set_title(title, loc="left")
    axes.set(xscale="log", yscale="log", xlabel=unit, ylabel="microseconds per request")
    for axis in (axes.xaxis, axes.yaxis):
        axis.get_major_locator().set_params(subs=(1, 2, 5) if axis is axes.yaxis else (1,))
        axis.set_major_formatter("{x:,.0f}")
        axis.set_minor_formatter("")
    axes.grid(alpha=0.3)
    axes.legend(loc="upper left", bbox_to_anchor=(1, 1), frameon=False)
    return axes


PARTS = {"requests": "instructions", "sizes": "sizes", "crowd": "crowd"}
"""The part that each picture shows."""
PLOTS: dict[str, Callable[[Any, Results], None]] = {
    "requests": _requests,
    "sizes": _sizes,
    "crowd": _crowd,
}
