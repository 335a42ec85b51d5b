"""A pytest plugin for Pyramid's own tests: ``--our-sessions`` gives them ours in place of Pyramid's
sessions in cookies, and in place of the dummy that stands for a session."""

from __future__ import annotations

from typing import Any

import pyramid.session
import pyramid.testing
import pytest

from wsgi_sessions import MemoryStore
from wsgi_sessions.manager import options_from_text
from wsgi_sessions.pyramid import session_factory

OPTIONS = {
    "cookie_name": "cookie_name",
    "path": "cookie_path",
    "domain": "cookie_domain",
    "secure": "cookie_secure",
    "httponly": "cookie_httponly",
    "samesite": "cookie_samesite",
    "timeout": "lifetime",
    "reissue_time": None,
    "set_on_exception": None,
    "max_age": None,
}
"""Pyramid's names of options, and ours; some have no counterpart."""


def our_factory(_serializer: object, **given: Any) -> Any:
    """What takes the place of ``BaseCookieSessionFactory``."""
    options: dict[str, Any] = {"cookie_name": "session"}
    for name, value in given.items():
        ours = OPTIONS[name]
        if ours is not None and value is not None:
            options |= options_from_text({ours: value}) if isinstance(value, str) else {ours: value}
    return session_factory(MemoryStore(), **options)


def our_session() -> Any:
    """What takes the place of ``DummySession``."""
    request = pyramid.testing.DummyRequest(session=None)
    return session_factory(MemoryStore())(request)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--our-sessions", action="store_true")


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("--our-sessions"):
        pyramid.session.BaseCookieSessionFactory = our_factory
        dummy = pyramid.testing.DummyRequest.__init__

        def with_our_session(request: Any, *arguments: Any, **attributes: Any) -> None:
            dummy(request, *arguments, **attributes)
            if "session" not in attributes:
                request.session = our_session()

        pyramid.testing.DummyRequest.__init__ = with_our_session
