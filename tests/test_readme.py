"""What the README shows works."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import pytest
from webtest import TestApp

import wsgi_sessions
from wsgi_sessions.manager import Settings

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
PYTHON = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
SHELL = re.findall(r"```sh\n(.*?)```", README, re.DOTALL)
MAKEFILE = (ROOT / "Makefile").read_text()


@pytest.mark.parametrize("block", PYTHON, ids=range(len(PYTHON)))
def test_a_python_block_runs(block: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each by itself; an application in it answers twice and remembers."""
    monkeypatch.chdir(tmp_path)
    namespace: dict[str, object] = {"__name__": "block"}
    exec(block, namespace)
    application = namespace.get("application")
    if isinstance(application, wsgi_sessions.SessionMiddleware):
        client = TestApp(application)
        assert client.get("/").text == "1 visits, cart: ['book']"
        assert client.get("/").text == "2 visits, cart: ['book', 'book']"


def test_the_make_tasks_exist() -> None:
    """Every task that the README names."""
    tasks = {task for block in SHELL for task in re.findall(r"^make (\S+)", block, re.MULTILINE)}
    assert {"demo", "test"} <= tasks
    for task in tasks:
        assert re.search(rf"^{task}:", MAKEFILE, re.MULTILINE), task


def test_ci_runs_the_test_command_of_the_readme() -> None:
    """And nothing else decides."""
    assert "make test" in (ROOT / ".ci" / "run").read_text()


def test_every_option_is_in_the_table_with_its_default() -> None:
    """No more and no less."""
    rows = re.findall(r"^\| (`[a-z_`, ]+`) \| (.*?) \|", README.partition("## Options")[2], re.M)
    told = {name for names, _ in rows for name in re.findall(r"`(\w+)`", names)}
    assert told == {field.name for field in dataclasses.fields(Settings)}


REPOSITORY = re.compile(
    r"https://(?:github|raw\.githubusercontent)\.com/wsgi-sessions/wsgi-sessions/(?:blob/)?main/"
    r"([^\s)#]+)"
)


@pytest.mark.parametrize("name", sorted(set(REPOSITORY.findall(README))))
def test_a_link_into_the_repository_leads_to_a_file(name: str) -> None:
    assert (ROOT / name).is_file()


def test_links_are_absolute_because_the_readme_is_the_package_index_page() -> None:
    """Inline ones and definitions; and every reference has a definition."""
    targets = re.findall(r"\]\((.*?)\)", README) + re.findall(
        r"^\[.+?\]: (.*)", README, re.MULTILINE
    )
    assert len(targets) > 5
    assert [target for target in targets if not target.startswith("https://")] == []
    defined = set(re.findall(r"^\[(.+?)\]: ", README, re.MULTILINE))
    assert set(re.findall(r"\]\[(.+?)\]", README)) == defined
