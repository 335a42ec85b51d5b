"""A reader who saves a program, runs it, and looks at the page that it serves:
``python -m tests.docs.reader shop.py``."""

from __future__ import annotations

import sys
import types
from pathlib import Path

from tests.support.patience import PATIENT
from wsgi_sessions.stores import DEFAULT_TIMEOUTS

SERVED = ("application", "app")
"""The names under which programs keep their WSGI application."""


def main(path: str) -> None:
    """Run the file at *path* as Python does, then visit what it serves, twice."""
    for limit in ("connect", "answer"):  # the machine may be busy
        object.__setattr__(DEFAULT_TIMEOUTS, limit, getattr(PATIENT, limit))
    program = types.ModuleType("__main__")
    program.__file__ = path
    sys.modules["__main__"] = program
    sys.path.insert(0, str(Path(path).parent))
    sys.argv = [path]
    exec(compile(Path(path).read_text(), path, "exec"), vars(program))
    for name in SERVED:
        served = vars(program).get(name)
        if callable(served):
            visit(served)


def visit(application: object) -> None:
    """Two requests of one browser, as PEP 3333 says: no answer may be a fault of the server."""
    from webtest import TestApp

    browser = TestApp(application)
    for _ in range(2):
        answer = browser.get("/", status="*")
        assert answer.status_int < 500, answer


if __name__ == "__main__":
    main(sys.argv[1])
