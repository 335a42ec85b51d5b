"""``docs/reliability.md`` says what is tried, and how it went the last time."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.soak.matrix import KINDS, STORES, faults_of, matrix
from tests.soak.table import HEAD
from tests.soak.targets import TARGETS

PAGE = (Path(__file__).parents[2] / "docs" / "reliability.md").read_text()


def test_every_store_that_is_tried_has_its_column() -> None:
    assert list(STORES) == list(TARGETS)
    assert matrix() in PAGE


def test_every_fault_is_explained() -> None:
    explained = PAGE.partition("| fault | what happens |")[2]
    names = [
        name for row in explained.splitlines() if row[:1] == "|" for name in row.split("|")[1:2]
    ]
    assert sorted(", ".join(map(str.strip, names[1:])).split(", ")) == sorted(KINDS)


@pytest.mark.parametrize("store", TARGETS)
def test_every_store_was_measured_under_all_its_faults_and_has_lost_nothing(store: str) -> None:
    table = PAGE.partition(HEAD)[2].partition("\n\n")[0]
    row = next(line for line in table.splitlines() if line.startswith(f"| {store} |"))
    _, faults, requests, writes, lost, crossed, undone, recovery = row.strip("| ").split(" | ")
    assert {fault.rpartition(" ")[0] for fault in faults.split(", ")} == set(faults_of(store))
    assert int(requests.replace(",", "")) > int(writes.replace(",", "")) > 0
    assert (lost, crossed, undone) == ("0", "0", "0")
    assert float(recovery) <= 2.0
