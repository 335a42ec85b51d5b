"""A shop in Pyramid: a login, a cart that is changed in place, and messages.

    pip install "wsgi-sessions[pyramid]" gunicorn
    gunicorn --chdir examples -w 2 --threads 4 pyramid_app:app

The sessions are in an SQLite file in the working directory, or where the environment's
``WSGI_SESSIONS_STORE`` says; ``WSGI_SESSIONS_SECRET`` signs the cookies.
"""

from __future__ import annotations

from html import escape
from typing import Any

from pyramid.config import Configurator
from pyramid.httpexceptions import HTTPBadRequest, HTTPSeeOther
from pyramid.request import Request
from pyramid.response import Response
from pyramid.security import forget, remember

from wsgi_sessions.pyramid import SessionAuthenticationHelper, session_factory

PAGE = """<!doctype html>
<html lang="en">
<title>Shop</title>
{messages}
{user}
<form method="post" action="/add">
  <p><input name="item" required> <button>Put into the cart</button></p>
</form>
<ul>
{cart}</ul>
"""
LOGGED_IN = """<form method="post" action="/logout">
  <p>Hello, <b>{user}</b>. <button>Log out</button></p>
</form>"""
ANONYMOUS = """<form method="post" action="/login">
  <p><input name="user" required> <button>Log in</button></p>
</form>"""


class SecurityPolicy:
    """Who is logged in is the session's owner."""

    def __init__(self) -> None:
        self.helper = SessionAuthenticationHelper()

    def authenticated_userid(self, request: Request) -> Any:
        return self.helper.authenticated_userid(request)

    def remember(self, request: Request, userid: str, **kw: Any) -> list[Any]:
        return self.helper.remember(request, userid, **kw)

    def forget(self, request: Request, **kw: Any) -> list[Any]:
        return self.helper.forget(request, **kw)


def index(request: Request) -> Response:
    session, user = request.session, request.authenticated_userid
    messages = [f'<p class="message">{escape(message)}</p>' for message in session.pop_flash()]
    cart = session.get("cart", {})
    page = PAGE.format(
        messages="\n".join(messages),
        user=ANONYMOUS if user is None else LOGGED_IN.format(user=escape(user)),
        cart="".join(
            f"  <li>{count} &times; {escape(item)}</li>\n" for item, count in cart.items()
        ),
    )
    return Response(page)


def add(request: Request) -> Response:
    cart = request.session.setdefault("cart", {})
    item = request.POST["item"]
    cart[item] = cart.get(item, 0) + 1  # noticed: no session.changed()
    request.session.flash(f"{item} is in the cart.")
    return HTTPSeeOther("/")


def log_in(request: Request) -> Response:
    user = request.POST["user"].strip()  # a real shop asks for a password
    if not user:
        return HTTPBadRequest()
    remember(request, user)  # a new secret: the cookie from before the login is dead
    request.session.permanent = True
    request.session.flash("You are logged in.")
    return HTTPSeeOther("/")


def log_out(request: Request) -> Response:
    forget(request)  # the session is ended; what follows is a new one
    request.session.flash("You are logged out.")
    return HTTPSeeOther("/")


with Configurator() as config:
    # What two requests at the same time put into the cart is all kept.
    config.set_session_factory(session_factory(merge_keys=["cart"]))
    config.set_security_policy(SecurityPolicy())
    config.add_route("index", "/", request_method="GET")
    config.add_view(index, route_name="index")
    for path, view in {"/add": add, "/login": log_in, "/logout": log_out}.items():
        config.add_route(path, path, request_method="POST")
        config.add_view(view, route_name=path)
    app = config.make_wsgi_app()
