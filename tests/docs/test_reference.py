"""The reference has every public name, option, keyword, event, command and error."""

from __future__ import annotations

import ast
import html
import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest

import wsgi_sessions
import wsgi_sessions.devices
import wsgi_sessions.flask
import wsgi_sessions.migration
import wsgi_sessions.testing
from wsgi_sessions import Options
from wsgi_sessions.cli.commands import commands
from wsgi_sessions.observe import EVENTS, OUTCOMES

ROOT = Path(__file__).parents[2]
STORES = [name for name in wsgi_sessions.__all__ if name.endswith("Store") and name != "Store"]
MODULES: dict[str, Any] = {
    "wsgi_sessions": wsgi_sessions,
    "wsgi_sessions.flask": wsgi_sessions.flask,
    "wsgi_sessions.devices": wsgi_sessions.devices,
    "wsgi_sessions.migration": wsgi_sessions.migration,
    "wsgi_sessions.testing": wsgi_sessions.testing,
}
ELSEWHERE = {
    "wsgi_sessions.Store",  # under the name of its module, with what belongs to it
    "wsgi_sessions.flask.session",  # no object of its own
    "wsgi_sessions.testing.RealClock",  # for the library's own tests
}
MORE = [
    *(
        f"wsgi_sessions.stores.base.{name}"
        for name in ("Store", "Stored", "OwnerIndex", "Purgeable")
    ),
    "wsgi_sessions.stores.base.Listable",
    "wsgi_sessions.stores.Timeouts",
    "wsgi_sessions.manager.Finished",
    "wsgi_sessions.observe.Observer",
    "wsgi_sessions.observe.PrometheusObserver",
    "wsgi_sessions.flask_session.Session",
]


def page(site: Path, name: str) -> str:
    return (site / "reference" / name / "index.html").read_text()


def text_of(markup: str) -> str:
    return html.unescape(re.sub("<[^>]*>", "", markup))


def public_names() -> list[str]:
    names = [f"{path}.{name}" for path, module in MODULES.items() for name in module.__all__]
    return [name for name in (*names, *MORE) if name not in ELSEWHERE]


@pytest.fixture(scope="session")
def anchors(site: Path) -> set[str]:
    pages = [path.read_text() for path in (site / "reference").rglob("*.html")]
    return {anchor for one in pages for anchor in re.findall(r'id="(wsgi_sessions[\w.]+)"', one)}


def test_every_public_name_is_there(anchors: set[str]) -> None:
    assert [name for name in public_names() if name not in anchors] == []


@pytest.mark.parametrize("cls", ["Session", "SessionManager"])
def test_every_public_method_is_there(cls: str, anchors: set[str]) -> None:
    written = [
        name
        for name, member in vars(getattr(wsgi_sessions, cls)).items()
        if not name.startswith("_") and getattr(member, "__doc__", None)
    ]
    assert [name for name in written if f"wsgi_sessions.{cls}.{name}" not in anchors] == []


def test_every_option_is_there_with_its_default(site: Path) -> None:
    shown = text_of(page(site, "options"))
    for name, parameter in inspect.signature(wsgi_sessions.SessionManager).parameters.items():
        if name in Options.__annotations__:
            assert f"{name} = {parameter.default!r}" in shown, name


@pytest.mark.parametrize("store", STORES)
def test_every_keyword_of_a_store_is_there(store: str, site: Path) -> None:
    markup = page(site, "stores")
    section = markup.partition(f'id="wsgi_sessions.{store}"')[2].partition("<h2")[0]
    for name, parameter in inspect.signature(getattr(wsgi_sessions, store)).parameters.items():
        assert re.search(rf"\b{name}\b", text_of(section)), (name, parameter)


def url_options() -> Iterator[str]:
    """Those that the stores take out of a URL, and keywords of those that have no ``from_url``."""
    for path in (ROOT / "wsgi_sessions" / "stores").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Dict) and any(
                isinstance(value, ast.Name) and value.id in ("TEXT", "NUMBER", "FLAG")
                for value in node.values
            ):
                yield from (ast.literal_eval(key) for key in node.keys if key)
    for name in ("MemoryStore", "FileStore", "SQLiteStore"):
        parameters = inspect.signature(getattr(wsgi_sessions, name)).parameters.values()
        yield from (one.name for one in parameters if one.kind is one.KEYWORD_ONLY)


def test_every_option_of_a_url_is_there(site: Path) -> None:
    options = set(url_options()) - {"timeouts", "clock", "str", "int", "bool", "float"}
    assert {"prefix", "pooler" if "pooler" in options else "schema", "purge_every"} <= options
    shown = page(site, "urls")
    assert [name for name in sorted(options) if f"<code>{name}</code>" not in shown] == []


def test_every_scheme_of_a_url_is_there(site: Path) -> None:
    with pytest.raises(wsgi_sessions.ConfigurationError) as refused:
        wsgi_sessions.open_store("nonsense")
    schemes = re.findall(r"([a-z0-9+]+)://", str(refused.value))
    assert len(schemes) > 20
    shown = page(site, "urls")
    assert [name for name in schemes if f"<code>{name}</code>" not in shown] == []


def test_every_event_and_outcome_is_there(site: Path) -> None:
    shown = page(site, "events")
    missing = [name for name in (*EVENTS, *OUTCOMES) if f"<code>{name}</code>" not in shown]
    assert missing == []


def test_every_command_its_options_and_the_exit_statuses_are_there(site: Path) -> None:
    shown = text_of(page(site, "commands"))
    assert all(re.search(rf"^{status}\n", shown, re.MULTILINE) for status in (0, 1, 2))
    for name, command in commands.commands.items():
        assert f"wsgi-sessions {name}" in shown or name in shown
        for parameter in command.params:
            if isinstance(parameter, click.Option) and not parameter.hidden:
                assert max(parameter.opts, key=len) in shown, (name, parameter.opts)


def test_every_error_is_there_with_its_remedy() -> None:
    table = (ROOT / "docs" / "reference" / "errors.md").read_text()
    errors = [
        name
        for name in wsgi_sessions.__all__
        if isinstance(getattr(wsgi_sessions, name), type)
        and issubclass(getattr(wsgi_sessions, name), wsgi_sessions.SessionError)
        and name not in ("SessionError", "StoreError")
    ]
    assert len(errors) >= 6
    for name in errors:
        [row] = re.findall(rf"^\| \[`{name}`\].*$", table, re.MULTILINE)
        assert len(row.split(" | ")[-1]) > 20, name
