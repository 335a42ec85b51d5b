"""Each extra brings what the part of the package imports that it is named for."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import packages_distributions, requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import wsgi_sessions

PACKAGE = Path(wsgi_sessions.__file__).parent
ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS: dict[str, list[str]] = PROJECT["optional-dependencies"]

PARTS = {
    "redis": ["stores/redis"],
    "memcached": ["stores/memcached"],
    "sqlalchemy": ["stores/sqlalchemy"],
    "mongodb": ["stores/mongodb"],
    "dynamodb": ["stores/dynamodb"],
    "flask": ["flask"],
    "django": ["django"],
    "pyramid": ["pyramid.py"],
    "beaker": ["beaker"],
    "jwt": ["migration/jwt.py"],
    "crypto": ["record/encryption.py", "cookie/encrypted.py"],
    "cli": ["cli"],
    "prometheus": ["observe.py"],
    "testing": ["testing"],
    "demo": ["demo", "cli/demo.py"],
}
"""Of an extra: the folders and files that need it."""

OTHERS = {
    "sqlalchemy": {"psycopg", "pymysql"},  # one for each database: the error names it
    "pyramid": {"pyramid_retry"},  # asked about where an application uses it
    "cli": {"redis", "valkey", "pymemcache", "sqlalchemy", "pymongo", "bson", "boto3", "botocore"},
    "redis": {"valkey"},  # takes its place where it is installed
}
"""What is imported as well, where somebody else has brought it."""


def files_of(part: str) -> list[Path]:
    path = PACKAGE / part
    return sorted(path.rglob("*.py")) if path.is_dir() else [path]


def imported_by(path: Path) -> Iterator[str]:
    """The modules of other libraries, wherever in the file they are imported."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [node.module or ""]
        else:
            continue
        yield from (name.partition(".")[0] for name in names)


def installed_by(requirements: list[str]) -> set[str]:
    """The distributions that pip installs for these *requirements*."""
    found: set[str] = set()
    waiting = [Requirement(one) for one in requirements]
    while waiting:
        one = waiting.pop()
        name = canonicalize_name(one.name)
        if name not in found:
            found.add(name)
            inner = [Requirement(text) for text in requires(name) or []]
            waiting += [each for each in inner if _counts(each, one.extras)]
    return found


def _counts(requirement: Requirement, extras: set[str]) -> bool:
    marker = requirement.marker
    return marker is None or any(marker.evaluate({"extra": extra}) for extra in (*extras, ""))


def test_every_extra_is_checked() -> None:
    assert PARTS.keys() == EXTRAS.keys() - {"all"}


def test_all_brings_what_an_application_can_use() -> None:
    """Neither a test runner nor a demo."""
    [everything] = EXTRAS["all"]
    assert Requirement(everything).extras == PARTS.keys() - {"testing", "demo"}


@pytest.mark.parametrize("extra", PARTS)
def test_an_extra_brings_what_its_part_imports(extra: str) -> None:
    known = installed_by([*PROJECT["dependencies"], *EXTRAS[extra]])
    distributions = packages_distributions()
    own = {*sys.stdlib_module_names, "wsgi_sessions", *OTHERS.get(extra, ())}
    for path in (path for part in PARTS[extra] for path in files_of(part)):
        for module in set(imported_by(path)) - own:
            packages = {canonicalize_name(name) for name in distributions.get(module, [module])}
            assert packages & known, f"{path.name} imports {module}, which [{extra}] does not bring"


def test_an_extra_that_a_message_or_a_page_names_exists() -> None:
    pages = [*PACKAGE.rglob("*.py"), *(ROOT / "docs").rglob("*.md"), ROOT / "README.md"]
    named = {
        extra
        for page in pages
        for names in re.findall(r"wsgi-sessions\[([a-z,]+)\]", page.read_text())
        for extra in names.split(",")
    }
    assert named <= EXTRAS.keys()
    assert named >= PARTS.keys()
