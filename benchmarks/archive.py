"""The results as JSON: one file a part under ``benchmarks/results``, which git ignores, and
``summary.json``, all of them together, which it keeps."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from benchmarks.machine import about

DIRECTORY = Path(__file__).parent / "results"


def save(part: str, figures: Any) -> None:
    (DIRECTORY / f"{part}.json").write_text(
        json.dumps({"about": about(), "figures": figures}, indent=1)
    )


def load() -> dict[str, Any]:
    """The figures of all parts that were measured here; without any, those of the summary."""
    parts = sorted(path for path in DIRECTORY.glob("*.json") if path.stem != "summary")
    if not parts:
        return dict(json.loads((DIRECTORY / "summary.json").read_text())["figures"])
    return {path.stem: json.loads(path.read_text())["figures"] for path in parts}


def summarise() -> None:
    """Put all parts into the summary."""
    figures = load()
    if "timing" in figures:  # the ratios are many, and the targets take only some
        ratios = figures["timing"]["ratios"]
        wanted = ("flask-session", "floor", "django", "beaker", "pyramid", "flask-cookie")
        figures["timing"]["ratios"] = {
            name: {key: value for key, value in row.items() if key.split("/")[1].startswith(wanted)}
            for name, row in ratios.items()
        }
    text = json.dumps({"about": about(), "figures": figures}, indent=1)
    (DIRECTORY / "summary.json").write_text(f"{text}\n")
