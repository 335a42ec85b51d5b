"""What a template finds under the dot and in brackets: what it finds in Flask's own session."""

from __future__ import annotations

from typing import Any

import pytest
from flask import Flask, render_template_string, session
from jinja2 import DictLoader

from tests.support.flask_apps import SECRET, WAYS, give_sessions
from wsgi_sessions import MemoryStore, Session
from wsgi_sessions.flask import FlaskSessions

OURS = sorted(name for name in dir(Session) if not (name.startswith("_") or hasattr({}, name)))
FLASKS = ["accessed", "modified", "new", "permanent"]
SHOWN = ["created_at", "device", "expires_at", "last_seen", "lifetime", "owner"]
ADDED = [name for name in OURS if name not in FLASKS]
FORMS = {"dot": "session.{}", "brackets": "session['{}']"}


def application() -> Flask:
    app = Flask(__name__, static_folder=None)
    app.secret_key = SECRET
    FlaskSessions(app, store=MemoryStore())
    return app


def rendered(app: Flask, template: str, **values: Any) -> str:
    """In a request after one that has put *values*, where there are any."""
    app.add_url_rule("/", "show", lambda: render_template_string(template))
    client = app.test_client()
    if values:
        with client.session_transaction() as stored:
            stored.update(values)
    return client.get("/").text


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", ADDED)
def test_a_key_is_found_whatever_attributes_a_session_has(name: str, way: str, form: str) -> None:
    app = Flask(__name__)
    give_sessions(app, way, MemoryStore())
    template = "{{ " + FORMS[form].format(name) + " }}"
    assert rendered(app, template, **{name: "the application's"}) == "the application&#39;s"


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", [name for name in ADDED if name not in SHOWN])
def test_a_key_that_is_missing_is_undefined(name: str, form: str) -> None:
    """No method that is always true, and never the secret."""
    app = application()
    found = FORMS[form].format(name)
    template = "{% if " + found + " %}true{% else %}[{{ " + found + " }}]{% endif %}"
    assert rendered(app, template, other=1) == "[]"


def test_what_a_page_may_show_of_a_session_is_found() -> None:
    app = application()
    template = "{{ session.owner }} {{ session['owner'] }} {{ session.expires_at > 0 }}"
    assert rendered(app, template, user_id=7) == "7 7 True"


def test_what_flasks_own_session_has_is_found() -> None:
    """Its methods, its flags, and attributes that the application has set."""
    app = application()

    @app.before_request
    def mark() -> None:
        session.mark = "set"  # type: ignore[attr-defined]

    template = (
        "{{ session.permanent }} {{ session.new }} {{ session.mark }} {{ session.get('a') }} "
        "{{ session.items()|list }} {{ session|length }} {{ session.a }} "
        "{{ session[0] }}{{ session[[]] }}"
    )
    assert rendered(app, template, a=1) == "False False set 1 [(&#39;a&#39;, 1)] 1 1 "


def test_a_macro_of_another_template_finds_the_keys() -> None:
    """It has no context, and the session from the globals."""
    app = application()
    macro = "{% macro login() %}{{ session.login }}{% endmacro %}"
    app.jinja_loader = DictLoader({"macros.html": macro})  # type: ignore[assignment]
    template = "{% from 'macros.html' import login %}{{ login() }}"
    assert rendered(app, template, login="ann") == "ann"
