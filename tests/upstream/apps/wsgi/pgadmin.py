"""pgAdmin 4 in server mode, as its ``pgAdmin4.wsgi`` builds it."""

from __future__ import annotations

import builtins
import sys
from pathlib import Path

import pgadmin4

from tests.upstream.apps.wsgi.sessions import with_sessions

sys.path.insert(0, str(Path(pgadmin4.__path__[0])))
builtins.SERVER_MODE = True

from pgAdmin4 import app  # noqa: E402

application = with_sessions(app)
