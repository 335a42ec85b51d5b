"""What ``docs/watching.md`` says is so: its programs run, its names exist, and no entry of the log
is missing."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from webtest import TestApp

import wsgi_sessions
from wsgi_sessions.observe import EVENTS, OUTCOMES
from wsgi_sessions.stores import GuardedStore

PACKAGE = Path(wsgi_sessions.__file__).parent
DOCS = Path(__file__).parents[1] / "docs"
TEXT = (DOCS / "watching.md").read_text()
[PROGRAM] = re.findall(r'```python title="shop.py"\n(.*?)```', TEXT, re.DOTALL)
YAML = re.findall(r"```yaml\n(.*?)```", TEXT, re.DOTALL)
METRICS = {
    "wsgi_sessions_events_total": {"event"},
    "wsgi_sessions_store_call_duration_seconds_bucket": {"store", "operation", "outcome", "le"},
    "wsgi_sessions_store_call_duration_seconds_count": {"store", "operation", "outcome"},
}


@pytest.fixture
def documented(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, object]:
    """The program of the page."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("WSGI_SESSIONS_STORE", raising=False)
    namespace: dict[str, object] = {"__name__": "documented"}
    exec(PROGRAM, namespace)
    return namespace


def test_the_program_runs_and_answers(documented: dict[str, object]) -> None:
    """Pages, health and metrics."""
    client = TestApp(documented["application"])
    assert client.get("/").text.startswith("1 ")
    assert client.get("/").text.startswith("2 ")
    for path in probes():
        assert client.get(path).text == "ok\n"
    assert 'wsgi_sessions_events_total{event="created"}' in client.get("/metrics").text


def probes() -> set[str]:
    """The paths that Kubernetes asks for."""
    paths = set(re.findall(r"path: (\S+?)[,} \n]", "".join(YAML)))
    assert paths == {"/livez", "/readyz"}
    return paths


def test_the_alert_rules_use_names_that_exist() -> None:
    """Metrics, labels, and the values that labels can have."""
    expressions = "".join(YAML)
    used = re.findall(r"(wsgi_sessions_\w+?)(?:\{(.*?)\})?\[", expressions)
    assert {metric for metric, _ in used} == set(METRICS)
    operations = [name for name in vars(GuardedStore) if not name.startswith("_")]
    values = {"event": EVENTS, "outcome": OUTCOMES, "operation": operations}
    for metric, selector in used:
        for label, value in re.findall(r'(\w+)="(.*?)"', selector):
            assert label in METRICS[metric]
            assert value in values[label]


@pytest.mark.parametrize(("heading", "names"), [("Events", EVENTS), ("Calls", OUTCOMES)])
def test_the_tables_have_every_name(heading: str, names: tuple[str, ...]) -> None:
    """In the order of the code."""
    assert tuple(rows_under(heading)) == names


def rows_under(heading: str) -> list[str]:
    """What stands in code in the first column of the tables under the *heading*."""
    section = re.split(r"^## ", TEXT.partition(f"\n## {heading}")[2], maxsplit=1, flags=re.M)[0]
    return re.findall(r"^\| `(.+?)` \|", section, re.M)


def logged() -> Iterator[str]:
    """Every message that the library logs, with … in the place of what is filled in."""
    for path in PACKAGE.rglob("*.py"):
        if path.relative_to(PACKAGE).parts[0] in ("cli", "demo"):
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and is_logging(node.func):
                yield from messages_of(node)


def is_logging(function: ast.expr) -> bool:
    """Whether it is a method of a logger, or one that ends in it. Flask's own logger is none."""
    if not isinstance(function, ast.Attribute):
        return False
    owner = ast.unparse(function.value)
    by_logger = owner.endswith("log") or owner in ("logger", "self._logger")
    by_name = (
        ("info", "warning", "error", "log", "outage") if by_logger else ("_warn_once", "_report")
    )
    return function.attr in by_name


def messages_of(call: ast.Call) -> Iterator[str]:
    for argument in call.args[:2]:  # a level may come first
        if isinstance(argument, ast.JoinedStr):
            parts = (one.value if isinstance(one, ast.Constant) else "…" for one in argument.values)
            yield "".join(map(str, parts))
        elif isinstance(argument, ast.Constant) and " " in str(argument.value):
            said = ": …" if ast.unparse(call.func).endswith(".outage") else ""  # what is wrong
            yield re.sub(r"%[sdgr]", "…", str(argument.value)) + said


def test_every_entry_of_the_log_is_explained() -> None:
    """By its beginning, which is enough to find it."""
    explained = rows_under("The log")
    for message in logged():
        assert any(message.startswith(row.removesuffix(" …")) for row in explained), message


def test_no_entry_is_explained_that_does_not_exist() -> None:
    """Of those whose message stands in the call."""
    messages = set(logged())
    sources = "".join(path.read_text() for path in PACKAGE.rglob("*.py"))
    for row in rows_under("The log"):
        beginning = row.removesuffix(" …")
        written = any(message.startswith(beginning) for message in messages)
        assert written or beginning in sources, row


@pytest.mark.parametrize("target", re.findall(r"\[.*?\]\((?!http)(.*?)(?:#.*?)?\)", TEXT))
def test_links_lead_somewhere(target: str) -> None:
    """Inside the repository."""
    assert (DOCS / target).exists()
