"""The shop: an ordinary WSGI application with a session in ``environ["wsgi.session"]``.

Each view takes the request and gives a response. A POST changes something and redirects to a page;
:func:`respond` has checked its CSRF token by then. What is to be tried beside the shop has views of
its own: :mod:`~wsgi_sessions.demo.race` and :mod:`~wsgi_sessions.demo.promises`.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from secrets import token_urlsafe
from typing import Final
from wsgiref.types import StartResponse, WSGIEnvironment

from werkzeug.exceptions import BadRequest, HTTPException
from werkzeug.routing import Map, Rule
from werkzeug.utils import redirect
from werkzeug.wrappers import Response

from wsgi_sessions.demo import pages, promises, race
from wsgi_sessions.demo.catalogue import TEAS
from wsgi_sessions.demo.responses import ShopRequest, View, html, page, say, see
from wsgi_sessions.errors import StoreError

__all__ = ["PASSWORD", "ROUTES", "WITHOUT_SESSION", "shop"]

PASSWORD: Final = "demo"
"""It is shown on the page."""
_NAME_LENGTH = 40
_MOST_TINS = 99


def shop(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """The WSGI application."""
    return respond(ShopRequest(environ))(environ, start_response)


def respond(request: ShopRequest) -> Response:
    """The response to *request*, a friendly page if something is wrong."""
    try:
        view: View
        view, parts = ROUTES.bind("").match(request.path, request.method)
        if request.path in WITHOUT_SESSION:
            request.check_origin()
        elif request.method == "POST":
            request.check_token()
        return view(request, **parts)
    except HTTPException as error:
        response = html(pages.problem(error.code or 500, str(error.description)), error.code)
        if allow := error.get_response(request.environ).headers.get("Allow"):
            response.headers["Allow"] = allow
        return response
    except StoreError:
        response = html(pages.problem(503, stopped=request.is_stopped), 503)
        response.headers.update({"Cache-Control": "no-store", "Retry-After": "1"})
        return response


# The cart: a list of dicts in the session, changed in place


def show_teas(request: ShopRequest) -> Response:
    return page(request, "teas", token=request.token, teas=TEAS.values())


def show_cart(request: ShopRequest) -> Response:
    cart = request.session.get("cart", [])
    lines = [(TEAS[line["tea"]], line["quantity"]) for line in cart]
    total = sum(tea.cents * quantity for tea, quantity in lines)
    return page(request, "cart", token=request.token, lines=lines, total=total, most=_MOST_TINS)


def add_to_cart(request: ShopRequest) -> Response:
    tea = TEAS.get(request.form.get("tea", ""))
    if tea is None:
        raise BadRequest("We do not sell that.")
    cart = request.session.setdefault("cart", [])
    for line in cart:
        if line["tea"] == tea.slug:
            line["quantity"] = min(line["quantity"] + 1, _MOST_TINS)
            break
    else:
        cart.append({"tea": tea.slug, "quantity": 1})
    say(request.session, f"{tea.name} is in your cart.")
    return see("/")


def change_cart(request: ShopRequest) -> Response:
    quantity = request.form.get("quantity", type=int)
    if quantity is None or not 0 <= quantity <= _MOST_TINS:
        raise BadRequest(f"A quantity is a number from 0 to {_MOST_TINS}.")
    cart = request.session.get("cart", [])
    for line in list(cart):
        if line["tea"] == request.form.get("tea"):
            line["quantity"] = quantity
            if not quantity:
                cart.remove(line)
    return see("/cart")


# The counter


def show_counter(request: ShopRequest) -> Response:
    count = request.session.get("count", 0)
    return page(request, "counter", token=request.token, count=count)


def count(request: ShopRequest) -> Response:
    request.session.increment("count")
    return see("/counter")


# Logging in and out


def show_login(request: ShopRequest) -> Response:
    if request.session.owner is not None:
        return redirect("/account")
    return page(request, "login", token=request.token, password=PASSWORD, longest=_NAME_LENGTH)


def log_in(request: ShopRequest) -> Response:
    session, form = request.session, request.form
    name = " ".join(form.get("name", "").split())
    if not name.isprintable() or not 0 < len(name) <= _NAME_LENGTH:
        say(session, f"A name has 1 to {_NAME_LENGTH} characters.")
        return see("/login")
    if form.get("password") != PASSWORD:
        say(session, "That is not the password. It is shown below.")
        return see("/login")
    session.login(name)
    session.permanent = "remember" in form
    session["csrf"] = token_urlsafe()  # who knew the visitor's does not know the user's
    say(session, f"Welcome, {name}.")
    return see("/account")


def show_account(request: ShopRequest) -> Response:
    session = request.session
    if session.owner is None:
        return redirect("/login")
    return page(
        request,
        "account",
        token=request.token,
        name=session.owner,
        id=session.id,
        since=datetime.fromtimestamp(session.created_at, UTC),
        permanent=session.permanent,
        devices=request.show.devices,
    )


def remember(request: ShopRequest) -> Response:
    request.session.permanent = request.form.get("remember") == "yes"
    return see("/account")


def log_out(request: ShopRequest) -> Response:
    request.session.invalidate()
    return see("/goodbye")


# Pages that do not touch the session


def show_goodbye(_request: ShopRequest) -> Response:
    return html(pages.page("goodbye", "/goodbye"))


def show_icon(_request: ShopRequest) -> Response:
    """For browsers that ask for one before they have read that it is in the page."""
    return Response(pages.icon(), mimetype="image/svg+xml")


def show_about(_request: ShopRequest) -> Response:
    return html(pages.page("about", "/about"))


ROUTES: Final = Map(
    [
        Rule(path, methods=[method], endpoint=view)
        for method, path, view in (
            ("GET", "/", show_teas),
            ("GET", "/cart", show_cart),
            ("POST", "/cart/add", add_to_cart),
            ("POST", "/cart/change", change_cart),
            ("GET", "/counter", show_counter),
            ("POST", "/counter", count),
            ("GET", "/login", show_login),
            ("POST", "/login", log_in),
            ("GET", "/account", show_account),
            ("POST", "/account/remember", remember),
            ("POST", "/logout", log_out),
            ("GET", "/goodbye", show_goodbye),
            ("GET", "/about", show_about),
            ("GET", "/favicon.ico", show_icon),
            ("GET", "/promises", promises.show_promises),
            ("GET", "/race", race.show_race),
            ("POST", "/race", race.fire),
            ("GET", "/race/run", race.show_run),
            ("GET", "/race/ours/<run>/<int:number>.svg", race.draw_ours),
            ("GET", "/race/naive/<run>/<int:number>.svg", race.draw_naive),
            ("GET", "/devices", promises.show_devices),
            ("POST", "/devices/phone", promises.log_in_on_phone),
            ("POST", "/devices/end", promises.end_other_devices),
            ("GET", "/store", promises.show_store),
            ("POST", "/store/stop", promises.stop_store),
            ("POST", "/store/start", promises.start_store),
            ("GET", "/record", promises.show_record),
        )
    ],
    strict_slashes=False,
    merge_slashes=False,
)

WITHOUT_SESSION: Final = ("/store/stop", "/store/start")
"""Forms that work while the store does not; so they have no token, and what they do is harmless."""
