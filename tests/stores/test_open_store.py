"""open_store: which store a URL names, and what is said about a wrong one."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from wsgi_sessions.errors import ConfigurationError
from wsgi_sessions.stores import open_store
from wsgi_sessions.stores.file.store import FileStore
from wsgi_sessions.stores.memory import MemoryStore
from wsgi_sessions.stores.sqlite.store import SQLiteStore
from wsgi_sessions.stores.urls import STORES


def works(store):
    """Save and load."""
    store.save("key", b"data", expires_at=9e9, replacing=None)
    return store.load("key").data == b"data"


def test_memory():
    """memory:// is a new MemoryStore."""
    store = open_store("memory://")
    assert type(store) is MemoryStore
    assert works(store)


def test_file(tmp_path):
    """file:/// is the absolute directory, percent-encoding decoded."""
    store = open_store(f"file://{tmp_path}/my%20sessions")
    assert type(store) is FileStore
    assert works(store)
    assert os.listdir(tmp_path) == ["my sessions"]


@pytest.mark.parametrize("scheme", ["sqlite", "SQLite"])
def test_sqlite_relative(tmp_path, monkeypatch, scheme):
    """Three slashes: below the directory that was current when the store was made."""
    monkeypatch.chdir(tmp_path)
    store = open_store(f"{scheme}:///sessions.db")
    monkeypatch.chdir("/")
    assert type(store) is SQLiteStore
    assert works(store)
    assert (tmp_path / "sessions.db").exists()
    store.close()


def test_sqlite_absolute(tmp_path):
    """Four slashes: from the root."""
    store = open_store(f"sqlite:///{tmp_path}/sessions.db")
    assert works(store)
    assert (tmp_path / "sessions.db").exists()
    store.close()


def test_options_have_the_types_that_the_store_declares(tmp_path):
    """Text, whole numbers and truth values."""
    url = f"sqlite:///{tmp_path}/s.db?table=logins&create=false&purge_every=7"
    store = open_store(url)
    assert "logins" in store.ddl
    store.close()
    small = open_store("memory://?max_sessions=1")
    small.save("a", b"", expires_at=9e9, replacing=None)
    small.save("b", b"", expires_at=9e9, replacing=None)
    assert list(small.keys()) == ["b"]


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("", "redis://"),
        ("sessions.db", "sqlite://"),
        ("oracle://host/db", "postgresql+psycopg://"),
        ("localhost:6379", "redis://"),
        ("memory://host", "no host"),
        ("memory:///path", "no path"),
        ("file://relative/path", "file:///absolute/directory"),
        ("file://", "file:///absolute/directory"),
        ("sqlite://", "sqlite:///relative/path.db"),
        ("sqlite://host/path.db", "sqlite:///relative/path.db"),
        ("sqlite:///", "sqlite:///relative/path.db"),
        ("sqlite:///:memory:", "MemoryStore"),
        ("sqlite:///a.db#b", "%23"),
        (
            "sqlite:///a.db?tabel=x",
            "known: answer_timeout, connect_timeout, create, group, purge_every, table",
        ),
        (
            "sqlite:///a.db?clock=x",
            "known: answer_timeout, connect_timeout, create, group, purge_every, table",
        ),
        ("sqlite:///a.db?table=x&table=y", "twice"),
        ("sqlite:///a.db?table=x;y", "table"),
        ("sqlite:///a.db?create=maybe", "'create'"),
        ("sqlite:///a.db?purge_every=often", "'purge_every'"),
        ("file:///tmp/x?table=x", "known: answer_timeout, connect_timeout"),
        ("memory://?max_sessions=0", "max_sessions"),
    ],
)
def test_a_wrong_url_is_told_what_is_right(url, said):
    """Unknown schemes and options, missing and superfluous parts."""
    with pytest.raises(ConfigurationError) as caught:
        open_store(url)
    assert said in str(caught.value)


@pytest.mark.parametrize("url", ["oracle://u:pa55word@h/", "sqlite://u:pa55word@h/x", "u:pa55word"])
def test_a_password_is_never_repeated(url):
    """Messages do not contain the URL."""
    with pytest.raises(ConfigurationError) as caught:
        open_store(url)
    assert "pa55word" not in str(caught.value)


def test_naming_a_store_imports_no_client_of_another():
    """Each store's module is imported when it is named."""
    code = (
        "import sys\n"
        "from wsgi_sessions.stores import open_store\n"
        "open_store('memory://')\n"
        "print({'redis', 'pymemcache', 'sqlalchemy', 'pymongo', 'boto3'} & set(sys.modules))\n"
    )
    output = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout
    assert output == "set()\n"


@pytest.mark.parametrize("scheme", sorted(STORES))
def test_every_scheme_names_a_module_of_this_package(scheme):
    """The table is not about modules that are not there."""
    module, _, name = STORES[scheme].partition(":")
    imported = __import__(f"wsgi_sessions.stores.{module}", fromlist=[name])
    assert isinstance(getattr(imported, name), type)


@pytest.mark.parametrize("url", [None, "sqlite:///wsgi-sessions.db"])
def test_without_a_url_it_is_that_of_the_environment_else_a_file(url, tmp_path, monkeypatch):
    """``WSGI_SESSIONS_STORE``; nothing is made yet."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("WSGI_SESSIONS_STORE", raising=False)
    store = open_store(url)
    assert type(store) is SQLiteStore
    assert store.path == str(tmp_path / "wsgi-sessions.db")
    assert os.listdir(tmp_path) == []
    monkeypatch.setenv("WSGI_SESSIONS_STORE", "memory://")
    assert type(open_store()) is MemoryStore
    assert type(open_store("sqlite:///other.db")) is SQLiteStore
