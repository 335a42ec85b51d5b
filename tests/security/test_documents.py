"""What the documents on security claim is proven where they say."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

from wsgi_sessions.manager import Settings

ROOT = Path(__file__).parents[2]
SECURITY = (ROOT / "docs" / "security.md").read_text()
NAMED = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")
CHAPTER_V7 = {"7.1": 3, "7.2": 4, "7.3": 2, "7.4": 5, "7.5": 3, "7.6": 2}
"""Its sections, and how many requirements each has."""
DAY = 86_400


def rows(heading: str) -> list[list[str]]:
    """The cells of the table under *heading*, without its head."""
    section = re.split(r"^## ", SECURITY.partition(f"## {heading}\n")[2], flags=re.MULTILINE)[0]
    lines = [line for line in section.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


@cache
def functions_in(file: str) -> set[str]:
    tree = ast.parse((ROOT / file).read_text())
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}


@pytest.mark.parametrize(("file", "name"), sorted(set(NAMED.findall(SECURITY))))
def test_a_test_that_is_named_exists(file: str, name: str) -> None:
    """In the file that is named."""
    assert name.startswith("test_")
    assert name in functions_in(file)


@pytest.mark.parametrize(
    "heading",
    ["Threat model", "Defaults and their reasons", "OWASP ASVS 5.0, chapter V7",
     "OWASP Session Management Cheat Sheet", "Published weaknesses of this kind"],
)  # fmt: skip
def test_every_line_of_a_table_names_its_proof(heading: str) -> None:
    """In its last cell."""
    assert len(rows(heading)) >= 7
    for row in rows(heading):
        assert NAMED.search(row[-1]), row[0]


def test_every_requirement_of_the_chapter_is_there() -> None:
    """All 19 of OWASP ASVS 5.0 V7, in their order."""
    ids = [f"{part}.{last + 1}" for part, count in CHAPTER_V7.items() for last in range(count)]
    assert [row[0] for row in rows("OWASP ASVS 5.0, chapter V7")] == ids


def test_every_named_regression_is_listed() -> None:
    """Under the number of its weakness; none is left out."""
    file = "tests/security/test_named_regressions.py"
    for number, _, proof in rows("Published weaknesses of this kind"):
        assert f"::test_{number.lower().replace('-', '_')}_" in proof
    listed = {name for path, name in NAMED.findall(SECURITY) if path == file}
    assert listed == {name for name in functions_in(file) if name.startswith("test_cve_")}


def test_the_defaults_are_those_of_the_code() -> None:
    """The table of defaults says what a manager does that is told nothing."""
    words = {DAY: "1 day", 31 * DAY: "31 days", 90 * DAY: "90 days", 1 << 20: "1 MiB"}
    options = Settings()
    for name, default, *_ in rows("Defaults and their reasons"):
        value = getattr(options, name.strip("`"))
        shown = f'"{value}"' if isinstance(value, str) else str(value)
        assert default.strip("`") == words.get(value, shown), name


@pytest.mark.parametrize("document", ["SECURITY.md", "docs/security.md"])
def test_links_lead_somewhere(document: str) -> None:
    """To files of the repository, and headings of the same document."""
    path = ROOT / document
    text = path.read_text()
    anchors = {
        re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")
        for heading in re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    }
    for link in re.findall(r"\]\((?!http)(.*?)\)", text):
        file, _, anchor = link.partition("#")
        assert (path.parent / file).exists() if file else anchor in anchors, link
