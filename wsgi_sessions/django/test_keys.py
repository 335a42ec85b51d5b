"""Django's test client sends the key of a session as its cookie, which no browser may.

How this works. ``client.force_login()``, ``client.login()`` and ``client.session`` make a
``SessionStore`` without a request, save it, and put its ``session_key`` into the client's cookies.
So the keys of sessions that were saved in this way are remembered, with the cookies they stand for,
and a request of the test client, or of a test runner's live server, that brings one of them counts
as one with that cookie. Any other key is no cookie in tests either, and outside of tests none is.
"""

from __future__ import annotations

import sys
from collections import OrderedDict
from typing import Any

__all__ = ["are_noted", "cookie_for", "note"]

_MOST = 10_000
_cookies: OrderedDict[str, str] = OrderedDict()


def note(session_key: str | None, cookie: str) -> None:
    """A ``SessionStore`` that has no request was saved: *cookie* opens it too."""
    if session_key is not None and "django.test.client" in sys.modules:
        _cookies[session_key] = cookie
        while len(_cookies) > _MOST:
            _cookies.popitem(last=False)


def are_noted() -> bool:
    """Whether there are any: in tests only."""
    return bool(_cookies)


def cookie_for(request: Any, value: str) -> str:
    """The cookie that *value* stands for in *request*: nearly always itself."""
    if value in _cookies and _is_test(request):
        return _cookies[value]
    return value


def _is_test(request: Any) -> bool:
    """Whether the test client has made *request*, or a test runner is at work in this process."""
    utils = sys.modules.get("django.test.utils")
    running = utils is not None and hasattr(utils._TestState, "saved_data")
    return running or hasattr(request, "_dont_enforce_csrf_checks")
