"""What every page has: the head, the navigation, the visitor's messages and the panel.

Every template, here and in :mod:`~wsgi_sessions.demo.pages`, is a :class:`markupsafe.Markup`, whose
``format`` escapes what is put in. There is no script, and no style but the one in the head, whose
digest the content security policy names.
"""

from __future__ import annotations

from base64 import b64encode
from hashlib import sha256
from pathlib import Path
from typing import Final, NamedTuple

from markupsafe import Markup

from wsgi_sessions.demo.report import Summary

__all__ = ["PANEL", "SECURITY", "Visitor", "layout", "panel"]

PANEL: Final = Markup("<!--what the session did-->")
"""Where the panel goes. No text on a page can look like it: every ``<`` in one is escaped."""

_STYLE = Markup(Path(__file__).with_name("style.css").read_text("utf-8"))
_DIGEST = b64encode(sha256(_STYLE.encode()).digest()).decode()

SECURITY: Final = {
    "Content-Security-Policy": (
        f"default-src 'none'; style-src 'sha256-{_DIGEST}'; img-src data:; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-snapshot",
}


class Visitor(NamedTuple):
    """What a page shows of the session, whatever it is about."""

    name: str | None
    tins: int
    messages: list[str]


_LAYOUT = Markup("""\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{title} · Leaf &amp; Kettle</title>
<link rel="icon" href="data:image/svg+xml,{icon}">
<style>{style}</style>
</head>
<body>
<a class="skip" href="#content">Skip to the content</a>
<header>
<a class="brand" href="/">Leaf <span>&amp;</span> Kettle</a>
<nav aria-label="Main">
{links}</nav>
</header>
<main id="content">
{messages}{body}</main>
{panel}
<footer>A demonstration of <code>wsgi_sessions</code>. Nothing here is for sale.</footer>
</body>
</html>
""")

_ICON = Markup(
    "%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 32 32'%3E%3Cpath fill='%232f7d5b' "
    "d='M27 4C13 4 5 11 5 20c0 3 1 5 2 7C10 18 15 13 21 11 15 15 11 20 9 27c12 2 19-8 18-23z'/"
    "%3E%3C/svg%3E"
)
_LINK = Markup('<a href="{path}"{current}>{text}</a>\n')
_CURRENT = Markup(' aria-current="page"')
_CART = Markup('Cart <span class="badge">{tins}<span class="hidden"> tins</span></span>')
_MESSAGE = Markup('<p class="message" role="status">{text}</p>\n')


def layout(title: str, body: Markup, path: str, visitor: Visitor | None = None) -> Markup:
    """A whole page; without *visitor* one that leaves the session alone."""
    messages = visitor.messages if visitor is not None else []
    return _LAYOUT.format(
        title=title,
        icon=_ICON,
        style=_STYLE,
        links=Markup().join(
            _LINK.format(path=target, text=text, current=_CURRENT if target == path else "")
            for target, text in _links(visitor)
        ),
        messages=Markup().join(_MESSAGE.format(text=text) for text in messages),
        body=body,
        panel=PANEL,
    )


def _links(visitor: Visitor | None) -> list[tuple[str, str]]:
    cart = _CART.format(tins=visitor.tins) if visitor is not None and visitor.tins else "Cart"
    account = ("/account", "Account")
    if visitor is not None:
        account = ("/account", visitor.name) if visitor.name else ("/login", "Log in")
    return [("/", "Teas"), ("/counter", "Counter"), ("/about", "About"), ("/cart", cart), account]


_PANEL = Markup("""\
<aside aria-labelledby="panel">
<h2 id="panel">What the session did</h2>
{summaries}</aside>
""")
_SUMMARY = Markup("""\
<section>
<h3>{caption} <code>{request}</code></h3>
<dl>
{facts}</dl>
</section>
""")
_FACT = Markup("<div><dt>{}</dt><dd><strong>{}</strong> <span>{}</span></dd></div>\n")


def panel(now: Summary, before: Summary | None) -> Markup:
    """The panel about this request and the POST *before* it, if that redirected here."""
    captioned = [("This request", now)]
    if before is not None:
        captioned.insert(0, ("The form before it", before))
    return _PANEL.format(
        summaries=Markup().join(
            _SUMMARY.format(
                caption=caption,
                request=summary.request,
                facts=Markup().join(_FACT.format(*fact) for fact in summary.facts),
            )
            for caption, summary in captioned
        )
    )
