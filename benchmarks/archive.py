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
    """What git keeps: ``about`` (machine, versions, commit), ``commits`` by part, ``figures``, and
    ``once``: what was measured once for a decision, each with its commit."""
    return dict(json.loads(path.read_text()))


def load() -> dict[str, Any]:
    """The figures of all parts that were measured here; without any, those of the summary."""
    parts = _measured()
    if not parts:
        return dict(summary()["figures"])
    return {name: part["figures"] for name, part in parts.items()}


def summarise() -> None:
    """Put into the summary what was measured here and is quoted: the targets' figures, those of the
    pages and of the pictures. Parts that were not measured here stay, with their commit, and so
    does what was measured once."""
    old, parts = summary(), _measured()
    commits = old["commits"] | {name: part["about"]["commit"] for name, part in parts.items()}
    new = {
        "about": about() | {"command": "python -m benchmarks", "commit": _told(commits)},
        "commits": commits,
        "figures": old["figures"] | _quoted(load()),
        "once": old["once"],
    }
    text = json.dumps(new, indent=1, ensure_ascii=False)
    (DIRECTORY / "summary.json").write_text(f"{text}\n")


def _measured() -> dict[str, Any]:
    """What was measured here, by part."""
    paths = sorted(path for path in DIRECTORY.glob("*.json") if path.stem != "summary")
    return {path.stem: json.loads(path.read_text()) for path in paths}


def _told(commits: dict[str, str]) -> str:
    """Which parts were measured at which commit."""
    parts: dict[str, list[str]] = {}
    for part, commit in commits.items():
        parts.setdefault(commit, []).append(part)
    if len(parts) == 1:
        return next(iter(parts))
    return "; ".join(f"{commit}: {', '.join(names)}" for commit, names in parts.items())


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
