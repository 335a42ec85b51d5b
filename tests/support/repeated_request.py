"""A browser and a server in one: requests to a WSGI application in this process."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable
from typing import Any
from wsgiref.types import WSGIApplication

from tests.support.scenarios import SCENARIOS

Request = Callable[[], None]


class Client:
    """Sends requests to *application*. It does not follow cookies: every request of a scenario is
    the same, whatever the last response said."""

    def __init__(self, application: WSGIApplication) -> None:
        self.application = application

    def request(self, scenario: str) -> Request:
        """A function that sends one request of this scenario. The session it needs is made now."""
        kind = SCENARIOS[scenario]
        if kind.data is None:
            return self.sender(f"/{scenario}")
        cookies = self.cookies("/fill/large" if kind.is_large else "/fill/small")
        if kind.forged:
            cookies = {name: tampered(value) for name, value in cookies.items()}
        return self.sender(f"/{scenario}", cookies)

    def sender(self, path: str, cookies: dict[str, str] | None = None) -> Request:
        """A function that sends one request for *path* with *cookies*."""
        template, application = _environ(path, header(cookies or {})), self.application

        def send() -> None:
            body = application(template.copy(), _start_response)
            for _ in body:
                pass
            if hasattr(body, "close"):
                body.close()

        return send

    def cookies(self, path: str) -> dict[str, str]:
        """What the response to a request without cookies sets."""
        headers: list[tuple[str, str]] = []

        def start_response(status: str, given: list[tuple[str, str]], *_: Any) -> Any:
            if not status.startswith("200"):
                raise RuntimeError(f"{path}: {status}")
            headers.extend(given)

        body = self.application(_environ(path, ""), start_response)  # type: ignore[arg-type]
        for _ in body:
            pass
        if hasattr(body, "close"):
            body.close()
        pairs = (value.partition(";")[0] for name, value in headers if name.lower() == "set-cookie")
        # Django's lines begin with a space.
        return {pair.partition("=")[0].strip(): pair.partition("=")[2] for pair in pairs}


def header(cookies: dict[str, str]) -> str:
    """The ``Cookie`` header."""
    return "; ".join(f"{name}={value}" for name, value in cookies.items())


def _start_response(status: str, _headers: Any, _exc_info: Any = None) -> Any:
    if not status.startswith("200"):
        raise RuntimeError(status)


def tampered(value: str) -> str:
    """Well-formed, with one character changed where signatures are."""
    place = max(len(value) - 6, 0)
    return value[:place] + ("A" if value[place] != "A" else "B") + value[place + 1 :]


def _environ(path: str, cookies: str) -> dict[str, Any]:
    environ: dict[str, Any] = {
        "REQUEST_METHOD": "GET",
        "SCRIPT_NAME": "",
        "PATH_INFO": path,
        "QUERY_STRING": "",
        "SERVER_NAME": "127.0.0.1",
        "SERVER_PORT": "8000",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": "127.0.0.1",
        "HTTP_HOST": "127.0.0.1:8000",
        "HTTP_USER_AGENT": "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0",
        "HTTP_ACCEPT": "text/html,application/xhtml+xml,*/*;q=0.8",
        "HTTP_ACCEPT_LANGUAGE": "de-CH,de;q=0.7,en;q=0.3",
        "HTTP_ACCEPT_ENCODING": "gzip, deflate, br",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(),
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": False,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
    }
    if cookies:
        environ["HTTP_COOKIE"] = cookies
    return environ
