"""What the README shows works."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from webtest import TestApp

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
PYTHON = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
SHELL = re.findall(r"```sh\n(.*?)```", README, re.DOTALL)
MAKEFILE = (ROOT / "Makefile").read_text()


def test_its_ten_lines_remember(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    [program] = PYTHON
    assert len([line for line in program.splitlines() if line.strip()]) <= 10
    namespace: dict[str, object] = {"__name__": "block"}
    exec(program, namespace)
    client = TestApp(namespace["application"])
    assert client.get("/").text == "1 visits, cart: ['book']"
    assert client.get("/").text == "2 visits, cart: ['book', 'book']"


def test_its_first_screen_says_what_it_is_for() -> None:
    first_screen = README[:1000]
    assert "WSGI; ASGI by threads only" in first_screen
    assert "docs/images/race.png" in first_screen


PROMISES = README.partition("## Six promises")[2].partition("\n## ")[0]


def test_every_promise_names_a_test_that_exists() -> None:
    promises = re.split(r"^\d\. ", PROMISES, flags=re.MULTILINE)[1:]
    assert len(promises) == 6
    for promise in promises:
        named = re.findall(r"`(tests/[\w/]+\.py)::(test_\w+)`", promise)
        assert named, promise
        for file, name in named:
            assert f"def {name}(" in (ROOT / file).read_text(), name


def test_the_make_tasks_exist() -> None:
    """Every task that the README names."""
    tasks = {task for block in SHELL for task in re.findall(r"^make (\S+)", block, re.MULTILINE)}
    assert {"demo", "test"} <= tasks
    for task in tasks:
        assert re.search(rf"^{task}:", MAKEFILE, re.MULTILINE), task


def test_ci_runs_the_test_command_of_the_readme() -> None:
    """And nothing else decides."""
    assert "make test" in (ROOT / ".ci" / "run").read_text()


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
