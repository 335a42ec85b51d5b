"""A pytest plugin for the tests of Flask and its extensions: ``--our-sessions`` gives ours to every
application."""

from __future__ import annotations

from typing import Any

import _pytest.compat
import _pytest.monkeypatch
import flask
import pytest

from wsgi_sessions import MemoryStore
from wsgi_sessions.flask import FlaskSessions

# Flask's conftest.py takes a private name from pytest, which newer ones have somewhere else.
if not hasattr(_pytest.monkeypatch, "notset"):
    _pytest.monkeypatch.notset = _pytest.compat.NOTSET


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--our-sessions", action="store_true")


def pytest_configure(config: pytest.Config) -> None:
    if not config.getoption("--our-sessions"):
        return
    initialise = flask.Flask.__init__

    def with_our_sessions(app: flask.Flask, *arguments: Any, **options: Any) -> None:
        initialise(app, *arguments, **options)
        if app.session_interface is flask.Flask.session_interface:  # a test's own one stays
            FlaskSessions(app, store=MemoryStore())

    flask.Flask.__init__ = with_our_sessions
