"""A shop in CherryPy: a login, and a cart that is changed in place.

    pip install wsgi-sessions cherrypy gunicorn
    gunicorn --chdir examples -w 2 --threads 4 cherrypy_app:app

The sessions are in an SQLite file in the working directory, or where the environment's
``WSGI_SESSIONS_STORE`` says; ``WSGI_SESSIONS_SECRET`` signs the cookies.
"""

from __future__ import annotations

from html import escape
from typing import NoReturn

import cherrypy

from wsgi_sessions import Session, SessionMiddleware, StoreError

PAGE = """<!doctype html>
<html lang="en">
<title>Shop</title>
<p>Hello, <b>{user}</b>.</p>
<form method="post" action="/login"><input name="user" required> <button>Log in</button></form>
<form method="post" action="/add"><input name="item" required> <button>Add</button></form>
<form method="post" action="/logout"><button>Log out</button></form>
<ul>
{cart}</ul>
"""


def session_of_request() -> Session:
    session: Session = cherrypy.request.wsgi_environ["wsgi.session"]
    return session


class Shop:
    @cherrypy.expose
    @cherrypy.tools.allow(methods=["GET", "HEAD"])
    def index(self) -> str:
        session = session_of_request()
        cart = session.get("cart", {}).items()
        return PAGE.format(
            user=escape(session.owner or "stranger"),
            cart="".join(f"  <li>{count} &times; {escape(item)}</li>\n" for item, count in cart),
        )

    @cherrypy.expose
    @cherrypy.tools.allow(methods=["POST"])
    def add(self, item: str) -> NoReturn:
        cart = session_of_request().setdefault("cart", {})
        cart[item] = cart.get(item, 0) + 1  # noticed, although it is inside
        raise cherrypy.HTTPRedirect("/", 303)

    @cherrypy.expose
    @cherrypy.tools.allow(methods=["POST"])
    def login(self, user: str) -> NoReturn:
        # A real shop asks for a password. The cookie from before the login is dead.
        session_of_request().login(user)
        raise cherrypy.HTTPRedirect("/", 303)

    @cherrypy.expose
    @cherrypy.tools.allow(methods=["POST"])
    def logout(self) -> NoReturn:
        session_of_request().invalidate()  # the record is deleted, the cookie expired
        raise cherrypy.HTTPRedirect("/", 303)


# A store that fails is the middleware's 503, not CherryPy's 500.
LEAVE = (KeyboardInterrupt, SystemExit, StoreError)
CONFIG = {"/": {"request.throw_errors": True, "wsgi.ExceptionTrapper.throws": LEAVE}}

cherrypy.config.update({"environment": "embedded"})  # another server serves it
shop = cherrypy.Application(Shop(), "", CONFIG)

# What two requests at the same time put into the cart is all kept.
app = SessionMiddleware(shop, merge_keys=["cart"])
