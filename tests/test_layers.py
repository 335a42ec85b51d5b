"""The shape of the package: imports run one way, and nothing optional is imported unasked."""

from __future__ import annotations

import ast
import subprocess
import sys
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import wsgi_sessions

PACKAGE = Path(wsgi_sessions.__file__).parent
MODULES = sorted(PACKAGE.rglob("*.py"))

HOUSE = """
cli
demo testing
flask_session
flask django pyramid beaker devices
middleware
migration
manager
session
cookie
stores
record
observe
log errors
"""
"""A line may import from the lines below it, never from one above or from the same line."""

SINGLE_STORES = ("cli", "demo", "flask_session", "migration")
"""The rooms that may name a single store; all others know the protocol only."""

FOREIGN = {
    "django.responses": {"_resource_closers"},  # of Django's responses
    "django.test_keys": {"_TestState"},  # of Django's test runner
    "flask_session.clients": {"_client", "_path", "_write_client"},  # of cachelib's caches
    "stores.memcached.connections": {"_create_client"},  # of pymemcache's pool
    "middleware": {"_state"},  # of the session: a call less in each request
    "manager.manager": {"_state"},
}
"""Underscore names of other libraries, where they have no other way to a connection, and the one
name of ours that is no part of the interface and yet read elsewhere."""

LINES = [line.split() for line in HOUSE.strip().splitlines()]
ROOMS = {room: number for number, line in enumerate(LINES) for room in line}


def name_of(path: Path) -> str:
    """The dotted name below the package; empty for the package itself."""
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


NAMES = {name_of(path) for path in MODULES}
FOLDERS = {name_of(path) for path in MODULES if path.name == "__init__.py"}


def folder_of(name: str) -> str:
    """The folder a module lies in; a folder's ``__init__`` lies in the folder itself."""
    return name if name in FOLDERS else name.rpartition(".")[0]


def room_of(name: str) -> str:
    return name.partition(".")[0]


@cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


def imports_of(path: Path) -> set[tuple[str, str]]:
    """The modules of the package that *path* imports, wherever in the file, each with the name
    that is taken from it."""
    found: set[tuple[str, str]] = set()
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path}: relative import"
            found.update((node.module or "", alias.name) for alias in node.names)
        elif isinstance(node, ast.Import):
            found.update((alias.name, "") for alias in node.names)
    ours = set()
    for module, name in found:
        if module.split(".")[0] == "wsgi_sessions":
            module = module.removeprefix("wsgi_sessions").removeprefix(".")
            submodule = f"{module}.{name}".removeprefix(".")
            ours.add((submodule, "") if submodule in NAMES else (module, name))
    return ours


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_imports_point_down(path: Path) -> None:
    """From a line of the table to a lower one."""
    name = name_of(path)
    if not name:  # the package itself gives the public names of all
        return
    for imported, _ in imports_of(path):
        assert imported, f"{name} imports the package itself: take the name from its room"
        if room_of(imported) != room_of(name):
            assert ROOMS[room_of(imported)] > ROOMS[room_of(name)], f"{name} imports {imported}"


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_a_folder_is_entered_by_its_init(path: Path) -> None:
    """Across folders only the ``__init__`` is imported, and no underscore name. A store knows the
    plain files of ``stores``, and no other store."""
    name = name_of(path)
    folder = folder_of(name)
    for imported, taken in imports_of(path):
        if folder_of(imported) == folder:
            continue
        assert not taken.startswith("_"), f"{name} takes {taken} of {imported}"
        in_a_store = folder.startswith("stores.")
        plain_file = imported.startswith("stores.") and folder_of(imported) == "stores"
        top_level = "." not in imported
        assert imported in FOLDERS or top_level or (in_a_store and plain_file), (
            f"{name} imports {imported}: take it from {folder_of(imported)}"
        )
        if imported.startswith("stores.") and imported in FOLDERS:
            assert room_of(name) in ("", *SINGLE_STORES), f"{name} imports {imported}"


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_no_underscore_name_of_another_folder_is_read_or_set(path: Path) -> None:
    """``other._name`` is defined in the folder it is used in."""
    known = underscore_names(path.parent) | FOREIGN.get(name_of(path), set())
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Attribute) and is_private(node.attr):
            own = isinstance(node.value, ast.Name) and node.value.id in ("self", "cls")
            assert own or node.attr in known, f"{path.name}:{node.lineno} uses {node.attr}"


def is_private(name: str) -> bool:
    """Whether it is nobody else's; what ``NamedTuple`` and ``datetime`` call so is public."""
    public = ("_replace", "_asdict", "_make", "_fields", "_get_current_object", "_exit")
    return name.startswith("_") and not name.startswith("__") and name not in public


@cache
def underscore_names(folder: Path) -> set[str]:
    """The underscore names that the modules of *folder* define."""
    names: set[str] = set()
    for path in folder.glob("*.py"):
        for node in ast.walk(tree_of(path)):
            if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
                names.add(node.name)
            elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
                if isinstance(node.value, ast.Name) and node.value.id in ("self", "cls"):
                    names.add(node.attr)
            elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                names.add(node.id)
    return names


def test_no_modules_import_each_other() -> None:
    """Not in a circle of any length."""
    graph = {
        name_of(path): {imported for imported, _ in imports_of(path) if imported in NAMES}
        for path in MODULES
    }
    TopologicalSorter(graph).prepare()


def test_the_house_has_at_most_twenty_rooms() -> None:
    """And each has its place in the table."""
    rooms = {room_of(name) for name in NAMES if name}
    assert len(rooms) <= 20
    assert rooms <= set(ROOMS)


OPTIONAL = (
    "redis hiredis pymemcache sqlalchemy pymongo boto3 botocore "
    "flask cryptography click django pyramid zope beaker jwt gunicorn"
)


def test_importing_the_package_imports_no_optional_dependency() -> None:
    """Nor naming a store."""
    program = (
        "import sys, wsgi_sessions\n"
        "for name in wsgi_sessions.__all__: getattr(wsgi_sessions, name)\n"
        f"print(*sorted(set(sys.modules) & set({OPTIONAL.split()})))"
    )
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (result.stdout.strip(), result.stderr) == ("", "")


def test_the_package_says_that_it_is_typed() -> None:
    """To type checkers, by a file."""
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
