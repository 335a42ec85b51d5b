"""Calibre-Web's own ``main()``, but that gunicorn serves what it builds."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from pathlib import Path

import calibreweb

from tests.upstream.apps.wsgi.sessions import with_sessions

sys.path.insert(0, str(Path(calibreweb.__file__).parent))  # as its `__main__` does
sys.argv = ["cps", "-p", os.environ["CALIBRE_WEB_SETTINGS"], "-o", "/dev/stdout"]

from cps import app, web_server  # noqa: E402
from cps.main import main  # noqa: E402

web_server.start = lambda: True
with suppress(SystemExit):
    main()
application = with_sessions(app)
