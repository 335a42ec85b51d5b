"""A shop in Flask: a login, a cart that is changed in place, and messages.

    pip install "wsgi-sessions[flask]" gunicorn
    gunicorn --chdir examples -w 2 --threads 4 flask_app:app

The sessions are in an SQLite file in the working directory, or where the environment says::

    WSGI_SESSIONS_STORE=redis://localhost SECRET_KEY=… gunicorn …

``SECRET_KEY`` signs the cookies. Without one the workers make one and share it through the store,
except on Memcached, which may forget it.
"""

from __future__ import annotations

import os

from flask import (
    Flask,
    abort,
    flash,
    redirect,
    render_template_string,
    request,
    session,
    url_for,
)
from werkzeug.wrappers import Response

from wsgi_sessions import StoreError
from wsgi_sessions.flask import FlaskSessions

PAGE = """<!doctype html>
<html lang="en">
<title>Shop</title>
{% for message in get_flashed_messages() %}<p class="message">{{ message }}</p>{% endfor %}
{% if session.user %}
<form method="post" action="{{ url_for('log_out') }}">
  <p>Hello, <b>{{ session.user }}</b>. <button>Log out</button></p>
</form>
{% else %}
<form method="post" action="{{ url_for('log_in') }}">
  <p><input name="user" required> <button>Log in</button></p>
</form>
{% endif %}
<form method="post" action="{{ url_for('add') }}">
  <p><input name="item" required> <button>Put into the cart</button></p>
</form>
<ul>
{% for item, number in session.get("cart", {}).items() %}  <li>{{ number }} &times; {{ item }}</li>
{% endfor %}</ul>
"""

app = Flask(__name__)
app.config["SECRET_KEY"] = os.environ.get("SECRET_KEY")
FlaskSessions(app, merge_keys=["cart"])  # what overlapping requests put in is all kept


@app.get("/")
def index() -> str:
    return render_template_string(PAGE)


@app.post("/add")
def add() -> Response:
    cart = session.setdefault("cart", {})
    item = request.form["item"]
    cart[item] = cart.get(item, 0) + 1  # noticed: no session.modified = True
    flash(f"{item} is in the cart.")
    return redirect(url_for("index"), 303)


@app.post("/login")
def log_in() -> Response:
    user = request.form["user"].strip()  # a real shop asks for a password
    if not user:
        abort(400)
    session.login(user)  # a new secret: the cookie from before the login is dead
    session["user"] = user
    session.permanent = True
    flash("You are logged in.")
    return redirect(url_for("index"), 303)


@app.post("/logout")
def log_out() -> Response:
    session.invalidate()  # the record is deleted; what follows is a new session
    flash("You are logged out.")
    return redirect(url_for("index"), 303)


@app.errorhandler(StoreError)
def unavailable(_error: StoreError) -> tuple[str, int]:
    return "The shop is closed for a moment.", 503
