"""A pytest plugin for suites that pytest-django runs: what ``wsgi_sessions_settings`` is for those
of Django's own runner."""

from __future__ import annotations

import pytest


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    import django.contrib.sessions.middleware
    from django.conf import settings

    from wsgi_sessions.django import SessionMiddleware

    settings.SESSION_ENGINE = "wsgi_sessions.django"
    settings.WSGI_SESSIONS_STORE = "memory://"
    django.contrib.sessions.middleware.SessionMiddleware = SessionMiddleware
