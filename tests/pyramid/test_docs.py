"""What docs/pyramid.md shows works."""

from __future__ import annotations

import re
from configparser import ConfigParser
from pathlib import Path
from typing import Any

import pytest
from pyramid.config import Configurator
from webtest import TestApp

from wsgi_sessions.manager import options_from_text
from wsgi_sessions.pyramid import includeme

DOCS = Path(__file__).parents[2] / "docs"
TEXT = (DOCS / "pyramid.md").read_text()
SECRET = "the signing secret of the tests"


def test_the_python_blocks_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One after the other; the applications answer twice and remember."""
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {"__name__": __name__}
    for block in re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL):
        exec(block, names)
        if "/add/{item}" in block:
            client = TestApp(names["app"])
            answers = [client.get("/add/pen").json for _ in range(2)]
            assert answers == [["pen"], ["pen", "pen"]]
    assert names["SecurityPolicy"]()


def test_the_settings_are_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    [block] = re.findall(r"```ini\n(.*?)```", TEXT, re.DOTALL)
    parser = ConfigParser(defaults={"secret": SECRET})
    parser.read_string(block)
    settings = dict(parser["app:main"])
    texts = {
        name.removeprefix("wsgi_sessions."): text
        for name, text in settings.items()
        if name.startswith("wsgi_sessions.")
    }
    assert texts.pop("store") == "redis://localhost"
    assert options_from_text(texts)["lifetime"] == 1200
    includeme(Configurator(settings=settings))


@pytest.mark.parametrize("target", re.findall(r"\[.*?\]\((?!http)(.*?)(?:#.*?)?\)", TEXT))
def test_links_lead_somewhere(target: str) -> None:
    """Inside the repository."""
    assert (DOCS / target).exists()
