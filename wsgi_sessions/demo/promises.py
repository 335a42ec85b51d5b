"""The pages that show the promises, each by something that can be tried."""

from __future__ import annotations

from pprint import pformat
from typing import Final

from werkzeug.exceptions import NotFound
from werkzeug.utils import redirect
from werkzeug.wrappers import Response

from wsgi_sessions.demo import pages
from wsgi_sessions.demo.phone import Phone
from wsgi_sessions.demo.responses import STOPPED, ShopRequest, html, page, say, see

__all__ = [
    "end_other_devices",
    "log_in_on_phone",
    "show_devices",
    "show_promises",
    "show_record",
    "show_store",
    "start_store",
    "stop_store",
]

_STOPPED_SECONDS: Final = 3600
_MOST_SHOWN = 2000  # characters of a value


def show_promises(request: ShopRequest) -> Response:
    """What can be tried. Leaves the session alone."""
    has_devices = request.show.phone is not None
    return html(pages.page("promises", "/promises", has_devices=has_devices))


# Two devices


def show_devices(request: ShopRequest) -> Response:
    _phone(request)
    if request.session.owner is None:
        say(request.session, "Log in first: then there is a second device to log out.")
        return redirect("/login")
    return page(request, "devices", token=request.token, devices=request.show.devices)


def log_in_on_phone(request: ShopRequest) -> Response:
    owner, response = request.session.owner, see("/devices")
    if owner is not None:
        _phone(request).log_in(owner, response, secure=request.is_secure)
    return response


def end_other_devices(request: ShopRequest) -> Response:
    session = request.session
    if session.owner is not None:
        count = _phone(request).end_others(session)
        say(session, f"Logged out: {count} other device{'' if count == 1 else 's'}.")
    return see("/devices")


def _phone(request: ShopRequest) -> Phone:
    if request.show.phone is None:
        raise NotFound("This store keeps no list of the sessions of one person.")
    return request.show.phone


# A store that is down: these pages leave the session alone, so they work meanwhile


def show_store(request: ShopRequest) -> Response:
    return html(pages.page("store", "/store", stopped=request.is_stopped))


def stop_store(request: ShopRequest) -> Response:
    response = see("/store")
    response.set_cookie(
        STOPPED,
        "stopped",
        max_age=_STOPPED_SECONDS,
        httponly=True,
        secure=request.is_secure,
        samesite="Lax",
    )
    return response


def start_store(_request: ShopRequest) -> Response:
    response = see("/store")
    response.delete_cookie(STOPPED, httponly=True, samesite="Lax")
    return response


# The record


def show_record(request: ShopRequest) -> Response:
    """The visitor's own record; the table is put there by who sees the store. One value is decoded,
    if the visitor asks for it."""
    session, key, value = request.session, request.args.get("key"), None
    if key is not None and key in session:
        value = pformat(session[key], width=60)[:_MOST_SHOWN]
    return html(pages.page("record", "/record", key=key, value=value, id=session.id))
