"""What docs/beaker.md shows works."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from paste.deploy import loadfilter
from webtest import TestApp

from wsgi_sessions.beaker.configuration import BEAKERS

DOCS = Path(__file__).parents[2] / "docs"
TEXT = (DOCS / "beaker.md").read_text()


def test_the_python_blocks_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first application answers twice and remembers."""
    monkeypatch.chdir(tmp_path)
    first, second = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
    names: dict[str, Any] = {}
    exec(first, names)
    browser = TestApp(names["application"])
    assert [browser.get("/").text for _ in range(2)] == ["1", "2"]
    exec(second, names)
    assert TestApp(names["plain"]).get("/").text == "hello"


def test_the_filter_is_taken(tmp_path: Path) -> None:
    [block] = re.findall(r"```ini\n(.*?)```", TEXT, re.DOTALL)
    (tmp_path / "shop.ini").write_text(block)
    wrap = loadfilter(f"config:{tmp_path}/shop.ini", name="sessions")
    app = wrap(lambda environ, start_response: [])
    assert app.manager.options.lifetime == 3600
    assert type(app.manager.store).__name__ == "RedisStore"


def test_every_option_of_beakers_is_told_of() -> None:
    """By name, but for those that say where a type keeps its things."""
    of_places = {"file_dir", "dbm_dir", "urls", "sa_opts", "sa.url", "table_name", "schema_name"}
    of_places |= {"bind", "table", "memcache_module", "dbmmodule", "encrypt_nonce_bits"}
    for name in BEAKERS - of_places:
        assert re.search(rf"[`.]{name}\b", TEXT), name


@pytest.mark.parametrize("target", re.findall(r"\[.*?\]\((?!http)(.*?)(?:#.*?)?\)", TEXT))
def test_links_lead_somewhere(target: str) -> None:
    """Inside the repository."""
    assert (DOCS / target).exists()
