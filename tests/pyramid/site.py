"""A Pyramid application for the tests: whatever a request is to do is a function of its own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pyramid.config import Configurator
from webtest import TestApp, TestResponse

from wsgi_sessions import SessionMiddleware, Store
from wsgi_sessions.pyramid import SessionAuthenticationHelper, session_factory
from wsgi_sessions.testing import ManualClock

SECRET = "the signing secret of the tests"
WAYS = ["alone", "inside the middleware"]
Act = Callable[[Any], Any]


class Policy:
    """A security policy by *helper*."""

    def __init__(self, helper: Any) -> None:
        self._helper = helper

    def identity(self, request: Any) -> Any:
        return self.authenticated_userid(request)

    def authenticated_userid(self, request: Any) -> Any:
        return self._helper.authenticated_userid(request)

    def permits(self, request: Any, context: Any, permission: str) -> bool:
        return True

    def remember(self, request: Any, userid: Any, **kw: Any) -> Any:
        return self._helper.remember(request, userid, **kw)

    def forget(self, request: Any, **kw: Any) -> Any:
        return self._helper.forget(request, **kw)


class Site:
    """An application, whose view calls what :meth:`get` is given with the request."""

    def __init__(
        self,
        way: str,
        store: Store,
        clock: ManualClock,
        *,
        configure: Callable[[Configurator], object] = lambda config: None,
        helper: Any = None,
        **options: Any,
    ) -> None:
        self.acts: list[Act] = []
        options = {"secret": SECRET, "clock": clock} | options
        config = Configurator(settings={})
        config.set_security_policy(Policy(helper or SessionAuthenticationHelper()))
        config.add_route("page", "/*rest")
        config.add_view(self._view, route_name="page", renderer="string")
        alone = way == "alone"
        config.set_session_factory(
            session_factory(store, **options) if alone else session_factory()
        )
        configure(config)
        app = config.make_wsgi_app()
        self.app = app if alone else SessionMiddleware(app, store, **options)
        self.browser = self.new_browser()

    def _view(self, request: Any) -> Any:
        return self.acts.pop()(request)

    def new_browser(self) -> TestApp:
        return TestApp(self.app)

    def twin(self) -> TestApp:
        """The same browser, for a request at the same time."""
        browser = self.new_browser()
        for cookie in self.browser.cookiejar:
            browser.cookiejar.set_cookie(cookie)
        return browser

    def get(self, act: Act, browser: TestApp | None = None, **options: Any) -> TestResponse:
        self.acts.append(act)
        return (browser or self.browser).get("/", **options)

    def read(self, browser: TestApp | None = None) -> dict[str, Any]:
        """What the session holds."""
        found: list[dict[str, Any]] = []
        self.get(lambda request: found.append(dict(request.session)) or "read", browser)
        return found[0]
