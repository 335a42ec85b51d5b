"""The results as JSON: one file a part under ``benchmarks/results``, which git ignores, and
``summary.json``, what of them is quoted somewhere, which it keeps."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

from benchmarks.machine import about
from benchmarks.targets import TARGETS, at

DIRECTORY = Path(__file__).parent / "results"
IN_FULL = ("instructions", "sizes", "crowd", "footprint")
"""The parts that the tables and pictures of README and site are made of."""


def save(part: str, figures: Any) -> None:
    (DIRECTORY / f"{part}.json").write_text(
        json.dumps({"about": about(), "figures": figures}, indent=1)
    )


def summary(path: Path = DIRECTORY / "summary.json") -> dict[str, Any]:
    """What git keeps: ``about`` (machine, versions, commit), ``figures``, and ``once``: what was
    measured once for a decision, each with its commit."""
    return dict(json.loads(path.read_text()))


def load() -> dict[str, Any]:
    """The figures of all parts that were measured here; without any, those of the summary."""
    parts = sorted(path for path in DIRECTORY.glob("*.json") if path.stem != "summary")
    if not parts:
        return dict(summary()["figures"])
    return {path.stem: json.loads(path.read_text())["figures"] for path in parts}


def summarise() -> None:
    """Put into the summary what is quoted: the targets' figures, those of the pages and of the
    pictures. What was measured once stays."""
    new = {"about": about(), "figures": _quoted(load()), "once": summary()["once"]}
    text = json.dumps(new, indent=1, ensure_ascii=False)
    (DIRECTORY / "summary.json").write_text(f"{text}\n")


def _quoted(figures: dict[str, Any]) -> dict[str, Any]:
    quoted = {part: figures[part] for part in IN_FULL if part in figures}
    for target in TARGETS:
        for path in filter(None, (target.figure, target.over)):
            with suppress(KeyError):
                value = at(figures, path)
                row = quoted
                for key in path[:-1]:
                    row = row.setdefault(key, {})
                row[path[-1]] = value
    return quoted
