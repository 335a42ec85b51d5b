"""The blocks of code in the README, in ``docs/`` and in docstrings.

A block stands between fences of three backticks. What follows the language in ``title="…"`` is the
file in which a reader saves it. A comment in front of it, or at the top of its page, says why it is
not run, or which test runs it::

    <!-- not run: it takes the application of the reader -->
    <!-- run by tests/cli/test_docs.py -->
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
FENCE = re.compile(
    r"^(?P<indent> *)```(?P<language>[a-z]*)(?P<about>[^\n`]*)\n(?P<text>.*?)^(?P=indent)```$",
    re.MULTILINE | re.DOTALL,
)
REASON = re.compile(r"<!-- (?:not run: (?P<why>[^>]{10,}?)|run by (?P<test>\S+)) -->\s*\Z")
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


@dataclass(frozen=True)
class Block:
    """One block, and what stands around it."""

    page: str
    line: int
    language: str
    text: str
    file: str
    """The name under which the reader saves it; empty if the page names none."""
    why: str
    """Why it is not run here; empty if it is."""
    test: str
    """The file of the test that runs it; empty if it is run here."""
    output: str | None
    """What the page says that it prints, in a block ``text`` right after it."""

    @property
    def name(self) -> str:
        return f"{self.page}:{self.line}"

    @property
    def runs_here(self) -> bool:
        return not (self.why or self.test)


def blocks_of(page: Path) -> list[Block]:
    """All blocks of *page*; a block that is the output of the one before it is part of that."""
    text = page.read_text()
    top = REASON.search(text.partition("\n\n")[0])
    found: list[Block] = []
    end = -1
    for fence in FENCE.finditer(text):
        is_output = fence["language"] == "text" and not text[end : fence.start()].strip()
        if is_output and found and found[-1].language == "python":
            found[-1] = _with(found[-1], output=_dedented(fence))
            continue
        end = fence.end()
        reason = REASON.search(text, 0, fence.start()) or top
        file = re.search(r'title="(.*?)"', fence["about"])
        found.append(
            Block(
                page=str(page.relative_to(ROOT)),
                line=text.count("\n", 0, fence.start()) + 1,
                language=fence["language"],
                text=_dedented(fence),
                file=file[1] if file else "",
                why=(reason["why"] or "") if reason else "",
                test=(reason["test"] or "") if reason else "",
                output=None,
            )
        )
    return found


def _dedented(fence: re.Match[str]) -> str:
    return re.sub(rf"^{fence['indent']}", "", fence["text"], flags=re.MULTILINE)


def _with(block: Block, **changes: str) -> Block:
    return Block(**{**vars(block), **changes})


def every_block() -> Iterator[Block]:
    """Of all pages, in their order."""
    for page in PAGES:
        yield from blocks_of(page)
