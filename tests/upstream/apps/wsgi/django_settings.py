"""The settings of a Django application, with our two lines if the environment names a store."""

from __future__ import annotations

import os
from importlib import import_module

globals().update(vars(import_module(os.environ["APPLICATION_SETTINGS"])))

if os.environ.get("WSGI_SESSIONS_STORE"):
    MIDDLEWARE = [
        name.replace("django.contrib.sessions.middleware", "wsgi_sessions.django")
        for name in globals()["MIDDLEWARE"]
    ]
    SESSION_ENGINE = "wsgi_sessions.django"
