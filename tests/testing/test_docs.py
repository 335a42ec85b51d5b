"""Each program of docs/testing.md is a file of tests that passes."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

PAGE = (Path(__file__).parents[2] / "docs" / "testing.md").read_text()
PROGRAMS = re.findall(r"```python\n((?:import|from) .*?)```", PAGE, re.DOTALL)


def test_every_section_has_its_program() -> None:
    assert len(PROGRAMS) == PAGE.count("\n## ") >= 7


def test_the_programs_pass(tmp_path: Path) -> None:
    for number, program in enumerate(PROGRAMS):
        (tmp_path / f"test_{number}.py").write_text(program)
    command = [sys.executable, "-W", "error", "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=600)
    assert result.returncode == 0, result.stdout
    assert " passed" in result.stdout
