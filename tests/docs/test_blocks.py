"""Every block of the README, of ``docs/`` and of the docstrings runs, alone, as a reader runs it.

A program runs in a process of its own, in a directory that holds nothing but the files that the
page has shown before, and what it serves is visited. Commands run and print what is shown. A
configuration is parsed. Servers that a page names are real.
"""

from __future__ import annotations

import ast
import configparser
import doctest
import json
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from tests.docs.blocks import PAGES, ROOT, Block, blocks_of, every_block
from tests.docs.commands import FLAGS, Terminal, same_output, steps
from tests.docs.docstrings import Example, examples
from tests.docs.places import at_our_servers, environment


def _ini(text: str) -> object:
    parser = configparser.ConfigParser(interpolation=None, strict=False)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read_string(text)
    return parser.sections()


PARSERS: dict[str, Callable[[str], object]] = {
    "ini": _ini,
    "json": json.loads,
    "toml": tomllib.loads,
    "yaml": lambda text: list(yaml.safe_load_all(text)),
}
COMMANDS = ("console", "sh")
BLOCKS = list(every_block())


def those_in(*languages: str) -> pytest.MarkDecorator:
    """A test for each block in one of these *languages* that runs here."""
    chosen = [block for block in BLOCKS if block.language in languages and block.runs_here]
    return pytest.mark.parametrize("block", chosen, ids=[block.name for block in chosen])


def files_before(block: Block) -> dict[str, str]:
    """What a reader of the page has saved when *block* comes, by name."""
    return {
        one.file: one.text
        for one in blocks_of(ROOT / block.page)
        if one.file and one.line < block.line
    }


def save(files: dict[str, str], directory: Path, request: pytest.FixtureRequest) -> None:
    for name, text in files.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(at_our_servers(text, request))


def run(text: str, name: str, directory: Path, request: pytest.FixtureRequest) -> str:
    """What the program *text* prints when it runs as the file *name* in *directory*."""
    save({name: text}, directory, request)
    is_test = name.startswith("test_")
    module = ["pytest", "-q", "-p", "no:cacheprovider"] if is_test else ["tests.docs.reader"]
    result = subprocess.run(
        [sys.executable, "-m", *module, name],
        cwd=directory,
        env=os.environ | {"PYTHONPATH": str(ROOT)} | environment(text, request),
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    return "" if is_test else result.stdout


def name_of(text: str) -> str:
    """The name that a reader gives a program which has none: pytest runs what has tests."""
    return "test_program.py" if re.search(r"^(def test_|class Test)", text, re.M) else "program.py"


@those_in("python")
def test_a_program_runs_alone(block: Block, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    save(files_before(block), tmp_path, request)

    printed = run(block.text, block.file or name_of(block.text), tmp_path, request)

    if block.output is not None:
        assert same_output(block.output, printed, FLAGS), printed


WITH_COMMANDS = [
    page
    for page in PAGES
    if any(block.language in COMMANDS and block.runs_here for block in blocks_of(page))
]


@pytest.mark.parametrize(
    "page", WITH_COMMANDS, ids=[str(page.relative_to(ROOT)) for page in WITH_COMMANDS]
)
def test_the_commands_of_a_page_print_what_it_shows(
    page: Path, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """In one terminal, in a directory with the files that the page has shown before."""
    terminal = Terminal(tmp_path, {})
    try:
        for block in blocks_of(page):
            if block.file:
                save({block.file: block.text}, tmp_path, request)
            if block.language not in COMMANDS or not block.runs_here:
                continue
            text = at_our_servers(block.text, request)
            prompted = text if block.language == "console" else _prompted(text)
            for command, shown in steps(prompted):
                printed = terminal.run(command)
                if block.language == "console":
                    assert same_output(shown, printed, FLAGS), f"{command}\n{printed}"
    finally:
        terminal.close()


def _prompted(text: str) -> str:
    """The lines of a block ``sh`` as commands."""
    continued = text.replace("\\\n", "\\\0")
    lines = [line for line in continued.splitlines() if line and not line.startswith("#")]
    return "".join(f"$ {line}\n" for line in lines).replace("\0", "\n")


@those_in(*PARSERS)
def test_a_configuration_is_parsed(block: Block) -> None:
    assert PARSERS[block.language](block.text)


def test_every_block_runs_or_says_why_it_does_not() -> None:
    """Of whatever language, none is passed over."""
    run_here = {"python", *COMMANDS, *PARSERS}
    passed_over = [
        block.name for block in BLOCKS if block.runs_here and block.language not in run_here
    ]
    assert passed_over == []
    assert len(BLOCKS) > 50


@pytest.mark.parametrize("test", sorted({block.test for block in BLOCKS if block.test}))
def test_a_test_that_runs_blocks_names_their_page(test: str) -> None:
    pages = {Path(block.page).name for block in BLOCKS if block.test == test}
    text = (ROOT / test).read_text()
    assert [page for page in pages if page not in text] == []


EXAMPLES = list(examples())


@pytest.mark.parametrize("example", EXAMPLES, ids=[one.name for one in EXAMPLES])
def test_a_docstring_s_example_runs_alone(
    example: Example,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
) -> None:
    text = at_our_servers(example.text, request)
    if not example.is_dialogue:
        run(text, name_of(text), tmp_path, request)
        return
    monkeypatch.chdir(tmp_path)
    dialogue = doctest.DocTestParser().get_doctest(text, {}, example.name, None, 0)
    failures: list[str] = []
    doctest.DocTestRunner(optionflags=FLAGS).run(dialogue, out=failures.append)
    assert failures == []


def test_no_program_in_a_docstring_is_passed_over() -> None:
    """A literal block that is Python says so, by ``.. code:: python``."""
    plain = [one for one in examples(plain=True) if not one.is_dialogue]
    assert [one.name for one in plain if _is_python(one.text)] == []


def _is_python(text: str) -> bool:
    try:
        statements = ast.parse(text).body
    except SyntaxError:
        return False
    return any(not isinstance(statement, ast.Expr) for statement in statements)
