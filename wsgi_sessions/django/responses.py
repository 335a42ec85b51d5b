"""What a manager says about a response, for Django's responses."""

from __future__ import annotations

from collections.abc import Callable
from http.cookies import SimpleCookie
from types import CodeType, TracebackType

from django.contrib import auth
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.urls import get_resolver, get_urlconf
from django.views.defaults import server_error

from wsgi_sessions.cookie import Headers
from wsgi_sessions.manager import Finished

__all__ = [
    "apply",
    "call_when_closed",
    "has_own_handler",
    "headers_of",
    "length_of",
    "unavailable",
    "was_in_logout",
]

_PARTITIONED = "; Partitioned"  # http.cookies knows it since Python 3.14
_LOOKED_AT = frozenset({"vary", "cache-control"})
_LOGOUTS: set[CodeType] = {
    vars(auth)[name].__code__ for name in ("logout", "alogout") if name in vars(auth)
}


def headers_of(response: HttpResponseBase) -> Headers:
    """Those of *response* that a manager looks at, but its cookies."""
    given = response.headers  # where it takes 4,000 instructions to learn that a name is not there
    headers = [(name, given[name]) for name in given if name.lower() in _LOOKED_AT]
    return headers + length_of(response)


def length_of(response: HttpResponseBase) -> Headers:
    """Whether the body of *response* is made already, as the header that Django adds later."""
    if response.streaming and not response.has_header("Content-Length"):
        return []
    return [("Content-Length", "0")]


def apply(response: HttpResponseBase, headers: Headers) -> None:
    """Give *response* what of *headers* concerns its session."""
    number = 0
    for name, value in headers:
        if name in ("Vary", "Cache-Control"):
            response.headers[name] = value
        elif name == "Set-Cookie":
            _put_cookie(response, value, number)
            number += 1


class CallWhenClosed:
    """A call that is not for the copies that Django's cache makes of a response."""

    def __init__(self, call: Callable[[], None]) -> None:
        self._call = call

    def __call__(self) -> None:
        self._call()

    def __reduce__(self) -> tuple[type[CallWhenClosed], tuple[Callable[[], None]]]:
        return CallWhenClosed, (_do_nothing,)


def _do_nothing() -> None:
    pass


def call_when_closed(response: HttpResponseBase, call: Callable[[], None]) -> None:
    """Let the server call *call* when it closes *response*."""
    response._resource_closers.append(CallWhenClosed(call))  # type: ignore[attr-defined]


def unavailable(request: HttpRequest, finished: Finished) -> HttpResponse:
    """The ``503`` of *finished*."""
    body = b"" if request.method == "HEAD" else finished.body or b""
    response = HttpResponse(body, status=503)
    for name, value in finished.headers:
        if name not in ("Set-Cookie", "Content-Length"):
            response.headers[name] = value
    apply(response, finished.headers)
    return response


def _put_cookie(response: HttpResponseBase, line: str, number: int) -> None:
    """``response.cookies`` holds one cookie a name, so the second and later ones, which expire the
    variants that a browser may hold, are kept under keys of their own."""
    plain, partitioned, _ = line.partition(_PARTITIONED)
    [(name, morsel)] = SimpleCookie(plain).items()
    if morsel["max-age"]:
        morsel["max-age"] = int(morsel["max-age"])  # as Django has it
    if partitioned:
        morsel["samesite"] += _PARTITIONED
    if not morsel.value:
        morsel.set(name, "", '""')  # as Django's own delete_cookie() has it
    key = name if number == 0 else f"{name} {number}"
    dict.__setitem__(response.cookies, key, morsel)


def has_own_handler() -> bool:
    """Whether the project has a ``handler500`` of its own, which then answers."""
    handler = get_resolver(get_urlconf()).resolve_error_handler(500)
    return handler is not server_error


def was_in_logout(error: BaseException) -> bool:
    """Whether *error* was raised in ``django.contrib.auth.logout()``, which looks at the user
    before it ends the session."""
    trace: TracebackType | None = error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code in _LOGOUTS:
            return True
        trace = trace.tb_next
    return False
