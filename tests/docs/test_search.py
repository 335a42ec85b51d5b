"""Fifty questions of five kinds of readers, asked of the search of the built site."""

from __future__ import annotations

import html
import re
import tomllib
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.docs.search import Search

QUESTIONS = tomllib.loads(Path(__file__).with_name("questions.toml").read_text())["reader"]
READERS = 5
EACH = 10


class Question(NamedTuple):
    ask: str
    page: str
    says: str


ASKED = [Question(**question) for reader in QUESTIONS for question in reader["questions"]]


@pytest.fixture(scope="session")
def search(site: Path) -> Search:
    return Search(site)


def test_five_kinds_of_readers_ask_ten_questions_each() -> None:
    assert [len(reader["questions"]) for reader in QUESTIONS] == [EACH] * READERS
    assert len({question.ask for question in ASKED}) == EACH * READERS


@pytest.mark.parametrize("question", ASKED, ids=[question.ask for question in ASKED])
def test_the_page_is_among_the_first_three_and_answers(
    search: Search, site: Path, question: Question
) -> None:
    page = html.unescape(re.sub("<[^>]*>", "", (site / question.page / "index.html").read_text()))
    assert question.says in page
    assert question.page in search.pages(question.ask)[:3]


def test_what_no_page_says_is_not_found(search: Search) -> None:
    assert search.pages("zeppelin") == []
