"""What CONTRIBUTING.md says about the files is true."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.test_layers import ROOMS

ROOT = Path(__file__).parent.parent
CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text()
ROWS = re.findall(r"^\| (.+\?) \| \[`(.+?)`\]\((.+?)\) \|$", CONTRIBUTING, re.MULTILINE)
"""The table's questions, each with the file that answers it and the link to that."""
LINKS = re.findall(r"\]\((?!https:)([^)#]+)\)", CONTRIBUTING)


def test_the_table_answers_ten_questions_and_more_each_by_one_file() -> None:
    lines = [line for line in CONTRIBUTING.splitlines() if line.startswith("| ")]
    assert len(ROWS) == len(lines) - 2 >= 10  # less the head and its rule
    assert len({file for _, file, _ in ROWS}) == len(ROWS)


@pytest.mark.parametrize(("question", "file", "link"), ROWS, ids=[row[1] for row in ROWS])
def test_the_file_that_answers_a_question_exists(question: str, file: str, link: str) -> None:
    assert (ROOT / file).is_file(), question
    assert link == file


@pytest.mark.parametrize("link", sorted(set(LINKS)))
def test_a_link_leads_to_a_file(link: str) -> None:
    assert (ROOT / link).is_file()


def test_the_column_has_the_order_of_the_test_of_imports() -> None:
    """Each line of it stands in the table of ``test_layers``, above those that come after it."""
    column = CONTRIBUTING.partition("imports point down: ")[2].partition(". ")[0]
    rooms = re.findall(r"\w+", column)
    assert len(rooms) > 10
    assert rooms == sorted(rooms, key=ROOMS.__getitem__)


def test_the_tasks_that_are_named_exist() -> None:
    makefile = (ROOT / "Makefile").read_text()
    for task in set(re.findall(r"`make ([a-z-]+)`", CONTRIBUTING)) | {"test"}:
        assert re.search(rf"^{task}:", makefile, re.MULTILINE), task
