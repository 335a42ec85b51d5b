"""What the library is to reach (``targets.toml``), beside what was measured."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.table import table

Results = dict[str, Any]
"""The figures of each part, by its name."""


class Target(NamedTuple):
    name: str
    figure: list[str]
    """Where it is in the results: the part, then the keys."""
    must: float
    goal: float | None = None
    over: list[str] | None = None
    """Where the figure is that it is divided by."""
    unit: str = "x"
    """``k``: thousands of instructions per request. ``x``: a ratio of times, of requests per
    second, or of bytes."""
    at_least: bool = False

    def measured(self, results: Results) -> float:
        """Raises ``KeyError`` where that was not measured."""
        figure = at(results, self.figure)
        return figure if self.over is None else figure / at(results, self.over)

    def met(self, measured: float) -> str:
        for word, limit in (("goal", self.goal), ("yes", self.must)):
            if limit is not None and (measured >= limit if self.at_least else measured <= limit):
                return word
        return "NO"


def at(results: Results, path: Sequence[str]) -> float:
    """The figure at *path*."""
    found: Any = results
    for key in path:
        found = found[key]
    return float(found)


TARGETS = [
    Target(**row)
    for row in tomllib.loads(Path(__file__).with_name("targets.toml").read_text())["targets"]
]


def show(results: Results) -> str:
    """Every target and what was measured, where it was."""
    header = ["target", "must", "goal", "measured", "met"]
    return table(header, [_row(target, results) for target in TARGETS])


def _row(target: Target, results: Results) -> list[str]:
    sign = "≥" if target.at_least else "≤"
    must = f"{sign} {target.must:g} {target.unit}"
    goal = "" if target.goal is None else f"{sign} {target.goal:g}"
    try:
        measured = target.measured(results)
    except (KeyError, ZeroDivisionError):
        return [target.name, must, goal, "not measured", ""]
    return [target.name, must, goal, f"{measured:.3g} {target.unit}", target.met(measured)]
