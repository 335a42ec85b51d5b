"""The figures in README, site and pictures are those of ``benchmarks/results/summary.json``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks import pages, plots
from benchmarks.archive import DIRECTORY, summary

REMEDY = "write them again: python -m benchmarks pages, for the pictures python -m benchmarks plots"


@pytest.mark.parametrize(
    "page", pages.pages(), ids=[str(page.relative_to(pages.ROOT)) for page in pages.pages()]
)
def test_a_page_has_the_figures_that_were_measured(page: Path) -> None:
    text = page.read_text()

    assert pages.written(text, summary()) == text, REMEDY


def test_the_readme_and_the_pages_about_figures_take_them_from_there() -> None:
    for name, least in (("README.md", 2), ("docs/numbers.md", 8), ("docs/scale.md", 4)):
        assert len(list(pages.quoted((pages.ROOT / name).read_text()))) >= least, name


def test_a_figure_that_differs_is_noticed() -> None:
    results = json.loads(json.dumps(summary()))
    results["figures"]["instructions"]["ours-redis"]["read"] += 1000
    text = (pages.ROOT / "README.md").read_text()

    assert pages.written(text, results) != text


@pytest.mark.parametrize("name", plots.PLOTS)
def test_a_picture_shows_the_figures_that_were_measured(name: str) -> None:
    picture = (DIRECTORY / f"{name}.svg").read_text()

    assert plots.digest(summary()["figures"], plots.PARTS[name]) in picture, REMEDY


@pytest.mark.parametrize("fact", ["cpu", "cores", "python", "commit", "redis-server", "redis"])
def test_the_results_name_machine_versions_and_commit(fact: str) -> None:
    assert summary()["about"][fact] not in ("", "unknown")


def test_what_was_measured_once_names_its_commit() -> None:
    once: dict[str, Any] = summary()["once"]
    assert [name for name, figures in once.items() if not figures.get("commit")] == []
