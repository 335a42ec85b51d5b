"""What docs/owners.md prints is what its programs print."""

from __future__ import annotations

import re
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

PAGE = Path(__file__).parents[1] / "docs" / "owners.md"


def test_the_page_prints_what_it_says() -> None:
    """Block by block, in one program."""
    names: dict[str, Any] = {}
    printed, checked = "", 0
    for language, block in re.findall(r"```(python|text)\n(.*?)```", PAGE.read_text(), re.S):
        if language == "text":
            assert printed == block
            checked += 1
            continue
        output = StringIO()
        with redirect_stdout(output):
            exec(block, names)
        printed = output.getvalue()
    assert checked == 4
