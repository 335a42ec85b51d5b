"""The page as a WSGI application, and as a Flask blueprint.

How this works. The page has one address, and a form that posts to it: what is to be logged out, and
a token that only this session's own page has. The token is an HMAC of the session's secret, so it
is stored nowhere, and a login makes the forms from before it worthless. After a POST the browser is
sent back to the address, relative to itself, so the page need not know where it is mounted.

Rules for maintainers: a session is ended by ``revoke(id, owner=…)`` and ``revoke_all(owner)`` only,
with the owner that the visitor's session has: an id that a form names may be anybody's.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Iterable
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final
from wsgiref.types import StartResponse, WSGIEnvironment

from markupsafe import Markup
from werkzeug.wrappers import Request, Response

from wsgi_sessions.cookie import is_id
from wsgi_sessions.devices.form import (
    OTHERS,
    FormRequest,
    Purpose,
    fields_of,
    is_token,
    token_of,
)
from wsgi_sessions.devices.templates import STYLE, Device, Templates, View, render
from wsgi_sessions.devices.words import Words
from wsgi_sessions.errors import ConfigurationError
from wsgi_sessions.manager import SessionManager
from wsgi_sessions.session import Session
from wsgi_sessions.stores import OwnerIndex

if TYPE_CHECKING:
    from flask import Blueprint

__all__ = ["DevicesPage"]

MAX_SHOWN: Final = 100
"""Devices on one page. Those that are left out can be ended with all others."""
_METHODS = ("GET", "HEAD", "POST")


class DevicesPage:
    """A WSGI application that shows to a logged-in visitor on which devices they are logged in, and
    ends the session of one of them or of all others.

    *manager* is that of the middleware in which the page is mounted. A mount stands beside the
    application's own checks: *allow*, a function of ``environ``, says whether the request may use
    the page. *words* (a :class:`Words`, or a function of ``environ`` that gives one), *templates*
    and *style* replace what it says and how it looks; *back* is the URL of a link to the
    application.

    A session without an owner gets 403 and nothing else. Showing the page costs one round trip for
    the session and what :meth:`SessionManager.sessions_of` does; ending costs what
    :meth:`SessionManager.revoke` and :meth:`SessionManager.revoke_all` do. A
    :exc:`~wsgi_sessions.StoreError` is raised, for the middleware to answer. Raises
    :exc:`~wsgi_sessions.ConfigurationError` for a store without an owner index.
    """

    def __init__(
        self,
        manager: SessionManager,
        *,
        allow: Callable[[WSGIEnvironment], object] | None = None,
        words: Words | Callable[[WSGIEnvironment], Words] | None = None,
        templates: Templates | None = None,
        style: str = STYLE,
        back: str | None = "/",
    ) -> None:
        if not isinstance(manager, SessionManager):
            raise TypeError(
                f"the first argument is a SessionManager, not {type(manager).__name__}: "
                f"write DevicesPage(middleware.manager)"
            )
        if not isinstance(manager.store, OwnerIndex):
            raise ConfigurationError(
                f"{type(manager.store).__name__} keeps no list of an owner's sessions for "
                f"the devices page to show: use RedisStore, SQLiteStore or another that does"
            )
        self.manager: SessionManager = manager
        self.headers: dict[str, str] = _security(style)
        """Of every response. May be changed, for templates that need more."""
        self._allow = allow
        self._words = Words() if words is None else words
        self._templates = templates or Templates()
        self._style = Markup(style)
        self._back = back

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        request = FormRequest(environ)
        if environ.get("PATH_INFO", "") in ("", "/"):
            response = self.respond(request)
        else:
            words = self._words_of(environ)
            response = self._problem(404, words, words.missing)
        return response(environ, start_response)

    def blueprint(self, name: str = "devices") -> Blueprint:
        """The page for ``app.register_blueprint(…, url_prefix="/account/devices")``, with the
        endpoint ``devices.page``. What a ``before_request`` function answers does not reach it."""
        from flask import Blueprint, request

        blueprint = Blueprint(name, __name__)
        blueprint.add_url_rule(
            "/",
            endpoint="page",
            view_func=lambda: self.respond(request),
            methods=["GET", "POST"],
            strict_slashes=False,
        )
        return blueprint

    def render(self, view: View) -> str:
        """The HTML document for *view*. A subclass may use another template engine, which has to
        escape what it is given."""
        return render(view, self._templates, self._style)

    def respond(self, request: Request) -> Response:
        """The response to *request*, whatever its path. Raises
        :exc:`~wsgi_sessions.StoreUnavailable`."""
        environ = request.environ
        words = self._words_of(environ)
        if request.method not in _METHODS:
            return self._problem(405, words, words.not_understood, Allow=", ".join(_METHODS))
        if self._allow is not None and not self._allow(environ):
            return self._problem(403, words, words.refused, words.not_allowed)
        session = self._session_of(environ)
        owner = session.owner
        if owner is None:
            return self._problem(403, words, words.refused, words.log_in_first)
        if request.method == "POST":
            return self._end(request, session, owner, words)
        return self._show(request, session, owner, words)

    def _show(self, request: Request, session: Session, owner: str, words: Words) -> Response:
        devices = self._devices(session, owner, words)
        has_others = any(not device.is_this for device in devices)
        view = View(
            words=words,
            title=words.title,
            text=words.lead if has_others else words.only_this,
            now=self.manager.options.clock(),
            devices=devices[:MAX_SHOWN],
            hidden=len(devices[MAX_SHOWN:]),
            notice=_notice(request, session, words),
            token=token_of(session, Purpose.FORM),
            back=self._back,
        )
        return self._response(200, view)

    def _devices(self, session: Session, owner: str, words: Words) -> list[Device]:
        """This one first, then those that were seen last."""
        devices = [
            Device(
                id=info.id,
                name=info.device or words.unknown_device,
                is_this=info.id == session.id,
                first_seen=info.created_at,
                last_seen=info.last_seen,
            )
            for info in self.manager.sessions_of(owner)
        ]
        return sorted(devices, key=lambda one: (not one.is_this, -one.last_seen))

    def _end(self, request: Request, session: Session, owner: str, words: Words) -> Response:
        token, ended = fields_of(request)
        if not is_token(token, session, Purpose.FORM):
            return self._problem(403, words, words.stale, words.stale_text, retry=True)
        if ended == OTHERS:
            self.manager.revoke_all(owner, keep=session)
            done = Purpose.ENDED_OTHERS
        elif is_id(ended):
            self.manager.revoke(ended, owner=owner)  # if it has ended by now, that was wanted
            done = Purpose.ENDED
        else:
            text = words.not_understood_text
            return self._problem(400, words, words.not_understood, text, retry=True)
        location = f"?done={token_of(session, done)}"  # a token, so that no link can claim it
        return Response(status=303, headers={**self.headers, "Location": location})

    def _problem(
        self,
        status: int,
        words: Words,
        title: str,
        text: str = "",
        *,
        retry: bool = False,
        **headers: str,
    ) -> Response:
        now = self.manager.options.clock()
        view = View(words, title, text, now, back=self._back, retry=retry)
        response = self._response(status, view)
        response.headers.update(headers)
        return response

    def _response(self, status: int, view: View) -> Response:
        return Response(
            self.render(view), status, self.headers, content_type="text/html; charset=utf-8"
        )

    def _words_of(self, environ: WSGIEnvironment) -> Words:
        return self._words if isinstance(self._words, Words) else self._words(environ)

    def _session_of(self, environ: WSGIEnvironment) -> Session:
        key = self.manager.options.environ_key
        session: Any = environ.get(key)
        if not isinstance(session, Session):
            raise ConfigurationError(
                f"environ has no session under {key!r}: mount the devices page inside the "
                f"SessionMiddleware whose manager it was given"
            )
        return session


def _notice(request: Request, session: Session, words: Words) -> str:
    done = request.args.get("done", "")
    if done and is_token(done, session, Purpose.ENDED):
        return words.ended
    if done and is_token(done, session, Purpose.ENDED_OTHERS):
        return words.ended_others
    return ""


def _security(style: str) -> dict[str, str]:
    """No script, no style but this one, no frame, no form to elsewhere, and no copy kept."""
    digest = b64encode(sha256(style.encode()).digest()).decode()
    return {
        "Cache-Control": "no-store",
        "Content-Security-Policy": (
            f"default-src 'none'; style-src 'sha256-{digest}'; img-src data:; "
            "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
        ),
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "same-origin",
    }
