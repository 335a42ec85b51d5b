"""Bodies that still run code of the application, responses that start twice, raise or never start.

Over real servers the same rules are proven in ``tests/served``.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import nullcontext
from typing import Any
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

import pytest

from tests.support.recording import RecordingStore
from tests.test_middleware import PLAIN, Body, Server, put, session_of
from wsgi_sessions import (
    Session,
    SessionClosed,
    SessionMiddleware,
    StoreUnavailable,
    UnsupportedValue,
)

Chunks = Callable[[Session], Iterator[bytes]]
SECRET = "the signing secret of the tests"


def streaming(chunks: Chunks, headers: list[tuple[str, str]] = PLAIN) -> WSGIApplication:
    """An application whose body is what *chunks* yields."""

    def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        start_response("200 OK", list(headers))
        return chunks(session_of(environ))

    return app


def fill(server: Server) -> None:
    """Give the visitor a session with ``x``."""
    app, server.wrapped.app = server.wrapped.app, streaming(lambda s: iter([put(s) or b"x"]))
    server.get()
    server.wrapped.app = app
    server.store.pop_calls()


@pytest.mark.parametrize("empty", range(9))
def test_a_generator_may_begin_a_session_before_its_first_chunk_with_content(empty: int) -> None:
    """However many empty chunks come first, up to eight."""

    def chunks(session: Session) -> Iterator[bytes]:
        yield from [b""] * empty
        session["x"] = 1
        yield b"first"
        yield b""
        yield b"last"

    server = Server(streaming(chunks))
    answer = server.get()
    assert answer.chunks == [b"first", b"", b"last"]
    assert server.stored() == {"x": 1}


def test_the_ninth_empty_chunk_is_the_last_that_is_waited_for() -> None:
    def chunks(session: Session) -> Iterator[bytes]:
        yield from [b""] * 9
        with pytest.raises(SessionClosed):
            session["x"] = 1
        yield b"first"

    answer = Server(streaming(chunks)).get()
    assert (answer.chunks, answer.cookie) == ([b"", b"first"], None)


def test_a_body_may_start_the_response_itself() -> None:
    """Within the call: some servers read status and headers when it returns."""

    def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterator[bytes]:
        start_response("201 Created", list(PLAIN))
        put(session_of(environ))
        yield b"made"

    server = Server(app)
    answer = server.open()
    assert answer.status == "201 Created"
    assert answer.cookie is not None


def test_a_body_that_is_not_read_to_its_end_is_closed_once() -> None:
    """A client that goes away is an ordinary end: what was changed so far is saved."""
    body = Body([b"first", b"second"])
    server = Server(lambda environ, start_response: (start_response("200 OK", []), body)[1])
    chunks = iter(server.open().body)
    assert next(chunks) == b"first"
    chunks.close()  # type: ignore[attr-defined]  # as a server's own generator does
    assert body.closed == 0
    answer = server.open()
    iter(answer.body)
    answer.body.close()  # type: ignore[attr-defined]
    answer.body.close()  # type: ignore[attr-defined]
    assert body.closed == 1


def test_what_a_stream_changed_is_saved_when_the_client_goes_away() -> None:
    def chunks(session: Session) -> Iterator[bytes]:
        yield b"first"
        session["late"] = 1
        yield b"second"
        session["never"] = 1

    server = Server(streaming(chunks))
    fill(server)
    answer = server.open()
    read = iter(answer.body)
    assert [next(read), next(read)] == [b"first", b"second"]
    answer.body.close()  # type: ignore[attr-defined]
    assert server.stored() == {"x": 1, "late": 1}


def test_what_a_stream_changed_is_saved_when_it_is_exhausted() -> None:
    """Some hosts never call ``close()``."""

    def chunks(session: Session) -> Iterator[bytes]:
        yield b"first"
        session["late"] = 1

    server = Server(streaming(chunks))
    fill(server)
    assert list(server.open().body) == [b"first"]
    assert server.stored() == {"x": 1, "late": 1}


@pytest.mark.parametrize("error", [ValueError, SystemExit, KeyboardInterrupt, StoreUnavailable])
@pytest.mark.parametrize("first", [True, False])
def test_a_body_that_raises_saves_nothing_more(error: type[BaseException], first: bool) -> None:
    """Of whatever class; only the failure of a store before the headers is a 503."""

    def chunks(session: Session) -> Iterator[bytes]:
        if first:
            yield b"first"
        session["half"] = 1
        raise error

    server = Server(streaming(chunks))
    fill(server)
    if error is StoreUnavailable and not first:
        assert server.get().status.startswith("503")
    else:
        with pytest.raises(error):
            server.get()
    assert server.stored() == {"x": 1}


@pytest.mark.parametrize("cookie", [True, False])
@pytest.mark.parametrize("length", [True, False])
@pytest.mark.parametrize("whole", [True, False])
def test_a_stream_that_may_look_later_is_private_in_advance(
    cookie: bool, length: bool, whole: bool
) -> None:
    """Only if it still runs code, its length is not known, and a cookie of ours came."""
    headers = [("Content-Type", "text/plain"), *([("Content-Length", "1")] if length else [])]

    def chunks(session: Session) -> Iterator[bytes]:
        yield b"x"

    def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        start_response("200 OK", headers)
        return [b"x"] if whole else chunks(session_of(environ))

    server = Server(app)
    if cookie:
        fill(server)
    answer = server.get()
    expected = cookie and not length and not whole
    assert answer.all("Vary") == (["Cookie"] if expected else [])
    assert answer.all("Cache-Control") == (["private"] if expected else [])
    assert server.store.pop_calls() == []


def failing(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """Starts over after the commit, where the server has sent nothing yet."""
    put(session_of(environ))
    start_response("200 OK", [("X-First", "1")])

    def chunks() -> Iterator[bytes]:
        yield from [b""] * 9  # the commit comes at the last of them
        try:
            raise ValueError("late")
        except ValueError:
            start_response("500 Oops", list(PLAIN), exc_info=sys.exc_info())
        yield b"error page"

    return chunks()


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_restart_after_the_commit_keeps_the_cookie(scheme: str) -> None:
    """A server that takes it gets our headers again with the new ones."""
    server = Server(failing)
    answer = server.open(**{"wsgi.url_scheme": scheme})
    assert b"".join(answer.body) == b"error page"
    (_, first), (status, second) = answer.started
    assert status == "500 Oops"
    assert "X-First" not in dict(second)
    assert dict(first)["Set-Cookie"] == dict(second)["Set-Cookie"]
    assert ("; Secure" in dict(first)["Set-Cookie"]) == (scheme == "https")
    assert dict(second)["Cache-Control"] == "no-store"


def test_a_restart_after_a_commit_that_failed_is_the_servers_business() -> None:
    """The headers of the 503 are out: it raises what the application caught."""
    seen: list[Any] = []
    error = ValueError("late")

    def start(*arguments: Any) -> Callable[[bytes], object]:
        seen.append(arguments)
        return lambda data: None

    def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        put(session_of(environ))
        start_response("200 OK", [])(b"page")
        start_response("500 Oops", list(PLAIN), (ValueError, error, error.__traceback__))
        return []

    server = Server(app)
    server.store.failing = {"save"}
    assert b"".join(server.wrapped(server.environ(), start)) == b""
    assert seen[0][0].startswith("503")
    assert seen[1] == ("500 Oops", PLAIN, (ValueError, error, error.__traceback__))


def test_a_restart_that_the_server_refuses_saves_nothing_half_done() -> None:
    """Its headers are out, so that it raises what the application caught."""

    def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterator[bytes]:
        start_response("200 OK", list(PLAIN))
        yield b"first"
        session_of(environ)["half"] = 1
        try:
            raise ValueError("late")
        except ValueError:
            start_response("500 Oops", list(PLAIN), sys.exc_info())

    server = Server(app)
    fill(server)
    with pytest.raises(ValueError, match="late"):
        server.get()
    assert server.stored() == {"x": 1}


@pytest.mark.parametrize("empty", [1, 8])
def test_a_body_of_empty_chunks_keeps_one(empty: int) -> None:
    """Some servers send no headers without a chunk."""
    server = Server(streaming(lambda session: iter([b""] * empty)))
    assert server.get().chunks == [b""]


@pytest.mark.parametrize("by_keyword", [True, False])
def test_exc_info_may_be_given_by_keyword(by_keyword: bool) -> None:
    def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        start_response("200 OK", [])
        try:
            raise ValueError
        except ValueError:
            if by_keyword:
                start_response("500 Oops", list(PLAIN), exc_info=sys.exc_info())
            else:
                start_response("500 Oops", list(PLAIN), sys.exc_info())
        return [b"error page"]

    assert Server(app).get().status == "500 Oops"


# The end of an environ's session


@pytest.mark.parametrize("error", [ValueError, SystemExit, UnsupportedValue])
def test_an_outer_layer_that_calls_again_begins_anew(error: type[BaseException]) -> None:
    """An error page or a retry uses the same ``environ``; what it puts is saved."""
    calls: list[int] = []

    def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        session = session_of(environ)
        calls.append(len(session))
        if len(calls) == 1:
            session["lost"] = object() if error is UnsupportedValue else 1
            raise error
        session["kept"] = 1
        start_response("200 OK", list(PLAIN))
        return [b"x"]

    server = Server(app)
    inner = server.wrapped

    def outer(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        try:
            return inner(environ, start_response)
        except BaseException:
            return inner(environ, start_response)

    server.wrapped = outer  # type: ignore[assignment]
    answer = server.get()
    server.wrapped = inner
    assert answer.cookie is not None
    server.jar = answer.cookie
    assert (calls, server.stored()) == ([0, 0], {"kept": 1})


def test_a_second_call_after_the_headers_begins_anew() -> None:
    """What the first response was about is out."""

    def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        session_of(environ)["n"] = 1
        start_response("200 OK", list(PLAIN))
        return iter([b"x"])

    server = Server(app)
    environ = server.environ()
    answers = [server.wrapped(environ, lambda *args: print) for _ in range(2)]
    assert [list(answer) for answer in answers] == [[b"x"], [b"x"]]
    assert server.store.pop_calls() == ["save", "save"]


# What is raised, and what is a 503


class Buggy(RecordingStore):
    """A store of the application's with a bug."""

    def save(self, *args: Any, **kwargs: Any) -> Any:
        raise AttributeError("a bug")


