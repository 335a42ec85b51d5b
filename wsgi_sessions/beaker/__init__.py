"""Beaker's middleware and session over the stores of this library.

.. code:: python

    from wsgi_sessions.beaker import SessionMiddleware  # was: from beaker.middleware import …


    def application(environ, start_response):
        environ["beaker.session"]["visited"] = True
        start_response("200 OK", [])
        return [b""]


    config = {"session.type": "ext:redis", "session.url": "redis://localhost"}
    application = SessionMiddleware(application, config)

Beaker itself is not needed.
"""

from __future__ import annotations

from wsgi_sessions.beaker.middleware import SessionMiddleware, session_filter_app_factory
from wsgi_sessions.beaker.session import BeakerSession

__all__ = ["BeakerSession", "SessionMiddleware", "session_filter_app_factory"]
