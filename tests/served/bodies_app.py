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
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from time import monotonic, sleep
from typing import Any
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment
from wsgiref.util import FileWrapper

from tests.support.recording import RecordingStore
from wsgi_sessions import SessionClosed, SessionMiddleware, SQLiteStore

SECRET = "the signing secret of the tests"
TEXT = [("Content-Type", "text/plain")]
CHUNK = b"x" * 65_536
CHUNKS = 400
"""Of a stream whose client goes away: more than the buffers between the two processes hold."""

PATIENCE = float(os.environ.get("BODIES_PATIENCE", "30"))
"""How many seconds a stream waits for its client to confirm the first chunk."""

PAGES: dict[str, WSGIApplication] = {}


def page(function: WSGIApplication) -> WSGIApplication:
    PAGES[function.__name__] = function
    return function


class Abort(BaseException):
    """What ends a request from outside, as a worker's timeout does."""


class Body:
    """An iterator with a ``close()`` of its own, which is noted."""

    def __init__(self, environ: WSGIEnvironment, chunks: Iterable[bytes]) -> None:
        self.environ, self.chunks = environ, iter(chunks)

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        return next(self.chunks)

    def close(self) -> None:
        note(self.environ, "closed")


class NotedFile(Body):
    """A file whose ``close()`` is noted."""

    def __init__(self, environ: WSGIEnvironment, path: Path) -> None:
        self.file = path.open("rb")
        self.read, self.fileno = self.file.read, self.file.fileno
        self.tell, self.seek = self.file.tell, self.file.seek
        super().__init__(environ, self.file)

    def close(self) -> None:
        super().close()
        self.file.close()


def note(environ: WSGIEnvironment, what: str) -> None:
    """Add a line to the notes of this request."""
    name = environ["QUERY_STRING"].removeprefix("id=")
    with (environ["bodies.directory"] / f"{name}.notes").open("a") as notes:
        notes.write(f"{what}\n")


def put(environ: WSGIEnvironment, key: str = "x", value: Any = 1) -> None:
    environ["wsgi.session"][key] = value


# Bodies that run no more code


