"""``flask sessions``: the same commands for the application's own sessions."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import flask

from wsgi_sessions import MemoryStore, SQLiteStore
from wsgi_sessions.cli.commands import ON_A_STORE
from wsgi_sessions.flask import FlaskSessions

PROGRAM = """
import flask
from wsgi_sessions import SQLiteStore
from wsgi_sessions.flask import FlaskSessions

app = flask.Flask(__name__)
app.secret_key = "a secret of the tests, long enough"
FlaskSessions(app, store=SQLiteStore("s.db"))
"""


def application(tmp_path: Path, **options: object) -> flask.Flask:
    app = flask.Flask("app")
    app.secret_key = "a secret of the tests, long enough"
    store = SQLiteStore(tmp_path / "s.db")
    FlaskSessions(app, store=store, **options)  # type: ignore[arg-type]

    @app.get("/login/<name>")
    def login(name: str) -> str:
        flask.session["user_id"] = name
        return flask.session.id  # type: ignore[attr-defined,no-any-return]

    return app


def run(app: flask.Flask, *arguments: str) -> tuple[int, str, str]:
    result = app.test_cli_runner().invoke(args=["sessions", *arguments])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.exit_code, result.stdout, result.stderr


def test_flask_sessions_lists_shows_and_ends_the_applications_sessions(tmp_path: Path) -> None:
    app = application(tmp_path)
    id = app.test_client().get("/login/ann").text
    other = app.test_client().get("/login/bob").text

    status, listed, _ = run(app, "list", "--owner", "ann", "--json")
    assert (status, json.loads(listed)["id"]) == (0, id)
    assert "user_id" in run(app, "show", id)[1]
    assert run(app, "revoke", "--owner", "ann", "--yes") == (0, "1 session ended.\n", "")
    assert [json.loads(line)["id"] for line in run(app, "list", "--json")[1].splitlines()] == [
        other
    ]
    assert json.loads(run(app, "stats", "--json")[1])["sessions"] == 1
    assert run(app, "purge")[0] == 0
    assert "the application's secret is set" in run(app, "check")[1]


def test_flask_sessions_has_every_command_that_works_on_a_store(tmp_path: Path) -> None:
    """Without ``--store``: the application has one."""
    app = application(tmp_path)
    app.test_client().get("/login/ann")
    shown = run(app, "--help")[1]
    for command in ON_A_STORE:
        assert f"  {command.name} " in shown
    assert "--store" in {opt for param in ON_A_STORE[0].params for opt in param.opts}
    status, _, errors = run(app, "list", "--store", "memory://")
    assert (status, "No such option" in errors) == (2, True)


def test_flask_sessions_reads_with_the_applications_encryption_keys(tmp_path: Path) -> None:
    app = application(tmp_path, encryption_keys=["11" * 32])
    id = app.test_client().get("/login/ann").text
    status, shown, _ = run(app, "show", id)
    assert (status, "encrypted" in shown, "ann" in shown) == (0, True, True)


def test_a_command_of_the_applications_own_keeps_its_name(tmp_path: Path) -> None:
    app = flask.Flask("app")
    app.secret_key = "a secret of the tests, long enough"

    @app.cli.command("sessions")
    def sessions() -> None:
        print("mine")

    FlaskSessions(app, store=MemoryStore())
    assert app.test_cli_runner().invoke(args=["sessions"]).stdout == "mine\n"


def test_an_application_without_a_secret_says_why_it_has_no_sessions() -> None:
    app = flask.Flask("app")
    FlaskSessions(app, store="memcached://127.0.0.1")
    status, _, errors = run(app, "list")
    assert status == 2
    assert "SECRET_KEY" in errors


def test_the_flask_command_finds_them_and_a_request_does_not_load_them(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(PROGRAM)
    environment = os.environ | {"FLASK_APP": "app"}
    path = Path(sys.executable).with_name("flask")
    served = "import sys, app; app.app.test_client().get('/')"
    check = f"{served}; sys.exit('wsgi_sessions.cli' in sys.modules)"
    subprocess.run([sys.executable, "-c", check], cwd=tmp_path, check=True)
    result = subprocess.run(
        [path, "sessions", "list"], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert result.returncode == 2
    assert "s.db does not exist" in result.stderr
