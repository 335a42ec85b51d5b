"""What docs/jwt.md shows works."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import Any

import jwt
import pytest
from webtest import TestApp

DOCS = Path(__file__).parents[2] / "docs"
TEXT = (DOCS / "jwt.md").read_text()
COOKIES, TOKENS = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)


def test_the_session_in_a_cookie() -> None:
    names: dict[str, Any] = {}
    exec(COOKIES, names)
    browser = TestApp(names["application"])
    assert [browser.get("/").text for _ in range(2)] == ["1", "2"]


def test_the_reader_of_tokens(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A visitor with a token is logged in, and stays so without it."""
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    exec(TOKENS, names)
    key = "the key that signs the tokens, 32 bytes or more"
    assert key in TOKENS
    claims = {"sub": "ann", "exp": time.time() + 60, "role": "editor"}
    browser = TestApp(names["application"])
    cookie = f"access_token={jwt.encode(claims, key, algorithm='HS256')}"
    assert browser.get("/", headers={"Cookie": cookie}).text == "ann {'role': 'editor'}"
    assert browser.get("/").text == "ann {'role': 'editor'}"


@pytest.mark.parametrize("target", re.findall(r"\[.*?\]\((?!http)(.*?)(?:#.*?)?\)", TEXT))
def test_links_lead_somewhere(target: str) -> None:
    """Inside the repository."""
    assert (DOCS / target).exists()
