"""The shop: an ordinary WSGI application with a session in ``environ["wsgi.session"]``.

Each view takes the request and gives a response. A POST changes something and redirects to a page;
:func:`respond` has checked its CSRF token by then.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from hmac import compare_digest
from secrets import token_urlsafe
from typing import Any, Final
from wsgiref.types import StartResponse, WSGIEnvironment

from werkzeug.exceptions import BadRequest, HTTPException
from werkzeug.routing import Map, Rule
from werkzeug.utils import redirect
from werkzeug.wrappers import Request, Response

from wsgi_sessions.demo import pages
from wsgi_sessions.demo.catalogue import TEAS
from wsgi_sessions.demo.pages import Visitor
from wsgi_sessions.errors import StoreError
from wsgi_sessions.session import Session

__all__ = ["DEVICES_KEY", "PASSWORD", "shop"]

PASSWORD: Final = "demo"
"""It is shown on the page."""
DEVICES_KEY: Final = "demo.devices"
"""In environ: the path of the page of the visitor's devices, where there is one."""
_NAME_LENGTH = 40
_MOST_TINS = 99
_MOST_MESSAGES = 5
_STALE_FORM = (
    "This form does not belong to your session any more: you logged in or out meanwhile, or your "
    "browser keeps no cookies. Open the page again."
)


class ShopRequest(Request):
    """A request whose body is a small form."""

    max_content_length: int | None = 16 * 1024

    @property
    def session(self) -> Session:
        session: Session = self.environ["wsgi.session"]
        return session

    @property
    def token(self) -> str:
        """What the forms of this session carry against cross-site request forgery."""
        token: str = self.session.get_or_create("csrf", token_urlsafe)
        return token


View = Callable[[ShopRequest], Response]


def shop(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """The WSGI application."""
    return respond(ShopRequest(environ))(environ, start_response)


def respond(request: ShopRequest) -> Response:
    """The response to *request*, a friendly page if something is wrong."""
    try:
        view: View
        view, _ = ROUTES.bind("").match(request.path, request.method)
        if request.method == "POST":
            check_token(request)
        return view(request)
    except HTTPException as error:
        response = html(pages.problem(error.code or 500, str(error.description)), error.code)
        if allow := error.get_response(request.environ).headers.get("Allow"):
            response.headers["Allow"] = allow
        return response
    except StoreError:
        response = html(pages.problem(503), 503)
        response.headers.update({"Cache-Control": "no-store", "Retry-After": "1"})
        return response


def check_token(request: ShopRequest) -> None:
    """Refuse a form that this session was not given."""
    expected, given = request.session.get("csrf"), request.form.get("csrf", "")
    if expected is None or not compare_digest(expected.encode(), given.encode()):
        raise BadRequest(_STALE_FORM)


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
        devices=request.environ.get(DEVICES_KEY),
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
        )
    ],
    strict_slashes=False,
    merge_slashes=False,
)
