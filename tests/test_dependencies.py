"""A new virtual environment, and a new machine, get all that the tests use."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.support.dependencies import imports, undeclared

ROOT = Path(__file__).parents[1]
UPSTREAM = ROOT / "tests" / "upstream"
IN_ANOTHER_ENVIRONMENT = {UPSTREAM / "apps", UPSTREAM / "django" / "plugged"}
USED_WHERE_INSTALLED = {"bjoern", "meinheld", "atheris"}
"""They have to be compiled."""
WRITTEN_BY_TESTS = {"app", "shop"}


def python_files(directory: str) -> list[Path]:
    found = (ROOT / directory).rglob("*.py")
    return [path for path in found if not IN_ANOTHER_ENVIRONMENT & {*path.parents}]


@pytest.mark.parametrize(
    ("directory", "groups"),
    [
        ("tests", ("test", "servers")),
        ("examples", ("test", "servers")),
        ("benchmarks", ("servers", "bench")),
        ("docs", ("docs",)),
        ("wsgi_sessions", ("test",)),
    ],
)
def test_what_is_imported_is_declared(directory: str, groups: tuple[str, ...]) -> None:
    """Packages that were once installed by hand are missing in the next environment."""
    found = undeclared(python_files(directory), *groups)
    assert found.keys() <= USED_WHERE_INSTALLED | WRITTEN_BY_TESTS, found


def test_every_server_program_is_installed_by_the_script() -> None:
    """What `require_program` asks for, by its Debian package."""
    script = (ROOT / "tests/servers/install.sh").read_text()
    packages = set(re.findall(r"^need \S+ (\S+)", script, re.MULTILINE))
    asked = set[str]()
    for path in python_files("tests"):
        asked |= set(re.findall(r'require_program\([^)]*?, "([a-z-]+)"', path.read_text()))
    assert len(asked) > 5
    assert asked <= packages


def test_imports_are_found_in_programs_within_strings() -> None:
    """Where they need not be installed they are left out."""
    source = 'import flask.json\ntry: import c\nexcept ImportError: c = "from redis import Redis"'
    assert set(imports(source)) == {"flask"}
    assert set(imports('program = """\n    from redis import Redis\n"""')) == {"redis"}


def test_a_package_that_nothing_declares_is_named(tmp_path: Path) -> None:
    name = "no_such_package"
    (tmp_path / "test_it.py").write_text(f"import {name}, pytest")
    assert undeclared(tmp_path.iterdir(), "test") == {name: {"test_it.py"}}
