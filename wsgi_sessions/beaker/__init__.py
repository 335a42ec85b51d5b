"""Beaker's middleware and session over the stores of this library.

>>> from wsgi_sessions.beaker import SessionMiddleware  # was: from beaker.middleware import …
>>> app = SessionMiddleware(app, {"session.type": "ext:redis", "session.url": "redis://localhost"})

Beaker itself is not needed.
"""

from __future__ import annotations

from wsgi_sessions.beaker.middleware import SessionMiddleware, session_filter_app_factory
from wsgi_sessions.beaker.session import BeakerSession

__all__ = ["BeakerSession", "SessionMiddleware", "session_filter_app_factory"]