@page
def a_list(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    put(environ)
    start_response("200 OK", list(TEXT))
    return [b"one", b"two"]


@page
def a_tuple(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    put(environ)
    start_response("200 OK", list(TEXT))
    return (b"one", b"two")


@page
def a_file(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    put(environ)
    path = environ["bodies.directory"] / "file"
    start_response("200 OK", [*TEXT, ("Content-Length", str(path.stat().st_size))])
    wrapper: Any = environ.get("wsgi.file_wrapper", FileWrapper)
    return wrapper(NotedFile(environ, path))  # type: ignore[no-any-return]


@page
def not_modified(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    put(environ)
    start_response("304 Not Modified", [("ETag", '"1"')])
    return []


@page
def no_content(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    put(environ)
    start_response("204 No Content", [])
    return []


@page
def a_head(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """The answer to HEAD: by PEP 3333 it is the application that leaves the body out."""
    put(environ)
    start_response("200 OK", [*TEXT, ("Content-Length", "6")])
    return []


# Bodies that do, and what they do before the headers go out


@page
def a_generator(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """Its session begins when the body does."""

    def body() -> Iterator[bytes]:
        put(environ)
        yield b"one"
        yield b"two"

    start_response("200 OK", list(TEXT))
    return body()


@page
def an_iterator(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """The same of a class."""
    return Body(environ, a_generator(environ, start_response))


@page
def a_lazy_start(environ: WSGIEnvironment, start_response: StartResponse) -> Iterator[bytes]:
    put(environ)
    start_response("200 OK", list(TEXT))
    yield b"one"
    yield b"two"


@page
def an_empty_generator(environ: WSGIEnvironment, start_response: StartResponse) -> Iterator[bytes]:
    start_response("200 OK", list(TEXT))
    put(environ)
    yield from ()


@page
def a_lazy_head(environ: WSGIEnvironment, start_response: StartResponse) -> Iterator[bytes]:
    yield from a_head(environ, start_response)


def after_empty_chunks(number: int) -> WSGIApplication:
    """A page that begins its session just after the *number*-th empty chunk."""

    def empty(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        def body() -> Iterator[bytes]:
            for _ in range(number):
                yield b""
            put(environ)
            yield b"one"
            yield b""
            yield b"two"

        start_response("200 OK", list(TEXT))
        return body()

    return empty


PAGES["an_empty_chunk"] = after_empty_chunks(1)
PAGES["eight_empty_chunks"] = after_empty_chunks(8)


@page
def nine_empty_chunks(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """What comes after the ninth is late, and is saved like everything that is late."""

    def body() -> Iterator[bytes]:
        for _ in range(9):
            yield b""
        try:
            put(environ, "late")
        except SessionClosed:
            note(environ, "too late for a new session")
        yield b"one"
        yield b"two"

    start_response("200 OK", list(TEXT))
    return body()


@page
def only_empty_chunks(environ: WSGIEnvironment, start_response: StartResponse) -> Iterator[bytes]:
    start_response("200 OK", list(TEXT))
    yield b""
    put(environ)
    yield b""


@page
def write(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    put(environ)
    send = start_response("200 OK", list(TEXT))
    send(b"one")
    put(environ, "late")
    send(b"two")
    return []


@page
def only_write(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    put(environ)
    send = start_response("200 OK", list(TEXT))
    send(b"one")
    send(b"two")
    return []


@page
def write_then_iterable(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    def body() -> Iterator[bytes]:
        put(environ, "late")
        yield b"two"

    put(environ)
    start_response("200 OK", list(TEXT))(b"one")
    return body()


# Restarts


def restart(start_response: StartResponse, **keyword: Any) -> None:
    """Another response, as an application does that has caught an exception."""
    try:
        raise ValueError("caught")
    except ValueError:
        if keyword:
            start_response("500 Internal Server Error", list(TEXT), exc_info=sys.exc_info())
        else:
            start_response("500 Internal Server Error", list(TEXT), sys.exc_info())


@page
def restart_before_the_body(
    environ: WSGIEnvironment, start_response: StartResponse
) -> Iterable[bytes]:
    put(environ)
    start_response("200 OK", [*TEXT, ("X-First", "1")])
    restart(start_response)
    return [b"sorry"]


@page
def restart_by_keyword(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    put(environ)
    start_response("200 OK", [*TEXT, ("X-First", "1")], exc_info=None)
    restart(start_response, keyword=True)
    return [b"sorry"]


def restart_after_empty_chunks(number: int) -> WSGIApplication:
    def restarted(environ: WSGIEnvironment, start_response: StartResponse) -> Iterator[bytes]:
        start_response("200 OK", [*TEXT, ("X-First", "1")])
        put(environ)
        for _ in range(number):
            yield b""
        restart(start_response)
        yield b"sorry"

    return restarted


PAGES["restart_after_an_empty_chunk"] = restart_after_empty_chunks(1)
PAGES["restart_after_nine_empty_chunks"] = restart_after_empty_chunks(9)


@page
def restart_after_the_headers(
    environ: WSGIEnvironment, start_response: StartResponse
) -> Iterable[bytes]:
    def body() -> Iterator[bytes]:
        yield CHUNK
        put(environ, "half")
        restart(start_response)
        note(environ, "restarted")
        yield b"sorry"

    start_response("200 OK", list(TEXT))
    return Body(environ, body())


# Raises


@page
def raise_before_the_body(
    environ: WSGIEnvironment, start_response: StartResponse
) -> Iterable[bytes]:
    put(environ)
    start_response("200 OK", list(TEXT))
    raise ValueError("before the body")


def raising(error: type[BaseException], chunks: int) -> WSGIApplication:
    """A page whose body raises after so many chunks."""

    def broken(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        def body() -> Iterator[bytes]:
            for _ in range(chunks):
                yield CHUNK
            put(environ, "half")
            raise error

        start_response("200 OK", list(TEXT))
        return Body(environ, body())

    return broken


PAGES["raise_before_the_first_chunk"] = raising(ValueError, 0)
PAGES["raise_in_the_middle"] = raising(ValueError, 1)
PAGES["abort_before_the_first_chunk"] = raising(Abort, 0)
PAGES["abort_in_the_middle"] = raising(Abort, 1)
PAGES["exit_in_the_middle"] = raising(SystemExit, 1)


# After the headers


@page
def late_change(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    def body() -> Iterator[bytes]:
        yield b"one"
        put(environ, "late")
        yield b"two"

    start_response("200 OK", list(TEXT))
    return Body(environ, body())


@page
def late_look(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """Nobody looks at the session before the headers have gone out."""

    def body() -> Iterator[bytes]:
        yield b"one "
        yield b"%d" % environ["wsgi.session"].get("x", 0)

    start_response("200 OK", list(TEXT))
    return body()


@page
def late_look_at_a_cached_page(
    environ: WSGIEnvironment, start_response: StartResponse
) -> Iterable[bytes]:
    def start(status: str, headers: list[tuple[str, str]]) -> Any:
        return start_response(status, [*headers, ("Cache-Control", "max-age=60")])

    return late_look(environ, start)  # type: ignore[arg-type]


@page
def ordinary_answer(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """As frameworks give it: an object with a length that is known."""
    start_response("200 OK", [*TEXT, ("Content-Length", "6")])
    return Body(environ, iter([b"one", b"two"]))


@page
def client_goes_away(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    def chunks() -> Iterator[bytes]:
        for number in range(CHUNKS):
            put(environ, "chunks", number)
            yield CHUNK

    start_response("200 OK", list(TEXT))
    return Body(environ, chunks())


@page
def client_of_a_generator_goes_away(
    environ: WSGIEnvironment, start_response: StartResponse
) -> Iterable[bytes]:
    def chunks() -> Iterator[bytes]:
        try:
            yield from client_goes_away(environ, start_response).chunks  # type: ignore[attr-defined]
        finally:
            note(environ, "closed")

    return chunks()


@page
def a_slow_stream(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """Its second chunk is made when the client has seen the first."""

    def chunks() -> Iterator[bytes]:
        yield b"one"
        seen: Path = environ["bodies.directory"] / environ["QUERY_STRING"]
        deadline = monotonic() + PATIENCE
        while not seen.exists() and monotonic() < deadline:
            sleep(0.005)
        yield b"two" if seen.exists() else b"nobody has seen the first"

    put(environ)
    start_response("200 OK", list(TEXT))
    return chunks()


@page
def a_websocket(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """Takes the socket, as websocket libraries do on gevent and on eventlet."""
    put(environ, "late")
    taken = b"HTTP/1.1 101 Switching Protocols\r\n\r\nhello"
    if "eventlet.input" in environ:
        from eventlet.wsgi import WSGI_LOCAL

        WSGI_LOCAL.already_handled = True
        environ["eventlet.input"].get_socket().sendall(taken)
    else:
        environ["wsgi.input"].rfile.raw._sock.sendall(taken)
    return []


# A store that fails, and callers that make mistakes


@page
def a_lazy_look(environ: WSGIEnvironment, start_response: StartResponse) -> Iterator[bytes]:
    value = environ["wsgi.session"].get("x", 0)
    start_response("200 OK", list(TEXT))
    yield b"%d" % value


@page
def a_look(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    return list(a_lazy_look(environ, start_response))


@page
def logout(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    environ["wsgi.session"].invalidate()
    start_response("200 OK", list(TEXT))
    return [b"bye"]


@page
def an_unsupported_value(
    environ: WSGIEnvironment, start_response: StartResponse
) -> Iterable[bytes]:
    put(environ, "y", [])
    environ["wsgi.session"]["y"].append(object())
    start_response("200 OK", list(TEXT))
    return Body(environ, [b"one"])


@page
def a_value_too_large(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    put(environ, "y", "y" * (2 << 20))
    start_response("200 OK", list(TEXT))
    return Body(environ, [b"one"])


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
