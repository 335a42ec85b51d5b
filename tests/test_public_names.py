"""The names that the package gives: that they are there, documented, and cheap to import."""

from __future__ import annotations

import inspect
import pydoc
import subprocess
import sys
from dataclasses import fields
from typing import Any

import pytest

import wsgi_sessions
from wsgi_sessions import Options, SessionManager, SessionMiddleware, stores
from wsgi_sessions.flask import FlaskSessions
from wsgi_sessions.flask_session import Session as FlaskSession
from wsgi_sessions.manager import Settings

NAMES = {
    *("SessionMiddleware", "SessionManager", "Session", "SessionInfo", "Options"),
    *("MemoryStore", "FileStore", "SQLiteStore", "RedisStore", "MemcachedStore"),
    *("SQLAlchemyStore", "MongoDBStore", "CookieStore", "Store", "open_store", "MsgpackCodec"),
    *("SessionError", "StoreError", "StoreUnavailable", "ConflictError", "SessionTooLarge"),
    *("UnsupportedValue", "SessionClosed", "ConfigurationError"),
}
CONSTRUCTORS: list[Any] = [SessionManager, SessionMiddleware, FlaskSessions, FlaskSession]


def test_the_package_gives_the_names_of_its_contract() -> None:
    """Those, and no others."""
    assert set(wsgi_sessions.__all__) == NAMES


def test_dir_shows_every_public_name_without_importing_the_stores() -> None:
    """A store's module is imported when the store is named."""
    program = (
        "import sys, wsgi_sessions\n"
        "assert set(wsgi_sessions.__all__) <= set(dir(wsgi_sessions))\n"
        "print(*[name for name in sys.modules if name.startswith('wsgi_sessions.stores.redis')])"
    )
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (result.stdout.strip(), result.stderr) == ("", "")


@pytest.mark.parametrize("name", sorted(NAMES))
def test_every_public_name_and_what_it_has_is_documented(name: str) -> None:
    """Methods and properties too, by themselves or by the protocol that they implement."""
    public = getattr(wsgi_sessions, name)
    assert inspect.getdoc(public)
    for member, value in vars(public).items() if inspect.isclass(public) else ():
        if not member.startswith("_") and (callable(value) or isinstance(value, property)):
            described = inspect.getdoc(value) or any(
                inspect.getdoc(getattr(protocol, member, None))
                for protocol in (
                    *(stores.Store, stores.Purgeable, stores.Listable, stores.OwnerIndex),
                    *(wsgi_sessions.record.Codec, *public.__mro__),
                )
            )
            assert described, f"{name}.{member}"


def test_the_parts_of_a_store_are_in_its_room() -> None:
    """For authors of stores."""
    for name in ("Stored", "OwnerIndex", "Purgeable", "Listable"):
        assert inspect.getdoc(getattr(stores, name))
        assert not hasattr(wsgi_sessions, name)


def test_importing_the_package_loads_no_server() -> None:
    """Neither werkzeug's, which a date took in, nor any other."""
    program = (
        "import sys, wsgi_sessions, wsgi_sessions.middleware\n"
        "servers = ('werkzeug', 'http.server', 'socketserver', 'wsgiref.simple_server')\n"
        "print(*[name for name in servers if name in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (result.stdout.strip(), result.stderr) == ("", "")


def test_options_and_settings_have_the_same_names() -> None:
    """In the same order."""
    assert list(Options.__annotations__) == [field.name for field in fields(Settings)]


@pytest.mark.parametrize("constructor", CONSTRUCTORS)
def test_a_signature_shows_every_option_with_its_default(constructor: Any) -> None:
    """Whoever asks: ``help()``, notebooks, Sphinx."""
    parameters = inspect.signature(constructor).parameters
    for field in fields(Settings):
        shown = field.metadata["shown"]
        assert repr(parameters[field.name].default) == shown
        assert parameters[field.name].kind is inspect.Parameter.KEYWORD_ONLY


@pytest.mark.parametrize("constructor", CONSTRUCTORS)
def test_help_describes_every_option(constructor: Any) -> None:
    """With its default, and some words of what it does."""
    text = pydoc.plain(pydoc.render_doc(constructor))
    for field in fields(Settings):
        _, heading, rest = text.partition(f"{field.name} = {field.metadata['shown']}\n")
        assert heading, field.name
        assert len(rest.partition("\n")[0].strip(" |")) > 15, field.name


def test_a_subclass_keeps_its_own_signature() -> None:
    """The one that is shown belongs to the constructor, not to the class."""

    class Mine(SessionManager):
        def __init__(self, url: str) -> None:
            super().__init__(url)

    assert list(inspect.signature(Mine).parameters) == ["url"]
