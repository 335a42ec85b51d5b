"""The shape of the package: imports run one way, and nothing optional is imported unasked."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import wsgi_sessions

PACKAGE = Path(wsgi_sessions.__file__).parent
MODULES = sorted(PACKAGE.rglob("*.py"))

LAYERS = [
    {"errors"},
    {"cookies", "tokens", "record", "changes", "headers", "events", "sealing", "scalars"},
    {"flat"},
    {"codec", "lifetimes"},
    {"origin", "stores.base"},
    {"breaker", "draft", "options", "stores.health"},
    {"session", "stores", "signing", "cookie_store"},
    {"migration.takeover", "restricted_pickle"},
    {"manager", "migration.table", "migration.values"},
    {"migration.flask_cookie", "migration.flask_session", "migration.django"},
    {"migration.flask_session_memcached"},
    {"migration"},
    {"middleware", "flask_login"},
    {"", "testing", "demo", "flask", "flask_session_clients"},
    {"flask_session_base"},
    {"flask_session_interfaces"},
    {"flask_session", "commands"},
    {"cli"},
]
"""From the bottom to the top. A module imports what is below it; inside ``stores`` and ``demo``,
modules of the same store or of the demo may import each other."""


def name_of(path: Path) -> str:
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def level(name: str) -> int:
    if name.startswith("stores.health"):
        name = "stores.health"
    elif name.startswith("stores.") and name != "stores.base":
        name = "stores"
    if name.startswith("demo."):
        name = "demo"
    return next(number for number, layer in enumerate(LAYERS) if name in layer)


def imports_of(path: Path) -> set[str]:
    """The modules of ours that *path* imports, wherever in the file."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
        elif isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
    ours = {name for name in found if name.split(".")[0] == "wsgi_sessions"}
    return {name.removeprefix("wsgi_sessions").removeprefix(".") for name in ours}


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_imports_point_down(path: Path) -> None:
    """Every module has a layer, and imports only lower ones."""
    name = name_of(path)
    for imported in imports_of(path):
        family = name.split("_")[0]
        if name.startswith("stores.") and imported.startswith(family):
            continue
        if name.split(".")[0] == imported.split(".")[0] == "demo" or name == "":
            continue
        assert level(imported) < level(name), f"{name} imports {imported}"


@pytest.mark.parametrize(
    "path", [path for path in MODULES if path.parent.name == "stores"], ids=name_of
)
def test_stores_know_nothing_of_sessions(path: Path) -> None:
    """They import errors, the protocol, and modules of their own family."""
    name = name_of(path)
    family = name.split("_")[0]
    for imported in imports_of(path):
        known = imported in ("errors", "stores.base") or imported.startswith("stores.health")
        assert known or imported.startswith(family)


OPTIONAL = "redis hiredis pymemcache sqlalchemy pymongo flask cryptography click django gunicorn"


def test_importing_the_package_imports_no_optional_dependency() -> None:
    """Nor naming a store."""
    program = (
        "import sys, wsgi_sessions\n"
        "for name in wsgi_sessions.__all__: getattr(wsgi_sessions, name)\n"
        f"print(*sorted(set(sys.modules) & set({OPTIONAL.split()})))"
    )
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (result.stdout.strip(), result.stderr) == ("", "")


def test_every_public_name_is_there_and_documented() -> None:
    """With a docstring of its own."""
    for name in wsgi_sessions.__all__:
        assert getattr(wsgi_sessions, name).__doc__, name
    assert (PACKAGE / "py.typed").exists()


def test_a_name_that_is_not_there_is_an_attribute_error() -> None:
    """As of any module."""
    with pytest.raises(AttributeError, match="PickleStore"):
        wsgi_sessions.PickleStore  # noqa: B018


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_nothing_unpickles(path: Path) -> None:
    """No module imports pickle or anything built on it, nor evaluates text."""
    text = path.read_text()
    if path.name == "restricted_pickle.py":  # what it admits is tested by itself
        return
    for word in ("import pickle", "marshal", "shelve", "dill", "eval(", "exec(", "yaml"):
        assert word not in text
