"""WSGI applications that use ``environ["beaker.session"]``, and what they do with it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from webtest import TestApp, TestResponse

Act = Callable[[Any], object]
SECRET = "the secret of the Beaker sessions"


class Site:
    """An application in *wrap*'s middleware, which does what :meth:`get` is given."""

    def __init__(self, wrap: Callable[[WSGIApplication], WSGIApplication]) -> None:
        self.acts: list[Act] = []
        self.app = wrap(self._application)
        self.browser = TestApp(self.app)

    def _application(
        self, environ: WSGIEnvironment, start_response: StartResponse
    ) -> Iterable[bytes]:
        body = str(self.acts.pop()(environ["beaker.session"])).encode()
        start_response("200 OK", [("Content-Type", "text/plain; charset=utf-8")])
        return [body]

    def get(self, act: Act, browser: TestApp | None = None, **options: Any) -> TestResponse:
        self.acts.append(act)
        return (browser or self.browser).get("/", **options)

    def read(self, browser: TestApp | None = None) -> dict[str, Any]:
        """What the session holds, without what Beaker notes in it."""
        found: list[dict[str, Any]] = []
        self.get(lambda session: found.append(dict(session)), browser)
        own = ("_accessed_time", "_creation_time", "_id", "_domain", "_path")
        return {name: value for name, value in found[0].items() if name not in own}

    def twin(self) -> TestApp:
        """The same browser, for a request at the same time."""
        return with_cookies_of(self.browser, self.app)

    def take_over(self, other: Site) -> None:
        """Go on with the cookies of *other*'s browser."""
        self.browser = with_cookies_of(other.browser, self.app)


def with_cookies_of(browser: TestApp, app: WSGIApplication) -> TestApp:
    twin = TestApp(app)
    for cookie in browser.cookiejar:
        twin.cookiejar.set_cookie(cookie)
    return twin


def put(**values: Any) -> Act:
    """Put *values* and save, as Beaker wants it."""

    def act(session: Any) -> str:
        session.update(values)
        session.save()
        return "put"

    return act
