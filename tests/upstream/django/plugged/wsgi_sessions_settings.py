"""The settings of a suite of Django's or of one for Django, with our sessions if the environment
says so. Nothing else of them is changed, and no test.

Its tests name Django's middleware by its path, in their settings and in their imports. So ours
takes its place in Django's module.
"""

from __future__ import annotations

import os
from importlib import import_module

globals().update(vars(import_module(os.environ["SUITE_SETTINGS"])))

TEST_RUNNER = "wsgi_sessions_runner.RecordingRunner"

if os.environ["SUITE_SESSIONS"] == "ours":
    SESSION_ENGINE = "wsgi_sessions.django"
    WSGI_SESSIONS_STORE = "memory://"

    import django.contrib.sessions.middleware

    from wsgi_sessions.django import SessionMiddleware

    django.contrib.sessions.middleware.SessionMiddleware = SessionMiddleware
