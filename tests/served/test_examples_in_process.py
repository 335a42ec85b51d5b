"""What a visitor of each example gets when the store fails, and what an untouched page costs."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from importlib.util import module_from_spec, spec_from_file_location
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from wsgi_sessions import MemoryStore, StoreUnavailable

ROOT = Path(__file__).parents[2]
EXAMPLES = sorted(path.stem for path in (ROOT / "examples").glob("*_app.py"))
EXAMPLES = [name for name in EXAMPLES if name != "django_app"]  # its forms carry tokens


class Response(NamedTuple):
    status: int
    headers: dict[str, str]
    body: bytes


Ask = Callable[..., Response]


def ask_wsgi(app: Any, method: str, path: str, cookie: str = "", body: bytes = b"") -> Response:
    started: list[Any] = []
    environ = {
        "REQUEST_METHOD": method,
        "PATH_INFO": path,
        "SCRIPT_NAME": "",
        "QUERY_STRING": "",
        "SERVER_NAME": "localhost",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": "127.0.0.1",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": BytesIO(body),
        "wsgi.errors": BytesIO(),
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
        "HTTP_HOST": "localhost",
        "HTTP_COOKIE": cookie,
        "CONTENT_LENGTH": str(len(body)),
        "CONTENT_TYPE": "application/x-www-form-urlencoded",
    }
    chunks = app(environ, lambda status, headers, exc_info=None: started.append((status, headers)))
    content = b"".join(chunks)
    if hasattr(chunks, "close"):
        chunks.close()
    status, headers = started[-1]
    return Response(int(status[:3]), dict(headers), content)


def ask_asgi(app: Any, method: str, path: str, cookie: str = "", body: bytes = b"") -> Response:
    sent: list[dict[str, Any]] = []
    headers = {
        "host": "localhost",
        "cookie": cookie,
        "content-length": str(len(body)),
        "content-type": "application/x-www-form-urlencoded",
    }
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": [(name.encode(), text.encode()) for name, text in headers.items()],
        "client": ("127.0.0.1", 1),
        "server": ("localhost", 80),
    }

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    asyncio.run(app(scope, receive, send))
    start, *parts = sent
    lines = {name.decode().title(): text.decode() for name, text in start["headers"]}
    return Response(start["status"], lines, b"".join(part.get("body", b"") for part in parts))


class Site:
    """An example, a visitor who has a session there, and the calls of its store."""

    def __init__(self, example: str, patch: pytest.MonkeyPatch) -> None:
        path = ROOT / "examples" / f"{example}.py"
        spec = spec_from_file_location(f"example_{example}", path)
        assert spec is not None
        assert spec.loader is not None
        module = module_from_spec(spec)
        patch.setenv("WSGI_SESSIONS_STORE", "memory://")
        patch.setitem(__import__("sys").modules, spec.name, module)
        spec.loader.exec_module(module)
        self.app: Any = module.app
        self._ask: Ask = ask_asgi if example == "fastapi_app" else ask_wsgi
        first = self.ask("POST", "/add", body=b"item=pen")
        assert first.status == 303
        self.cookie = first.headers["Set-Cookie"].partition(";")[0]
        self.calls: list[str] = []
        self.failing: set[str] = set()
        for name in ("load", "save", "delete"):
            patch.setattr(MemoryStore, name, self._noted(name, getattr(MemoryStore, name)))

    def ask(self, method: str, path: str, cookie: str = "", body: bytes = b"") -> Response:
        return self._ask(self.app, method, path, cookie, body)

    def _noted(self, name: str, method: Callable[..., Any]) -> Callable[..., Any]:
        def call(store: MemoryStore, *arguments: Any, **options: Any) -> Any:
            self.calls.append(name)
            if name in self.failing:
                raise StoreUnavailable(f"{name} fails as the test asked", applied=False)
            return method(store, *arguments, **options)

        return call


@pytest.fixture(params=EXAMPLES)
def site(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Site:
    return Site(request.param, monkeypatch)


def test_an_untouched_page_costs_no_store_call_and_no_header(site: Site) -> None:
    """Here one that is not found, by a visitor with a session."""
    response = site.ask("GET", "/no-such-page", site.cookie)
    assert response.status == 404
    assert not {"Set-Cookie", "Vary"} & set(response.headers)
    assert "private" not in response.headers.get("Cache-Control", "")
    assert site.calls == []


def test_a_page_that_reads_costs_one_call(site: Site) -> None:
    """Where Flask and Pyramid have shown a message, one more to remove it."""
    site.ask("GET", "/", site.cookie)
    site.calls.clear()
    response = site.ask("GET", "/", site.cookie)
    assert b"pen" in response.body
    assert site.calls == ["load"]
    assert "Cookie" in response.headers["Vary"]


@pytest.mark.parametrize("operation", ["load", "save"])
def test_a_store_that_fails_is_a_503_and_no_error_page_of_the_framework(
    site: Site, operation: str
) -> None:
    """Nor an empty session. Flask's example has an answer of its own for a read."""
    site.failing = {operation}
    response = site.ask("POST", "/add", site.cookie, b"item=book")
    assert response.status == 503
    assert "Set-Cookie" not in response.headers
    site.failing = set()
    page = site.ask("GET", "/", site.cookie)
    assert b"pen" in page.body
    assert b"book" not in page.body
