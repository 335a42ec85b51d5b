"""A shop in Bottle: a login, and a cart that is changed in place.

    pip install wsgi-sessions bottle gunicorn
    gunicorn --chdir examples -w 2 --threads 4 bottle_app:app

The sessions are in an SQLite file in the working directory, or where the environment's
``WSGI_SESSIONS_STORE`` says; ``WSGI_SESSIONS_SECRET`` signs the cookies.
"""

from __future__ import annotations

import bottle
from bottle import request

from wsgi_sessions import Session, SessionMiddleware

PAGE = """<!doctype html>
<html lang="en">
<title>Shop</title>
<p>Hello, <b>{{session.owner or "stranger"}}</b>.</p>
<form method="post" action="/login"><input name="user" required> <button>Log in</button></form>
<form method="post" action="/add"><input name="item" required> <button>Add</button></form>
<form method="post" action="/logout"><button>Log out</button></form>
<ul>
% for item, count in session.get("cart", {}).items():
  <li>{{count}} &times; {{item}}</li>
% end
</ul>
"""

shop = bottle.Bottle()
shop.catchall = False  # a store that fails is the middleware's 503, not Bottle's 500


def session_of_request() -> Session:
    session: Session = request.environ["wsgi.session"]
    return session


@shop.get("/")
def index() -> str:
    return str(bottle.template(PAGE, session=session_of_request()))


@shop.post("/add")
def add() -> None:
    cart, item = session_of_request().setdefault("cart", {}), request.forms.item
    cart[item] = cart.get(item, 0) + 1  # noticed, although it is inside
    bottle.redirect("/", 303)


@shop.post("/login")
def log_in() -> None:
    # A real shop asks for a password. The cookie from before the login is dead.
    session_of_request().login(request.forms.user)
    bottle.redirect("/", 303)


@shop.post("/logout")
def log_out() -> None:
    session_of_request().invalidate()  # the record is deleted, the cookie expired
    bottle.redirect("/", 303)


# What two requests at the same time put into the cart is all kept.
app = SessionMiddleware(shop, merge_keys=["cart"])
