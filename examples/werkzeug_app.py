"""A shop in Werkzeug: a login, and a cart that is changed in place.

    pip install wsgi-sessions gunicorn
    gunicorn --chdir examples -w 2 --threads 4 werkzeug_app:app

The sessions are in an SQLite file in the working directory, or where the environment's
``WSGI_SESSIONS_STORE`` says; ``WSGI_SESSIONS_SECRET`` signs the cookies.
"""

from __future__ import annotations

from html import escape

from werkzeug.exceptions import HTTPException
from werkzeug.routing import Map, Rule
from werkzeug.utils import redirect
from werkzeug.wrappers import Request, Response

from wsgi_sessions import Session, SessionMiddleware

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
URLS = Map(
    [
        Rule("/", endpoint="index", methods=["GET"]),
        Rule("/add", endpoint="add", methods=["POST"]),
        Rule("/login", endpoint="log_in", methods=["POST"]),
        Rule("/logout", endpoint="log_out", methods=["POST"]),
    ]
)


def index(_request: Request, session: Session) -> Response:
    cart = session.get("cart", {}).items()
    page = PAGE.format(
        user=escape(session.owner or "stranger"),
        cart="".join(f"  <li>{count} &times; {escape(item)}</li>\n" for item, count in cart),
    )
    return Response(page, mimetype="text/html")


def add(request: Request, session: Session) -> Response:
    cart, item = session.setdefault("cart", {}), request.form["item"]
    cart[item] = cart.get(item, 0) + 1  # noticed, although it is inside
    return redirect("/", 303)


def log_in(request: Request, session: Session) -> Response:
    session.login(request.form["user"])  # a real shop asks for a password; the old cookie is dead
    return redirect("/", 303)


def log_out(_request: Request, session: Session) -> Response:
    session.invalidate()  # the record is deleted, the cookie expired
    return redirect("/", 303)


VIEWS = {"index": index, "add": add, "log_in": log_in, "log_out": log_out}


@Request.application
def shop(request: Request) -> Response | HTTPException:
    try:
        endpoint, _ = URLS.bind_to_environ(request.environ).match()
        return VIEWS[endpoint](request, request.environ["wsgi.session"])
    except HTTPException as error:
        return error


# What two requests at the same time put into the cart is all kept.
app = SessionMiddleware(shop, merge_keys=["cart"])
