"""The outermost layer: sessions for an application, and on each page what the session did.

How this works. The panel has to tell what was saved and which cookie went out, and that is known
only after :class:`~wsgi_sessions.SessionMiddleware` has committed. So the page comes with a place
for it, which is filled here, outside the middleware. A POST has no page: its summary travels to
the page it redirects to in a cookie of its own. That needs neither a session, which a logout has
just ended, nor a memory that the workers share.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any, Final
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.wrappers import Request, Response

from wsgi_sessions.demo.naive import NaiveSessions
from wsgi_sessions.demo.pages import IN_FRAME, PANEL, RECORD, SECURITY, panel, problem, record
from wsgi_sessions.demo.phone import MOUNT, Phone
from wsgi_sessions.demo.recording import RecordingCodec, RecordingStore, recorded
from wsgi_sessions.demo.report import Cookie, Report, Summary
from wsgi_sessions.demo.responses import SHOW, STOPPED, Show
from wsgi_sessions.devices import DevicesPage
from wsgi_sessions.middleware import SessionMiddleware
from wsgi_sessions.stores import OwnerIndex, Store, open_store

__all__ = ["NOTE", "SID", "Observed"]

SID: Final = "demo-sid"
"""The session's cookie. Not ``sid``: cookies know no ports, and another application that is being
developed on this host may use that."""
NOTE: Final = "demo-report"
DEVICES: Final = "/account/devices"
"""Where the page of the visitor's devices is mounted, if the store lists an owner's sessions."""
_NOTE_BYTES = 3000
_NOTE_SECONDS = 60


class Observed:
    """*app* with sessions in *store*; the options are those of the middleware. *pause* is how many
    seconds a request of the race takes."""

    def __init__(
        self,
        app: WSGIApplication,
        store: Store | None = None,
        *,
        pause: float = 0.15,
        **options: Any,
    ) -> None:
        if store is None:
            store = open_store(None)
        recording, options = RecordingStore(store), {"codec": RecordingCodec(), **options}
        sessions = SessionMiddleware(app, recording, cookie_name=SID, **options)
        self._app: WSGIApplication = sessions
        naive = NaiveSessions(store, sessions.manager.options.clock)
        self._show_beside = Show(naive, None, None, pause)
        if isinstance(store, OwnerIndex):
            phone = Phone(recording, **options)
            devices = DevicesPage(sessions.manager, back="/account")
            sessions.app = DispatcherMiddleware(app, {DEVICES: devices})
            self._app = DispatcherMiddleware(sessions, {MOUNT: phone})
            self._show_beside = Show(naive, phone, DEVICES, pause)

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        # A HEAD is answered as the GET it stands for, less the body.
        method = environ["REQUEST_METHOD"]
        inside = {**environ, "REQUEST_METHOD": "GET" if method == "HEAD" else method}
        inside[SHOW] = self._show_beside
        request = Request(inside)
        stopped = STOPPED in request.cookies
        with recorded(stopped=stopped) as report:
            response = Response.from_app(self._app, inside, buffered=True)
        if response.status_code == 503 and response.mimetype == "text/plain":
            # The middleware's own answer to a failed commit is plain; its headers stay.
            response.data = problem(503, stopped=stopped)
            response.content_type = "text/html; charset=utf-8"
        if request.path.startswith(f"{MOUNT}/"):
            response.headers["Content-Security-Policy"] = IN_FRAME
        for name, value in SECURITY.items():
            response.headers.setdefault(name, value)
        self._show(request, response, report)
        return response(environ, start_response)

    def _show(self, request: Request, response: Response, report: Report) -> None:
        note, summary = request.cookies.get(NOTE, ""), _summary(request, response, report)
        if request.method == "POST" and response.status_code == 303:
            response.set_cookie(
                NOTE,
                summary.to_note()[:_NOTE_BYTES],
                max_age=_NOTE_SECONDS,
                httponly=True,
                secure=request.is_secure,
                samesite="Lax",
            )
            return
        if (place := RECORD.encode()) in response.data:
            response.data = response.data.replace(place, record(report).encode(), 1)
        place = PANEL.encode()
        if place in response.data:
            before = Summary.from_note(note[:_NOTE_BYTES]) if note else None
            response.data = response.data.replace(place, panel(summary, before).encode(), 1)
            if note:
                response.delete_cookie(NOTE, httponly=True, samesite="Lax")
                response.headers["Cache-Control"] = "no-store"


def _summary(request: Request, response: Response, report: Report) -> Summary:
    line = f"{request.method} {request.path[:80]} → {response.status_code}"
    facts = report.facts(
        touched="Cookie" in response.vary,
        carried=SID in request.cookies,
        cookie=_cookie(response),
    )
    return Summary(f"{line}, worker {os.getpid()}", facts)


def _cookie(response: Response) -> Cookie:
    for line in response.headers.getlist("Set-Cookie"):
        if line.startswith(f"{SID}="):
            return Cookie.EXPIRED if "Max-Age=0" in line else Cookie.ISSUED
    return Cookie.LEFT
