"""What the pages say."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from http import HTTPStatus
from typing import NamedTuple

from markupsafe import Markup

from wsgi_sessions.demo.catalogue import TEAS, Tea, euros
from wsgi_sessions.demo.frame import layout

__all__ = [
    "Account",
    "about",
    "account",
    "cart",
    "counter",
    "goodbye",
    "login",
    "problem",
    "teas",
    "unavailable",
]

_TOKEN = Markup('<input type="hidden" name="csrf" value="{}">')

# Teas

_TEAS = Markup("""\
<h1>Six teas, one session</h1>
<p class="lead">Fill the cart, log in, come back. At the end of each page you see what that cost:
which calls the store got, and why a cookie was sent or not.</p>
<ul class="teas">
{}</ul>
""")
_TEA = Markup("""\
<li>
<svg viewBox="0 0 120 84" aria-hidden="true">
<path class="steam" d="M48 20c-6-7 6-9 0-16M64 20c-6-7 6-9 0-16"/>
<path class="cup" d="M24 28h64v16c0 18-12 28-32 28S24 62 24 44zM88 33c18-3 18 23-4 21"/>
<path fill="{tea.colour}" d="M30 34h52v9c0 15-9 23-26 23S30 58 30 43z"/>
<path class="cup" d="M18 78h76"/>
</svg>
<h2>{tea.name}</h2>
<p class="snapshot">{tea.snapshot}</p>
<p>{tea.text}</p>
<form method="post" action="/cart/add">
{token}<input type="hidden" name="tea" value="{tea.slug}">
<span class="price">{price}</span>
<button aria-label="Add {tea.name} to the cart">Add</button>
</form>
</li>
""")


def teas(token: str) -> Markup:
    """The whole catalogue."""
    return _TEAS.format(
        Markup().join(
            _TEA.format(tea=tea, price=euros(tea.cents), token=_TOKEN.format(token))
            for tea in TEAS.values()
        )
    )


# The cart

_CART = Markup("""\
<h1>Your cart</h1>
<table>
<thead><tr><th scope="col">Tea</th><th scope="col">Tins</th><th scope="col" class="right">Price</th>
<th scope="col"><span class="hidden">Remove</span></th></tr></thead>
<tbody>
{lines}</tbody>
<tfoot><tr><th scope="row" colspan="2">Total</th><td class="price right">{total}</td><td></td></tr>
</tfoot>
</table>
<p class="note">The cart is a list of dicts in the session, changed in place:
<code>line["quantity"] = {example}</code> is saved without any flag.</p>
""")
_LINE = Markup("""\
<tr>
<th scope="row">{tea.name}</th>
<td><form method="post" action="/cart/change">
{token}<input type="hidden" name="tea" value="{tea.slug}">
<label class="hidden" for="quantity-{tea.slug}">Tins of {tea.name}</label>
<input id="quantity-{tea.slug}" name="quantity" type="number" min="0" max="{most}"
value="{quantity}" inputmode="numeric" required>
<button class="quiet" aria-label="Change the quantity of {tea.name}">Change</button>
</form></td>
<td class="price right">{price}</td>
<td><form method="post" action="/cart/change">
{token}<input type="hidden" name="tea" value="{tea.slug}">
<input type="hidden" name="quantity" value="0">
<button class="quiet" aria-label="Remove {tea.name} from the cart">Remove</button>
</form></td>
</tr>
""")
_NO_CART = Markup("""\
<h1>Your cart is empty</h1>
<p class="lead">Six teas are waiting for it.</p>
<p><a class="button" href="/">See the teas</a></p>
""")


def cart(token: str, lines: Sequence[tuple[Tea, int]], most: int) -> Markup:
    """The tins in the cart; *most* of one kind are allowed."""
    if not lines:
        return _NO_CART
    return _CART.format(
        lines=Markup().join(
            _LINE.format(
                tea=tea,
                quantity=quantity,
                most=most,
                price=euros(tea.cents * quantity),
                token=_TOKEN.format(token),
            )
            for tea, quantity in lines
        ),
        total=euros(sum(tea.cents * quantity for tea, quantity in lines)),
        example=lines[0][1],
    )


# The counter

_COUNTER = Markup("""\
<h1>Counter</h1>
<p class="lead">Press it here and in another tab, as fast as you like. Whichever workers they reach,
<code>session.increment("count")</code> loses none.</p>
<form class="counter" method="post" action="/counter">
{token}<output aria-label="Count">{count}</output>
<button>Count</button>
</form>
""")


def counter(token: str, count: int) -> Markup:
    """The number and its button."""
    return _COUNTER.format(token=_TOKEN.format(token), count=count)


# Login and account

_LOGIN = Markup("""\
<h1>Log in</h1>
<p class="lead">With any name. Your cart stays yours, under a new cookie.</p>
<form class="card" method="post" action="/login">
{token}<label for="name">Name</label>
<input id="name" name="name" maxlength="{length}" autocomplete="username" required autofocus>
<label for="password">Password</label>
<input id="password" name="password" type="password" autocomplete="current-password" required
aria-describedby="hint">
<p id="hint" class="note">The password is <kbd>{password}</kbd>.</p>
<label class="check"><input type="checkbox" name="remember"> Remember me for 31 days</label>
<button>Log in</button>
</form>
""")


def login(token: str, password: str, length: int) -> Markup:
    """The form, and the password that it asks for. A name has at most *length* characters."""
    return _LOGIN.format(token=_TOKEN.format(token), password=password, length=length)


class Account(NamedTuple):
    """What the account page shows of the session."""

    name: str
    id: str
    began_at: float
    permanent: bool


_ACCOUNT = Markup("""\
<h1>Hello, {account.name}</h1>
<dl class="card facts">
<div><dt>Session</dt><dd><code>{account.id}</code>
<span>its public name: it opens nothing, and it stays when the cookie changes</span></dd></div>
<div><dt>Logged in</dt><dd>{began}</dd></div>
<div><dt>Ends</dt><dd>{ends}</dd></div>
</dl>
<div class="actions">
<form method="post" action="/account/remember">
{token}<input type="hidden" name="remember" value="{other}">
<button class="quiet">{switch}</button>
</form>
<form method="post" action="/logout">
{token}<button>Log out</button>
</form>
</div>
""")


def account(token: str, facts: Account) -> Markup:
    """Who is logged in, since when and for how long."""
    return _ACCOUNT.format(
        token=_TOKEN.format(token),
        account=facts,
        began=f"{datetime.fromtimestamp(facts.began_at, UTC):%d %B %Y, %H:%M:%S} UTC",
        ends=(
            "after 31 days without a visit"
            if facts.permanent
            else "with the browser, or after a day without a visit"
        ),
        other="no" if facts.permanent else "yes",
        switch="Forget me when I close the browser" if facts.permanent else "Remember me",
    )


_GOODBYE = Markup("""\
<h1>Goodbye</h1>
<p class="lead">You are logged out: the session is gone from the store, and the cookie from your
browser. A request that was still on its way cannot bring it back.</p>
<p><a class="button" href="/">Back to the teas</a></p>
""")


def goodbye() -> Markup:
    """After a logout."""
    return _GOODBYE


# About

_ABOUT = Markup("""\
<h1>About</h1>
<p class="lead">This page does not look at its session, so it costs nothing: no call of the store,
no cookie, and any cache may keep it. The panel below says so.</p>
<p>The shop is plain WSGI. Around it is one line:</p>
<pre><code>app = SessionMiddleware(app, store=SQLiteStore("shop.db"))</code></pre>
<p>and what it does with its session is what you would do with a dict:</p>
<pre><code>cart = session.setdefault("cart", [])
cart.append({"tea": "sencha", "quantity": 1})  <i># in place, no flag</i>
session.increment("count")                     <i># none is lost</i>
session.login("alice")                         <i># a new cookie, the old one is dead</i>
session.permanent = True                       <i># remember me</i>
session.get_or_create("csrf", token_urlsafe)   <i># all tabs agree on it</i>
session.invalidate()                           <i># gone is gone</i></code></pre>
""")


def about() -> Markup:
    """What this is."""
    return _ABOUT


# When something is wrong

_PROBLEM = Markup("""\
<p class="status">{status}</p>
<h1>{title}</h1>
<p class="lead">{text}</p>
<p><a class="button" href="/">To the teas</a></p>
""")
_TITLES = {
    400: "That did not work",
    404: "There is no such page",
    405: "This page is not used like that",
    413: "That is too much",
    503: "Back in a moment",
}
_TEXTS = {
    404: "Perhaps it was mistyped, or it has moved.",
    405: "It is the target of a form, or only a page to look at.",
    413: "The forms of this shop are small.",
    503: "The store that keeps the sessions does not answer. Nothing is lost: try again.",
}


def problem(status: int, text: str = "") -> Markup:
    """A whole page that says what is wrong. It leaves the session alone."""
    title = _TITLES.get(status, HTTPStatus(status).phrase)
    body = _PROBLEM.format(status=status, title=title, text=_TEXTS.get(status, text))
    return layout(title, body, "")


def unavailable() -> Markup:
    """The store is down."""
    return problem(503)
