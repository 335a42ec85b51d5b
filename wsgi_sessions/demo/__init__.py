"""A small tea shop that shows at the end of every page what its session did.

``python -m wsgi_sessions.demo`` serves it; :data:`app` is there for any other WSGI server. It is
meant to be read, too: :mod:`~wsgi_sessions.demo.shop` is an ordinary application with a session,
all the rest is there to watch it.
"""

from __future__ import annotations

from wsgi_sessions.demo.observed import Observed
from wsgi_sessions.demo.shop import shop

__all__ = ["app"]

app: Observed = Observed(shop)
"""Sessions are kept where ``WSGI_SESSIONS_STORE`` says, by default in the working directory."""
