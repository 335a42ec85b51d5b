"""What every view of the shop needs: its request, and the ways to answer it."""

from __future__ import annotations

from collections.abc import Callable
from hmac import compare_digest
from secrets import token_urlsafe
from typing import Any, Final
from urllib.parse import urlsplit

from werkzeug.exceptions import BadRequest
from werkzeug.utils import redirect
from werkzeug.wrappers import Request, Response

from wsgi_sessions.demo import pages
from wsgi_sessions.demo.naive import NaiveSessions
from wsgi_sessions.demo.pages import Visitor
from wsgi_sessions.demo.phone import Phone
from wsgi_sessions.session import Session

__all__ = ["SHOW", "STOPPED", "ShopRequest", "Show", "View", "html", "page", "say", "see"]

SHOW: Final = "demo.show"
"""In environ: the :class:`Show`."""
STOPPED: Final = "demo-store"
"""The cookie of a visitor whose store is stopped."""
_MOST_MESSAGES = 5
_STALE_FORM = (
    "This form does not belong to your session any more: you logged in or out meanwhile, or your "
    "browser keeps no cookies. Open the page again."
)


class Show:
    """What is shown beside the shop: things that an ordinary application does not have."""

    def __init__(
        self, naive: NaiveSessions, phone: Phone | None, devices: str | None, pause: float
    ) -> None:
        self.naive: NaiveSessions = naive
        self.phone: Phone | None = phone
        """``None`` if the store keeps no list of an owner's sessions."""
        self.devices: str | None = devices
        """The path of the page of the visitor's devices, if there is one."""
        self.pause: float = pause
        """Seconds between reading and writing a session in the race, as of a page that asks a
        database."""


class ShopRequest(Request):
    """A request whose body is a small form."""

    max_content_length: int | None = 16 * 1024

    @property
    def session(self) -> Session:
        session: Session = self.environ["wsgi.session"]
        return session

    @property
    def show(self) -> Show:
        show: Show = self.environ[SHOW]
        return show

    @property
    def token(self) -> str:
        """What the forms of this session carry against cross-site request forgery."""
        token: str = self.session.get_or_create("csrf", token_urlsafe)
        return token

    @property
    def is_stopped(self) -> bool:
        """Whether this visitor has stopped the store for themselves."""
        return STOPPED in self.cookies

    def check_token(self) -> None:
        """Refuse a form that this session was not given."""
        expected, given = self.session.get("csrf"), self.form.get("csrf", "")
        if expected is None or not compare_digest(expected.encode(), given.encode()):
            raise BadRequest(_STALE_FORM)

    def check_origin(self) -> None:
        """Refuse a form of another site; for the forms that work without a session."""
        origin = self.headers.get("Origin")
        if origin is not None and urlsplit(origin).netloc != self.host:
            raise BadRequest("This form was sent by another site.")


View = Callable[..., Response]
"""Takes the request, and the parts of the path by name."""


def page(request: ShopRequest, template: str, **values: Any) -> Response:
    """A page with the visitor's name, cart and messages."""
    session = request.session
    visitor = Visitor(
        name=session.owner,
        tins=sum(line["quantity"] for line in session.get("cart", [])),
        messages=session.pop("messages", []),
    )
    return html(pages.page(template, request.path, visitor, **values))


def html(text: str, status: int | None = 200) -> Response:
    """A response with an HTML document."""
    return Response(text, status, content_type="text/html; charset=utf-8")


def see(path: str) -> Response:
    """What a POST answers: the page to look at next."""
    return redirect(path, 303)


def say(session: Session, text: str) -> None:
    """Show *text* once, on the next page."""
    messages = session.setdefault("messages", [])
    messages.append(text)
    del messages[:-_MOST_MESSAGES]