def test_a_bug_of_a_store_is_raised_as_it_is() -> None:
    """No retry mends it, so it is no outage; and the session of this environ is over."""

    def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        put(session_of(environ))
        start_response("200 OK", [])
        return [b""]

    environ: dict[str, Any] = {"wsgi.url_scheme": "http", "SERVER_NAME": "localhost"}
    with pytest.raises(AttributeError, match="a bug"):
        SessionMiddleware(app, Buggy(), secret=SECRET)(environ, pytest.fail)
    with pytest.raises(SessionClosed):
        environ["wsgi.session"]["x"] = 1


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("started", [True, False])
@pytest.mark.parametrize("streams", [True, False])
def test_a_failed_read_that_leaves_the_application_is_a_503(
    method: str, started: bool, streams: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """As the failure of a write is, with the exception in the log."""

    def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        if started:
            start_response("200 OK", list(PLAIN))
        session_of(environ)["x"]
        return []

    def chunks(environ: WSGIEnvironment, start_response: StartResponse) -> Iterator[bytes]:
        yield from app(environ, start_response)

    server = Server(chunks if streams else app)
    fill(server)
    server.store.failing = {"load"}
    answer = server.get(REQUEST_METHOD=method)
    assert answer.status == "503 Service Unavailable"
    assert dict(answer.headers)["Retry-After"] == "1"
    assert dict(answer.headers)["Cache-Control"] == "no-store"
    assert b"".join(answer.chunks) == (b"" if method == "HEAD" else b"Service Unavailable\n")
    [entry] = caplog.messages
    assert entry.startswith("a failure of the store has left the application: StoreUnavailable: ")
    assert "Traceback" not in caplog.text
    assert "load fails as the test asked" in caplog.text


def test_a_failed_read_after_the_headers_is_raised() -> None:
    def chunks(session: Session) -> Iterator[bytes]:
        yield b"first"
        session["x"]

    server = Server(streaming(chunks))
    fill(server)
    server.store.failing = {"load"}
    with pytest.raises(StoreUnavailable):
        server.get()


# No response at all


@pytest.mark.parametrize("body", [[], iter([])], ids=["list", "iterator"])
def test_a_handler_that_takes_the_socket_sends_nothing(body: Iterable[bytes]) -> None:
    """A websocket: no start_response, an empty body. What it changed in its session is saved."""

    def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        session_of(environ)["late"] = 1
        return body

    server = Server(app)
    fill(server)
    answer = server.open()
    assert list(answer.body) == []
    close = getattr(answer.body, "close", None)
    if close:
        close()
    assert answer.started == []
    assert server.stored() == {"x": 1, "late": 1}


def test_a_handler_that_says_by_stop_iteration_that_it_took_the_socket_is_an_ordinary_end() -> None:
    """As gunicorn's and eventlet's do."""

    def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        session_of(environ)["late"] = 1
        raise StopIteration

    server = Server(app)
    fill(server)
    with pytest.raises(StopIteration):
        server.open()
    assert server.stored() == {"x": 1, "late": 1}


@pytest.mark.parametrize("took", [True, False])
def test_without_a_response_a_failure_of_the_store_is_logged(
    took: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """Nobody is there who could be answered."""

    def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        session_of(environ)["y"] = 2
        server.store.failing = {"load", "save"}
        if took:
            raise StopIteration
        return []

    server = Server(app)
    fill(server)
    with pytest.raises(StopIteration) if took else nullcontext():
        server.open()
    server.store.failing = set()
    assert server.stored() == {"x": 1}
    assert "could not be saved" in caplog.text


@pytest.mark.parametrize(
    "change",
    [put, Session.regenerate, lambda session: session.login("ann")],
    ids=["put", "regenerate", "login"],
)
def test_without_a_response_no_cookie_is_lost(
    change: Callable[[Session], object], caplog: pytest.LogCaptureFixture
) -> None:
    """A change that needs a cookie is dropped and logged: the visitor's own goes on being good."""

    def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        change(session_of(environ))
        return []

    server = Server(app)
    if change is not put:
        fill(server)
    server.open()
    assert server.store.pop_calls() in ([], ["load"])
    assert server.stored() == ({} if change is put else {"x": 1})
    assert "never started a response" in caplog.text
