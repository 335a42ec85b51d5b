"""The same pages between two validators of PEP 3333: what the middleware asks of an application,
and what it gives to a server."""

from __future__ import annotations

import io
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any
from wsgiref.handlers import SimpleHandler
from wsgiref.util import setup_testing_defaults
from wsgiref.validate import validator

import pytest

from tests.served.bodies.app import build
from tests.served.bodies.raw_client import Reply, parse
from tests.served.bodies.scenarios import CONNECTED, SCENARIOS
from tests.served.bodies.site import Site

REFUSED = {"a_restart_by_keyword_keeps_our_headers"}
"""By PEP 3333 ``exc_info`` is positional; that we take it by keyword too is a courtesy."""


class Handler(SimpleHandler):
    """The server of the standard library, which keeps what was raised instead of printing it."""

    raised: type[BaseException] | None = None

    def log_exception(self, exc_info: Any) -> None:
        self.raised = exc_info[0]


class ValidatedSite(Site):
    """The application in this process, with a validator on both sides of the middleware."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self._application = build(directory, wrap=validator)

    def fetch(self, path: str, method: str, cookie: str) -> Reply:
        path, _, query = path.partition("?")
        environ = {"REQUEST_METHOD": method, "QUERY_STRING": query}
        environ |= {"SCRIPT_NAME": "", "PATH_INFO": path}
        if cookie:
            environ["HTTP_COOKIE"] = cookie
        setup_testing_defaults(environ)
        output = io.BytesIO()
        handler = Handler(io.BytesIO(), output, io.StringIO(), environ)
        handler.run(self._application)
        assert handler.raised is not AssertionError, "a validator has found a mistake"
        return parse(output.getvalue(), method)

    def connect(self, path: str, cookie: str = "") -> AbstractContextManager[Reply]:
        return nullcontext(self.fetch(path, "GET", cookie))


@pytest.mark.filterwarnings("error::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("name", sorted(SCENARIOS.keys() - CONNECTED - REFUSED))
def test_both_sides_of_the_middleware_are_valid(name: str, tmp_path: Path) -> None:
    """A body that is not closed is reported by the validator when it is collected."""
    SCENARIOS[name](ValidatedSite(tmp_path))


def test_the_validators_see_a_mistake(tmp_path: Path) -> None:
    """So that the test above can fail."""
    with pytest.raises(AssertionError, match="found a mistake"):
        ValidatedSite(tmp_path).visit("restart_by_keyword")
