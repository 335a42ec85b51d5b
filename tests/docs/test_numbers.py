"""The figures in README, site and pictures are those of ``benchmarks/results/summary.json``."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
SUMMARY = json.loads((ROOT / "benchmarks" / "results" / "summary.json").read_text())


def check(*summary: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "benchmarks", "pages", "--check", *map(str, summary)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True)


def test_pages_and_pictures_have_the_figures_that_were_measured() -> None:
    checked = check()
    assert (checked.returncode, checked.stderr) == (0, "")


def test_a_figure_that_differs_is_noticed_on_every_page(tmp_path: Path) -> None:
    other: Any = json.loads(json.dumps(SUMMARY))
    other["figures"]["instructions"]["ours-redis"]["read"] += 1000
    other["figures"]["footprint"]["ours-redis"]["bytes"] *= 10
    other["figures"]["crowd"]["ours-redis read"]["1000"] += 1000
    (tmp_path / "other.json").write_text(json.dumps(other))

    checked = check(tmp_path / "other.json")

    assert checked.returncode == 1
    for page in (
        *("README.md", "docs/numbers.md", "docs/scale.md", "docs/choosing-a-store.md"),
        *("docs/images/requests.svg", "docs/images/crowd.svg"),
    ):
        assert page in checked.stderr


@pytest.mark.parametrize("fact", ["cpu", "cores", "python", "commit", "redis-server", "redis"])
def test_the_results_name_machine_versions_and_commit(fact: str) -> None:
    assert SUMMARY["about"][fact] not in ("", "unknown")


def test_what_was_measured_once_names_its_commit() -> None:
    assert [name for name, figures in SUMMARY["once"].items() if not figures["commit"]] == []


@pytest.mark.parametrize("page", ["README.md", "docs/numbers.md", "docs/scale.md"])
def test_no_table_of_figures_is_written_by_hand(page: str) -> None:
    """A table whose columns are numbers, which stand at the right, comes from the results."""
    text = re.sub("<!-- table: .*?<!-- end -->", "", (ROOT / page).read_text(), flags=re.DOTALL)
    text = re.sub("<!-- n: .*?<!-- /n -->", "figure", text, flags=re.DOTALL)
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert [row for row in rows if re.search(r"\| +[\d,.]{2,} *\|", row)] == []
