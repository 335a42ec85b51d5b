"""A shop in Falcon: a login, and a cart that is changed in place.

    pip install wsgi-sessions falcon gunicorn
    gunicorn --chdir examples -w 2 --threads 4 falcon_app:app

The sessions are in an SQLite file in the working directory, or where the environment's
``WSGI_SESSIONS_STORE`` says; ``WSGI_SESSIONS_SECRET`` signs the cookies.
"""

from __future__ import annotations

from html import escape
from typing import NoReturn

import falcon
from falcon import Request, Response

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


def session_of(request: Request) -> Session:
    session: Session = request.env["wsgi.session"]
    return session


class Index:
    def on_get(self, request: Request, response: Response) -> None:
        session = session_of(request)
        cart = session.get("cart", {}).items()
        response.content_type = falcon.MEDIA_HTML
        response.text = PAGE.format(
            user=escape(session.owner or "stranger"),
            cart="".join(f"  <li>{count} &times; {escape(item)}</li>\n" for item, count in cart),
        )


class Add:
    def on_post(self, request: Request, _response: Response) -> None:
        cart, item = session_of(request).setdefault("cart", {}), request.get_media()["item"]
        cart[item] = cart.get(item, 0) + 1  # noticed, although it is inside
        raise falcon.HTTPSeeOther("/")


class LogIn:
    def on_post(self, request: Request, _response: Response) -> None:
        # A real shop asks for a password. The cookie from before the login is dead.
        session_of(request).login(request.get_media()["user"])
        raise falcon.HTTPSeeOther("/")


class LogOut:
    def on_post(self, request: Request, _response: Response) -> None:
        session_of(request).invalidate()  # the record is deleted, the cookie expired
        raise falcon.HTTPSeeOther("/")


def let_leave(
    _request: Request, _response: Response, error: Exception, _parameters: dict[str, str]
) -> NoReturn:
    """A store that fails is the middleware's 503, not Falcon's 500."""
    raise error


shop = falcon.App()
shop.add_error_handler(StoreError, let_leave)
for path, resource in {"/": Index, "/add": Add, "/login": LogIn, "/logout": LogOut}.items():
    shop.add_route(path, resource())

# What two requests at the same time put into the cart is all kept.
app = SessionMiddleware(shop, merge_keys=["cart"])
