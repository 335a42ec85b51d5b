"""An extension of Griffe: docstrings, which are reStructuredText, become the HTML of the reference.

Docutils renders them, definition lists and tables included; a role such as
``:class:`~wsgi_sessions.Store``` becomes a link where the reference has the object. A docstring
that is no good reStructuredText fails the build.
"""

from __future__ import annotations

import html
import re
from inspect import cleandoc
from typing import Any

import griffe
from docutils import nodes
from docutils.core import publish_parts
from docutils.parsers.rst import roles
from docutils.utils import SystemMessage

ROLES = ("attr", "class", "data", "exc", "func", "meth", "mod")
LITERAL = re.compile(
    r'<span class="docutils literal">((?:[^<]|<span class="pre">[^<]*</span>)*)</span>'
)
OPTION = re.compile(r"<dt>(\w+ = .*?)</dt>")
"""A term that is an option with its default."""
SETTINGS = {
    "initial_header_level": 4,
    "report_level": 2,
    "halt_level": 2,
    "raw_enabled": False,
    "file_insertion_enabled": False,
    "table_style": "colwidths-auto",
}


class _Scope:
    """The object whose docstring is rendered, in which its roles are looked up."""

    object: Any = None


def _reference(_role: str, _raw: str, text: str, *_: Any, **__: Any) -> tuple[list[Any], list[Any]]:
    """A link to what *text* names, as code."""
    target = text.lstrip("~").removesuffix("()")
    shown = target.rpartition(".")[2] if text.startswith("~") else target
    head, dot, rest = target.partition(".")
    try:
        path = _Scope.object.resolve(head) + dot + rest
    except griffe.NameResolutionError:
        path = target
    link = f'<autoref identifier="{html.escape(path)}" optional>'
    return [nodes.raw("", f"{link}<code>{html.escape(shown)}</code></autoref>", format="html")], []


for _role in ROLES:
    roles.register_local_role(_role, _reference)


def _literal(found: re.Match[str]) -> str:
    return f"<code>{re.sub('</?span[^>]*>', '', found[1])}</code>"


class RestructuredText(griffe.Extension):
    """Renders every docstring of a package when it has been loaded."""

    def on_package(self, *, pkg: griffe.Module, **_: Any) -> None:
        self._render(pkg)

    def _render(self, thing: Any) -> None:
        if thing.docstring is not None:
            _Scope.object = thing
            thing.docstring.value = _rendered(thing.docstring.value, thing.path)
        for member in thing.members.values():
            if not member.is_alias:
                self._render(member)


def _rendered(docstring: str, path: str) -> str:
    """*docstring*, that of the object at *path*, as HTML."""
    try:
        parts = publish_parts(cleandoc(docstring), writer="html5", settings_overrides=SETTINGS)
    except SystemMessage as error:
        raise ValueError(f"the docstring of {path}: {error}") from None
    body = OPTION.sub(r"<dt><code>\1</code></dt>", LITERAL.sub(_literal, parts["body"]))
    return f"<div>\n{body}</div>"
