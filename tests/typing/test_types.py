"""Both type checkers accept the right programs and report each mistake on its line."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
SECONDS = 300
"""After which a checker that still runs is taken to hang."""


def wrong_lines() -> set[int]:
    lines = (HERE / "wrong.py").read_text().splitlines()
    return {number for number, line in enumerate(lines, 1) if line.endswith("# wrong")}


def environment() -> dict[str, str]:
    """That of this interpreter: pyright looks for ``python`` in the path."""
    directory = Path(sys.executable).parent
    path = os.pathsep.join([str(directory), os.environ.get("PATH", "")])
    return os.environ | {
        "PATH": path,
        "PYTHONPATH": str(ROOT),
        "PYRIGHT_PYTHON_IGNORE_WARNINGS": "1",
    }


def run(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", *command],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=environment(),
        timeout=SECONDS,
    )


@cache
def pyright_is_there() -> str:
    """Its version; empty if it or the Node.js it needs cannot be had."""
    if shutil.which("node") is None:
        return ""
    try:
        return run("pyright", "--version").stdout.strip()
    except subprocess.TimeoutExpired:
        return ""


@pytest.fixture
def pyright() -> None:
    """The checker, which pip gets from npm when it first runs."""
    if not pyright_is_there().startswith("pyright"):
        message = "pyright: apt-get install nodejs npm; pip install pyright; pyright --version"
        if os.environ.get("WSGI_SESSIONS_REQUIRE_SERVERS") == "1":
            pytest.fail(message)
        pytest.skip(message)


def test_mypy_accepts_the_right_programs_and_reports_each_mistake() -> None:
    """Strictly, by the project's settings."""
    result = run(
        "mypy", "--strict", "--output=json", str(HERE / "right.py"), str(HERE / "wrong.py")
    )
    errors = [json.loads(line) for line in result.stdout.splitlines()]
    found = {(Path(error["file"]).name, error["line"]) for error in errors}
    assert found == {("wrong.py", line) for line in wrong_lines()}, result.stdout + result.stderr


def test_pyright_accepts_the_right_programs_and_reports_each_mistake(pyright: None) -> None:
    """In its standard mode, which editors have."""
    result = run("pyright", "--outputjson", str(HERE / "right.py"), str(HERE / "wrong.py"))
    diagnostics = json.loads(result.stdout)["generalDiagnostics"]
    found = {
        (Path(one["file"]).name, one["range"]["start"]["line"] + 1)
        for one in diagnostics
        if one["severity"] == "error"
    }
    assert found == {("wrong.py", line) for line in wrong_lines()}, result.stdout + result.stderr


def test_every_public_name_has_a_type(pyright: None) -> None:
    """For pyright, of every module."""
    result = run("pyright", "--verifytypes", "wsgi_sessions", "--ignoreexternal", "--outputjson")
    report = json.loads(result.stdout)["typeCompleteness"]
    missing = [
        f"{symbol['name']}: {diagnostic['message']}"
        for symbol in report["symbols"]
        if symbol["isExported"] and not symbol["isTypeKnown"]
        for diagnostic in symbol["diagnostics"]
    ]
    assert (missing, report["completenessScore"]) == ([], 1)
