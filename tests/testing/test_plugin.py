"""The fixtures for the tests of applications, as somebody else's tests use them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

CONFTEST = 'pytest_plugins = ["wsgi_sessions.testing.plugin"]\n'

TEST = '''
"""Tests of an application that is made by a factory."""

import pytest
from werkzeug.test import Client

from wsgi_sessions import SessionMiddleware
from wsgi_sessions.testing import logged_in


def create_app(store, clock):
    def app(environ, start_response):
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [str(environ["wsgi.session"].owner).encode()]

    return SessionMiddleware(app, store=store, clock=clock, lifetime=900)


@pytest.fixture
def client(session_store, session_clock):
    client = Client(create_app(session_store, session_clock))
    cookie = logged_in(client, "ann")
    client.set_cookie(*cookie.split("="))
    return client


def test_a_login_ends_after_a_quarter_of_an_hour(client, session_clock):
    assert client.get("/").text == "ann"
    session_clock.advance(901)
    assert client.get("/").text == "None"


def test_an_outage(client, session_store):
    with session_store.stop():
        assert client.get("/").status_code == 503
    assert client.get("/").text == "ann"


def test_each_test_has_a_store_of_its_own(session_store):
    assert session_store.calls == []
    assert list(session_store.keys()) == []
'''

CONTRACT = """
import pytest
from wsgi_sessions import MemoryStore
from wsgi_sessions.testing import StoreContract


class Broken(MemoryStore):
    def load(self, key):
        return None


class TestBroken(StoreContract):
    shared = False

    @pytest.fixture
    def store(self):
        return Broken()
"""


def run(directory: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments]
    return subprocess.run(command, cwd=directory, capture_output=True, text=True, timeout=300)


def test_the_fixtures_are_there_for_who_names_the_plugin(tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text(CONFTEST)
    (tmp_path / "test_site.py").write_text(TEST)
    result = run(tmp_path)
    assert "3 passed" in result.stdout, result.stdout


def test_nobody_else_gets_them(tmp_path: Path) -> None:
    (tmp_path / "test_site.py").write_text(TEST)
    result = run(tmp_path)
    assert "fixture 'session_store' not found" in result.stdout


@pytest.mark.parametrize("conftest", ["", CONFTEST])
def test_a_failure_of_the_contract_suite_shows_values(tmp_path: Path, conftest: str) -> None:
    (tmp_path / "conftest.py").write_text(conftest)
    (tmp_path / "test_store.py").write_text(CONTRACT)
    result = run(tmp_path, "-k", "test_create_and_load", "-W", "error")
    assert "assert None is not None" in result.stdout, result.stdout
