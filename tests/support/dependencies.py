"""Which packages the tests import that a new virtual environment would not have."""

from __future__ import annotations

import ast
import sys
import textwrap
import tomllib
from collections.abc import Iterable, Iterator
from functools import cache
from importlib.metadata import PackageNotFoundError, packages_distributions, requires
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
OWN = {"__main__", "wsgi_sessions", "tests", "benchmarks", "examples"}


def undeclared(paths: Iterable[Path], *groups: str) -> dict[str, set[str]]:
    """The modules that these Python files import without a ``try``, each with the files, that
    neither this project's extras nor *groups* of ``pyproject.toml`` install."""
    known, found = installed_by(*groups), dict[str, set[str]]()
    for path in paths:
        for name in set(imports(path.read_text())) - OWN - sys.stdlib_module_names:
            packages = _distributions().get(name, [name])
            if not known & {canonicalize_name(each) for each in packages}:
                found.setdefault(name, set()).add(path.name)
    return found


def imports(source: str) -> Iterator[str]:
    """The top-level modules that a program imports, and programs in its strings."""
    nodes: list[ast.AST] = [ast.parse(source)]
    while nodes:
        node = nodes.pop()
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield str(node.module).partition(".")[0]
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            nodes += _program(node.value)
        elif not isinstance(node, ast.Try):
            nodes += ast.iter_child_nodes(node)


def _program(text: str) -> list[ast.AST]:
    if "import " not in text:
        return []
    try:
        return [ast.parse(textwrap.dedent(text))]
    except (SyntaxError, ValueError):
        return []


@cache
def _distributions() -> dict[str, list[str]]:
    return dict(packages_distributions())


@cache
def installed_by(*groups: str) -> set[str]:
    """The distributions that this project, its extras and these groups require, and what those
    require in turn."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    waiting = [Requirement(line) for group in groups for line in _lines(project, group)]
    for extra in project["project"]["optional-dependencies"].values():
        waiting += map(Requirement, extra)
    waiting += map(Requirement, project["project"]["dependencies"])
    seen: set[tuple[str, str]] = set()
    while waiting:
        requirement = waiting.pop()
        name = canonicalize_name(requirement.name)
        for extra in {"", *requirement.extras}:
            if (name, extra) not in seen:
                seen.add((name, extra))
                waiting += _required(name, extra)
    return {name for name, _ in seen}


def _lines(project: dict[str, Any], group: str) -> Iterator[str]:
    for line in project["dependency-groups"][group]:
        if isinstance(line, str):
            yield line
        else:
            yield from _lines(project, line["include-group"])


def _required(name: str, extra: str) -> Iterator[Requirement]:
    try:
        lines = requires(name) or []
    except PackageNotFoundError:
        return
    for requirement in map(Requirement, lines):
        if requirement.marker is None or requirement.marker.evaluate({"extra": extra}):
            yield requirement
