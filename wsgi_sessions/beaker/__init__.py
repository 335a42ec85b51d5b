"""Beaker's middleware and session over the stores of this library.

.. code:: python

    from wsgi_sessions.beaker import SessionMiddleware  # was: from beaker.middleware import …

    def application(environ, start_response):
        environ["beaker.session"]["visits"] = 1
        start_response("200 OK", [])
        return [b"welcome"]

    options = {"session.type": "ext:redis", "session.url": "redis://localhost"}
    application = SessionMiddleware(application, options)

Beaker itself is not needed.
"""

from __future__ import annotations

from wsgi_sessions.beaker.middleware import SessionMiddleware, session_filter_app_factory
from wsgi_sessions.beaker.session import BeakerSession

__all__ = ["BeakerSession", "SessionMiddleware", "session_filter_app_factory"]
