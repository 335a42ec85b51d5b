"""Everything that a response can do late or oddly, one page each, for real servers.

``build(directory)`` is the application with sessions in ``directory/s.db``. Each page notes what
happens to it in a file of its request (``?id=…``), which outlives every kind of server. With
``bare=True`` the same pages are served without the middleware: what goes wrong then, the server
does.

The first part of the path, if it is followed by a second, says what surrounds the page: a store
that fails at one operation, or a layer outside the middleware.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from tests.served.bodies.pages import cut_short, in_time, late, outages  # noqa: F401  # found by name
from tests.served.bodies.pages.page import CHUNK, PAGES, TEXT, Abort, note
from tests.support.recording import RecordingStore
from wsgi_sessions import SessionMiddleware, SQLiteStore

SECRET = "the signing secret of the tests"


class BrokenStore(RecordingStore):
    """A store with a bug."""

    def save(self, *arguments: Any, **keywords: Any) -> Any:
        return self.misspelt()  # type: ignore[attr-defined]


# What surrounds a page


def find_page(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    return PAGES[environ["PATH_INFO"].rpartition("/")[2]](environ, start_response)


def watched(application: WSGIApplication) -> WSGIApplication:
    """Notes when *application* has raised, and when the end of its body is through."""

    def watching(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        try:
            return Watched(environ, application(environ, start_response))
        except BaseException:
            note(environ, "done")
            raise

    return watching


class Watched:
    """What the server closes last."""

    def __init__(self, environ: WSGIEnvironment, body: Iterable[bytes]) -> None:
        self.environ, self.body, self.chunks = environ, body, iter(body)

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        try:
            return next(self.chunks)
        except StopIteration:
            raise
        except BaseException:
            note(self.environ, "raised")
            raise

    def close(self) -> None:
        try:
            self.body.close()  # type: ignore[attr-defined]
        finally:
            note(self.environ, "done")


def error_pages(application: WSGIApplication) -> WSGIApplication:
    """Calls *application* again, with the same environ, where it has raised."""

    def retried(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        try:
            return application(environ, lambda *response: lambda data: None)
        except (ValueError, Abort):
            environ["PATH_INFO"] = "/a_list"
            return application(environ, start_response)

    return retried


def unavailable(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """What the middleware answers for a store that fails: in its place, where there is none."""
    text = b"Service Unavailable\n"
    headers = [*TEXT, ("Content-Length", str(len(text))), ("Retry-After", "1")]
    send = start_response("503 Service Unavailable", headers)
    if environ["REQUEST_METHOD"] == "HEAD":
        return []
    if environ["PATH_INFO"].endswith("write"):
        send(text)
        return []
    return [text]


def broken(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """What a caller's mistake is to a server: an exception."""
    raise ValueError("a mistake of the caller's")


class NoSession(dict[str, Any]):
    """Stands for the session where there is no middleware."""


Wrap = Callable[[WSGIApplication], WSGIApplication]


def build(
    directory: Path, *, bare: bool = False, wrap: Wrap = lambda application: application
) -> WSGIApplication:
    """The application; *wrap* is put around both sides of the middleware."""
    store = SQLiteStore(directory / "s.db")
    (directory / "file").write_bytes(CHUNK * 3)

    def sessions(*failing: str, store: RecordingStore | None = None) -> WSGIApplication:
        recording = store or RecordingStore(SQLiteStore(directory / "s.db"))
        recording.failing = set(failing)
        return wrap(SessionMiddleware(wrap(find_page), recording, secret=SECRET))

    plain = find_page if bare else wrap(SessionMiddleware(wrap(find_page), store, secret=SECRET))
    surroundings: dict[str, WSGIApplication] = {
        "": plain, "watched": watched(plain), "error_pages": error_pages(plain),
        "load_fails": unavailable if bare else sessions("load"),
        "save_fails": unavailable if bare else sessions("save"),
        "delete_fails": unavailable if bare else sessions("delete"),
        "mistakes": broken if bare else plain,
        "broken_store": broken if bare else sessions(store=BrokenStore(store)),
    }  # fmt: skip

    def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        environ["bodies.directory"] = directory
        if bare:
            environ["wsgi.session"] = NoSession()
        surrounding = environ["PATH_INFO"].strip("/").rpartition("/")[0]
        return surroundings[surrounding](environ, start_response)

    return application


if "BODIES_DIRECTORY" in os.environ:
    app = build(Path(os.environ["BODIES_DIRECTORY"]), bare="BODIES_BARE" in os.environ)
