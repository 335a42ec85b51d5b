"""The examples in the docstrings of the package: dialogues with ``>>>``, ``.. code:: python``."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from docutils import nodes
from docutils.core import publish_doctree
from docutils.parsers.rst import roles

import wsgi_sessions

PACKAGE = Path(wsgi_sessions.__file__).parent
for _role in ("attr", "class", "data", "exc", "func", "meth", "mod"):
    roles.register_generic_role(_role, nodes.literal)


class Example(NamedTuple):
    """One block of a docstring."""

    name: str
    text: str
    is_dialogue: bool


def examples(*, plain: bool = False) -> Iterator[Example]:
    """The examples of all docstrings; with *plain* the literal blocks that are none."""
    for path in sorted(PACKAGE.rglob("*.py")):
        for line, docstring in _docstrings(path):
            if ">>>" not in docstring and "::" not in docstring:
                continue
            name = f"{path.relative_to(PACKAGE)}:{line}"
            tree = publish_doctree(docstring, settings_overrides={"report_level": 4})
            for block in tree.findall(nodes.doctest_block):
                yield Example(name, block.astext(), True)
            for block in tree.findall(nodes.literal_block):
                if ("python" in block["classes"]) != plain:
                    yield Example(name, block.astext(), False)


def _docstrings(path: Path) -> Iterator[tuple[int, str]]:
    kinds = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, kinds) and (docstring := ast.get_docstring(node)):
            yield getattr(node, "lineno", 1), docstring
