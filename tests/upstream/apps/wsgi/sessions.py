"""The lines that a real application is given."""

from __future__ import annotations

import os
from typing import Any


def with_sessions(app: Any) -> Any:
    """*app* with our sessions if the environment names a store; else with its own ones."""
    if store := os.environ.get("WSGI_SESSIONS_STORE"):
        from wsgi_sessions.flask import FlaskSessions

        FlaskSessions(app, store=store)
    return app
