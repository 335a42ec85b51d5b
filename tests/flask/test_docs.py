"""What docs/flask.md shows works."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from flask import Flask

DOCS = Path(__file__).parents[2] / "docs"
TEXT = (DOCS / "flask.md").read_text()


def test_the_first_application_remembers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    namespace: dict[str, object] = {"__name__": "documented"}
    first = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)[0]
    exec(first, namespace)
    app = namespace["app"]
    assert isinstance(app, Flask)
    client = app.test_client()
    assert [client.get("/add/pen").json for _ in range(2)] == [["pen"], ["pen", "pen"]]


@pytest.mark.parametrize("target", re.findall(r"\[.*?\]\((?!http)(.*?)(?:#.*?)?\)", TEXT))
def test_links_lead_somewhere(target: str) -> None:
    """Inside the repository."""
    assert (DOCS / target).exists()
