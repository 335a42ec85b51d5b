"""MoinMoin, as its documentation says under "WSGI"."""

from __future__ import annotations

import os

from moin.app import create_app

from tests.upstream.apps.wsgi.sessions import with_sessions

application = with_sessions(create_app(os.environ["MOIN_CONFIGURATION"]))
