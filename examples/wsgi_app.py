"""A shop in plain WSGI: a login, and a cart that is changed in place.

    pip install wsgi-sessions gunicorn
    gunicorn --chdir examples -w 2 --threads 4 wsgi_app:app

The sessions are in an SQLite file in the working directory, or where the environment's
``WSGI_SESSIONS_STORE`` says; ``WSGI_SESSIONS_SECRET`` signs the cookies.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from html import escape
from typing import Any
from urllib.parse import parse_qs

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


def page(session: Session) -> str:
    cart = session.get("cart", {}).items()
    return PAGE.format(
        user=escape(session.owner or "stranger"),
        cart="".join(f"  <li>{count} &times; {escape(item)}</li>\n" for item, count in cart),
    )


def add(session: Session, form: dict[str, str]) -> None:
    cart = session.setdefault("cart", {})
    cart[form["item"]] = cart.get(form["item"], 0) + 1  # noticed, although it is inside


def log_in(session: Session, form: dict[str, str]) -> None:
    session.login(form["user"])  # a real shop asks for a password; the old cookie is dead


def log_out(session: Session, _form: dict[str, str]) -> None:
    session.invalidate()  # the record is deleted, the cookie expired


ACTIONS = {"/add": add, "/login": log_in, "/logout": log_out}


def shop(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    session, path = environ["wsgi.session"], environ["PATH_INFO"]
    if (environ["REQUEST_METHOD"], path) == ("GET", "/"):
        start_response("200 OK", [("Content-Type", "text/html; charset=utf-8")])
        return [page(session).encode()]
    if environ["REQUEST_METHOD"] != "POST" or path not in ACTIONS:
        start_response("404 Not Found", [("Content-Type", "text/plain")])
        return [b"Not Found\n"]
    body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
    form = {name: texts[0] for name, texts in parse_qs(body.decode()).items()}
    ACTIONS[path](session, form)
    start_response("303 See Other", [("Location", "/")])
    return [b""]


# What two requests at the same time put into the cart is all kept.
app = SessionMiddleware(shop, merge_keys=["cart"])
