"""What the pages look like: the templates in ``templates/``, and what they are given.

Jinja2 escapes every value in them. There is no script, and no style but the one in the head, whose
digest the content security policy names.
"""

from __future__ import annotations

from base64 import b64encode
from datetime import UTC, datetime
from functools import cache
from hashlib import sha256
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from urllib.parse import unquote

from markupsafe import Markup

from wsgi_sessions.demo.catalogue import euros
from wsgi_sessions.demo.report import Report, Summary

if TYPE_CHECKING:
    from jinja2 import Template

__all__ = [
    "IN_FRAME",
    "PANEL",
    "RECORD",
    "SECURITY",
    "Visitor",
    "icon",
    "page",
    "panel",
    "phone",
    "problem",
    "record",
    "tile",
]

PANEL: Final = Markup("<!--what the session did-->")
"""The panel's place in a page. No text of a visitor looks like it: each ``<`` in one is escaped."""
RECORD: Final = Markup("<!--the record-->")
"""The place of the table of the record, likewise."""

_STYLE = Markup(Path(__file__).with_name("style.css").read_text("utf-8"))
_DIGEST = b64encode(sha256(_STYLE.encode()).digest()).decode()
_ICON = Markup(
    "%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 32 32'%3E%3Cpath fill='%232f7d5b' "
    "d='M27 4C13 4 5 11 5 20c0 3 1 5 2 7C10 18 15 13 21 11 15 15 11 20 9 27c12 2 19-8 18-23z'/"
    "%3E%3C/svg%3E"
)

SECURITY: Final = {
    "Content-Security-Policy": (
        f"default-src 'none'; style-src 'sha256-{_DIGEST}'; img-src 'self' data:; "
        "frame-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
}
IN_FRAME: Final = SECURITY["Content-Security-Policy"].replace(
    "frame-ancestors 'none'", "frame-ancestors 'self'"
)
"""The policy of a page that is shown in a frame of another one of this site."""

_PROBLEMS = {
    400: ("That did not work", ""),
    404: ("There is no such page", "Perhaps it was mistyped, or it has moved."),
    405: ("This page is not used like that", "It is the target of a form, or only to be read."),
    413: ("That is too much", "The forms of this shop are small."),
    503: (
        "Back in a moment",
        "The store that keeps the sessions does not answer. Nothing is lost: try again.",
    ),
}


class Visitor(NamedTuple):
    """What a page shows of the session, whatever it is about."""

    name: str | None
    tins: int
    messages: list[str]


def page(template: str, path: str = "", visitor: Visitor | None = None, **values: Any) -> str:
    """A whole page, made of the *template* with these *values*. *path* is the one that was asked
    for; without *visitor* the page leaves the session alone."""
    return _template(template).render(path=path, visitor=visitor, **values)


def problem(status: int, text: str = "", *, stopped: bool = False) -> str:
    """A whole page that says what is wrong. It leaves the session alone. *stopped*: the visitor has
    stopped the store, and can start it there."""
    title, known = _PROBLEMS.get(status, (HTTPStatus(status).phrase, ""))
    return page("problem", status=status, title=title, text=known or text, stopped=stopped)


def phone(name: str | None, token: str) -> str:
    """The page on the phone, where *name* is logged in, or nobody."""
    return _template("phone").render(name=name, token=token)


def icon() -> str:
    """The picture of the shop, as SVG."""
    return unquote(_ICON)


def tile(number: int) -> str:
    """The picture that answers a request of the race."""
    return _template("tile").render(number=number)


def record(report: Report) -> str:
    """The table of the record that this request has loaded."""
    return _template("record_table").render(record=report.found, rows=report.rows())


def panel(now: Summary, before: Summary | None) -> str:
    """The panel about this request and the POST *before* it, if that redirected here."""
    summaries = [("This request", now)]
    if before is not None:
        summaries.insert(0, ("The form before it", before))
    return _template("panel").render(summaries=summaries)


def _time(seconds: float) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%d %B %Y, %H:%M:%S} UTC"


@cache
def _template(name: str) -> Template:
    """Jinja2 is imported here, with the first page, so that where it is missing the command can
    say what to install."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    templates = Environment(
        loader=FileSystemLoader(Path(__file__).with_name("templates")),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
    )
    templates.filters |= {"euros": euros, "time": _time}
    templates.globals |= {"icon": _ICON, "style": _STYLE}
    templates.globals |= {"panel_place": PANEL, "record_place": RECORD}
    return templates.get_template(f"{name}.html")
