"""A second device in the same window: a phone, whose browser has a cookie of its own.

Its page shows who is logged in on it, and looks again every two seconds for as long as somebody
is; looking is no activity (the option ``renews``), so it keeps no session alive.
"""

from __future__ import annotations

from collections.abc import Iterable
from hmac import compare_digest
from secrets import token_urlsafe
from typing import Any, Final
from wsgiref.types import StartResponse, WSGIEnvironment

from werkzeug.utils import redirect
from werkzeug.wrappers import Request, Response

from wsgi_sessions.demo import pages
from wsgi_sessions.middleware import SessionMiddleware
from wsgi_sessions.session import Session
from wsgi_sessions.stores import Store

__all__ = ["MOUNT", "Phone"]

MOUNT: Final = "/phone"
_SID: Final = "demo-phone-sid"
_USER_AGENT = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 "
    "(KHTML, like Gecko) Version/18.1 Mobile/15E148 Safari/604.1"
)


class Phone:
    """The application on the phone, with sessions in *store*: the same as the shop's."""

    def __init__(self, store: Store, **options: Any) -> None:
        self._sessions = SessionMiddleware(
            self._respond,
            store=store,
            cookie_name=_SID,
            cookie_path=MOUNT,
            renews=_is_deed,
            **options,
        )

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        return self._sessions({**environ, "HTTP_USER_AGENT": _USER_AGENT}, start_response)

    def log_in(self, owner: str, response: Response, *, secure: bool) -> None:
        """Log *owner* in on the phone, whose cookie *response* sets."""
        manager = self._sessions.manager
        session = manager.open(None, {"HTTP_USER_AGENT": _USER_AGENT})
        session.login(owner)
        response.headers.extend(manager.commit(session, secure=secure))

    def end_others(self, session: Session) -> int:
        """End all sessions of the owner of *session* but this one; how many there were."""
        assert session.owner is not None
        return self._sessions.manager.revoke_all(session.owner, keep=session)

    def _respond(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        request = Request(environ)
        session: Session = environ["wsgi.session"]
        if request.method == "POST":
            self._post(request, session)
            return redirect(f"{MOUNT}/", 303)(environ, start_response)
        name = session.owner
        token = session.get_or_create("csrf", token_urlsafe) if name is not None else ""
        response = Response(pages.phone(name, token), content_type="text/html; charset=utf-8")
        return response(environ, start_response)

    def _post(self, request: Request, session: Session) -> None:
        expected, given = session.get("csrf"), request.form.get("csrf", "")
        if expected is None or not compare_digest(expected.encode(), given.encode()):
            return
        if request.path == "/logout":
            session.invalidate()
        elif request.path == "/end-others" and session.owner is not None:
            self.end_others(session)


def _is_deed(environ: dict[str, Any]) -> bool:
    """A page that looks again by itself says nothing about a person."""
    return bool(environ.get("REQUEST_METHOD", "POST") == "POST")
