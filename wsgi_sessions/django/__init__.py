"""Django: ``request.session`` is a session of this library.

Two lines of the settings:

.. code:: python

    MIDDLEWARE = [..., "wsgi_sessions.django.SessionMiddleware", ...]
    SESSION_ENGINE = "wsgi_sessions.django"

in the place of ``django.contrib.sessions.middleware.SessionMiddleware`` and of the engine before.
The store is what the setting ``WSGI_SESSIONS_STORE`` is or names, by default the environment's
variable of that name; ``WSGI_SESSIONS`` is a dict of options that no ``SESSION_…`` setting has;
``WSGI_SESSIONS_MIGRATE_FROM`` lists the engines whose live sessions are to be kept.
"""

from __future__ import annotations

try:
    import django  # noqa: F401
except ModuleNotFoundError as _error:
    if _error.name != "django":
        raise
    raise ModuleNotFoundError(
        'wsgi_sessions.django needs Django: pip install "wsgi-sessions[django]"', name="django"
    ) from None

from wsgi_sessions.django import checks as _checks  # noqa: F401  # registers them
from wsgi_sessions.django.configuration import session_manager
from wsgi_sessions.django.middleware import SessionMiddleware
from wsgi_sessions.django.store import SessionStore

__all__ = ["SessionMiddleware", "SessionStore", "session_manager"]
