"""What docs/migrating.md says is so."""

from __future__ import annotations

import re
from pathlib import Path

import flask
from flask_session.defaults import Defaults

from wsgi_sessions import migration

TEXT = (Path(__file__).parents[2] / "docs" / "migrating.md").read_text()
ROWS = {
    name
    for row in re.findall(r"^\| (`[A-Z].*?) \|", TEXT, re.MULTILINE)
    for name in re.findall(r"`(\w+)`", row)
}


def test_every_key_of_flask_session_is_in_the_table() -> None:
    """What became of it."""
    keys = {key for key in vars(Defaults) if key.startswith("SESSION_")}
    assert len(keys) > 20
    assert keys <= ROWS


def test_the_table_has_no_key_that_there_is_not() -> None:
    """Of Flask-Session's or Flask's."""
    known = {*vars(Defaults), *flask.Flask("app").config, "SECRET_KEY_FALLBACKS"}
    assert {name for name in ROWS if name.isupper()} - {"SESSION_COOKIE_"} <= known


def test_every_reader_is_told_of() -> None:
    """By name."""
    for name in migration.__all__:
        if name.endswith("Reader") and name != "Reader":
            assert f"`{name}`" in TEXT or f"{name}(" in TEXT, name
