"""The WSGI middleware: its eight rules, and everything a response can do late or oddly."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Iterator
from typing import Any
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment
from wsgiref.util import FileWrapper, setup_testing_defaults
from wsgiref.validate import validator

import pytest
from webtest import TestApp

from tests.support.recording import RecordingStore
from tests.support.visitor import warm
from wsgi_sessions import (
    MemoryStore,
    Session,
    SessionClosed,
    SessionMiddleware,
    SessionTooLarge,
    UnsupportedValue,
)
from wsgi_sessions.testing import ManualClock

PLAIN = [("Content-Type", "text/plain")]


class Answer:
    """What a WSGI server saw of one response."""

    def __init__(self) -> None:
        self.started: list[tuple[str, list[tuple[str, str]]]] = []
        self.chunks: list[bytes] = []
        self.body: Iterable[bytes] = ()

    def start_response(
        self, status: str, headers: list[tuple[str, str]], exc_info: Any = None, /
    ) -> Callable[[bytes], object]:
        if exc_info is not None and any(self.chunks):
            raise exc_info[1].with_traceback(exc_info[2])
        self.started.append((status, headers))
        return self.chunks.append

    @property
    def status(self) -> str:
        assert len(self.started) == 1, "headers are forwarded exactly once"
        return self.started[0][0]

    @property
    def headers(self) -> list[tuple[str, str]]:
        assert self.status
        return self.started[0][1]

    def all(self, name: str) -> list[str]:
        return [value for key, value in self.headers if key.lower() == name.lower()]

    @property
    def cookie(self) -> str | None:
        lines = self.all("Set-Cookie")
        assert len(lines) <= 1
        return lines[0].partition(";")[0] if lines else None


class Server:
    """A WSGI server that does what it is told and keeps the visitor's cookie."""

    def __init__(self, app: WSGIApplication, **options: Any) -> None:
        self.store = RecordingStore()
        self.wrapped = SessionMiddleware(app, self.store, secret="x" * 16, **options)
        warm(self.wrapped.manager)
        self.store.pop_calls()
        self.jar = ""

    def environ(self, **more: Any) -> WSGIEnvironment:
        environ: WSGIEnvironment = {"HTTP_COOKIE": self.jar} if self.jar else {}
        environ.update(more)
        setup_testing_defaults(environ)
        return environ

    def open(self, **more: Any) -> Answer:
        """Call the application; do not iterate."""
        answer = Answer()
        answer.body = self.wrapped(self.environ(**more), answer.start_response)
        return answer

    def finish(self, answer: Answer) -> Answer:
        """Iterate and close."""
        try:
            for chunk in answer.body:
                answer.chunks.append(chunk)
        finally:
            close = getattr(answer.body, "close", None)
            if close is not None:
                close()
        if answer.cookie is not None:
            self.jar = answer.cookie
        return answer

    def get(self, **more: Any) -> Answer:
        return self.finish(self.open(**more))

    def stored(self) -> dict[str, Any]:
        """What is in the session now."""
        return self.wrapped.manager.open(self.jar).copy()


class Body:
    """An iterable of the application that counts how often it is closed."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self.chunks = chunks
        self.closed = 0

    def __iter__(self) -> Iterator[bytes]:
        return iter(self.chunks)

    def close(self) -> None:
        self.closed += 1


def session_of(environ: WSGIEnvironment) -> Session:
    session: Session = environ["wsgi.session"]
    return session


def simple(change: Callable[[Session], Any], body: Any = (b"ok",)) -> WSGIApplication:
    """An application that does *change* and answers."""

    def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        change(session_of(environ))
        start_response("200 OK", list(PLAIN))
        result: Iterable[bytes] = list(body) if isinstance(body, tuple) else body
        return result

    return app


def put(session: Session) -> None:
    session["x"] = 1


# 1. start_response is recorded, the header list never changed


@pytest.mark.parametrize("use", [lambda s: s.increment("n"), lambda s: s.get("n")])
@pytest.mark.parametrize("more", [[], [("Vary", "Accept")], [("Cache-Control", "no-cache")]])
def test_the_headers_of_the_application_are_never_changed(
    use: Callable[[Session], Any], more: list[tuple[str, str]]
) -> None:
    """A module-level list can be given out again and again."""
    headers = [*PLAIN, *more]

    def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        use(session_of(environ))
        start_response("200 OK", headers)
        return [b""]

    server = Server(app)
    for _ in range(3):
        assert "Cookie" in server.get().all("Vary")[0]
    assert headers == [*PLAIN, *more]
    assert server.stored() in ({"n": 3}, {})


def test_an_untouched_response_is_the_applications_own() -> None:
    """No store call, no header, the same header list, the same body."""
    headers, body = list(PLAIN), [b"ok"]

    def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        start_response("200 OK", headers)
        return body

    server = Server(app)
    server.jar = "sid=whatever"
    answer = server.open()
    assert answer.body is body
    assert answer.headers is headers
    assert answer.headers == PLAIN
    assert server.store.calls == []


def test_a_second_start_without_exc_info_is_an_error() -> None:
    """PEP 3333 calls it fatal."""

    def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        start_response("200 OK", [])
        start_response("200 OK", [])
        return []

    with pytest.raises(AssertionError, match="second time"):
        Server(app).get()


@pytest.mark.parametrize("body", [[b"x"], Body([b"x"])])
def test_a_body_without_a_start_is_an_error(body: Iterable[bytes]) -> None:
    """Of the application; the session is not saved."""

    def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        put(session_of(environ))
        return body

    server = Server(app)
    with pytest.raises(AssertionError, match="before it called start_response"):
        list(server.open().body)
    assert server.store.calls == []


# 2. When it commits


def test_it_commits_when_the_application_has_returned() -> None:
    """Before the server sees the headers, and before it iterates."""
    server = Server(simple(put))
    answer = server.open()
    assert server.store.calls == ["save"]
    assert answer.cookie is not None


def test_what_changes_after_start_response_is_still_in_time() -> None:
    """The headers are only recorded until the application returns."""

    def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        start_response("200 OK", list(PLAIN))
        put(session_of(environ))
        return [b"ok"]

    server = Server(app)
    assert server.get().cookie is not None
    assert server.stored() == {"x": 1}


@pytest.mark.parametrize("kind", [list, tuple])
def test_a_finished_body_is_returned_as_it_is(kind: type) -> None:
    """The server can take its length."""
    body = kind([b"a", b"b"])

    def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        put(session_of(environ))
        start_response("200 OK", list(PLAIN))
        return body

    assert Server(app).open().body is body


def test_the_file_wrapper_of_the_server_is_returned_as_it_is() -> None:
    """So that the server can use sendfile."""
    wrapper = FileWrapper(io.BytesIO(b"file"))
    server = Server(simple(put, wrapper))
    answer = server.open(**{"wsgi.file_wrapper": FileWrapper})
    assert answer.body is wrapper
    assert answer.cookie is not None


def test_a_file_wrapper_that_is_no_class_is_no_obstacle() -> None:
    """Some servers give a function."""
    server = Server(simple(put, Body([b"file"])))
    answer = server.get(**{"wsgi.file_wrapper": lambda file, size=0: file})
    assert answer.chunks == [b"file"]


def generator(environ: WSGIEnvironment, start_response: StartResponse) -> Iterator[bytes]:
    """A generator function: it starts its response at the first chunk."""
    session_of(environ)["before"] = 1
    start_response("200 OK", list(PLAIN))
    yield b"first"
    session_of(environ)["between"] = 1
    yield b"second"
    session_of(environ)["after"] = 1


def test_a_generator_is_committed_at_its_first_chunk_within_the_call() -> None:
    """What it changes later is saved at the end."""
    server = Server(generator)
    answer = server.open()
    assert (len(answer.started), server.store.calls) == (1, ["save"])
    chunks = iter(answer.body)
    assert next(chunks) == b"first"
    assert answer.cookie is not None
    server.jar = answer.cookie
    assert server.stored() == {"before": 1}
    assert list(chunks) == [b"second"]
    assert server.stored() == {"before": 1, "between": 1, "after": 1}
    server.store.pop_calls()
    answer.body.close()  # type: ignore[attr-defined]
    assert server.store.pop_calls() == []


def test_a_generator_without_chunks_is_committed_at_its_end() -> None:
    """The headers still go out."""

    def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterator[bytes]:
        put(session_of(environ))
        start_response("204 No Content", [])
        yield from ()

    server = Server(app)
    answer = server.get()
    assert (answer.status, answer.chunks) == ("204 No Content", [])
    assert server.stored() == {"x": 1}


def test_write_commits_before_the_first_byte() -> None:
    """Later changes are saved when the application returns."""

    def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        session = session_of(environ)
        session["a"] = 1
        write = start_response("200 OK", list(PLAIN))
        write(b"one")
        session["b"] = 2
        write(b"two")
        return [b"three"]

    server = Server(app)
    answer = server.get()
    assert answer.chunks == [b"one", b"two", b"three"]
    assert server.stored() == {"a": 1, "b": 2}


def test_write_inside_a_generator() -> None:
    """Both imperative and iterable, as PEP 3333 allows."""

    def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterator[bytes]:
        put(session_of(environ))
        write = start_response("200 OK", list(PLAIN))
        write(b"one")
        yield b"two"

    server = Server(app)
    assert server.get().chunks == [b"one", b"two"]
    assert server.stored() == {"x": 1}


@pytest.mark.parametrize("status", ["200 OK", "204 No Content", "304 Not Modified"])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_any_kind_of_response_saves_the_session(status: str, method: str) -> None:
    """HEAD, 204 and 304 have no body and still have headers."""

    def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        session_of(environ).increment("n")
        start_response(status, [])
        return []

    server = Server(app)
    assert server.get(REQUEST_METHOD=method).status == status
    server.get(REQUEST_METHOD=method)
    assert server.stored() == {"n": 2}


# 3. After the headers


def test_a_new_session_after_the_headers_is_an_error_on_the_line() -> None:
    """Its cookie could not be sent."""
    raised: list[Exception] = []

    def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterator[bytes]:
        start_response("200 OK", list(PLAIN))
        yield b"first"
        try:
            session_of(environ)["late"] = 1
        except SessionClosed as error:
            raised.append(error)

    Server(app).get()
    assert len(raised) == 1


@pytest.mark.parametrize("change", [put, lambda session: session.regenerate()])
def test_what_needs_a_cookie_is_an_error_after_the_headers(
    change: Callable[[Session], Any],
) -> None:
    """Also where the session was looked at before them."""
    raised: list[Exception] = []

    def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterator[bytes]:
        session_of(environ).get("x")
        start_response("200 OK", list(PLAIN))
        yield b"first"
        try:
            change(session_of(environ))
        except SessionClosed as error:
            raised.append(error)

    server = Server(simple(put))
    if change is not put:
        server.get()
    server.wrapped.app = app
    server.get()
    assert "headers have been sent" in str(raised)


@pytest.mark.parametrize("body", [(b"ok",), Body([b"ok"])])
@pytest.mark.parametrize("failing", [set(), {"save"}])
def test_a_session_that_is_kept_cannot_be_changed_after_the_response(
    body: Any, failing: set[str]
) -> None:
    """Nothing would be saved; nor after a commit that failed."""
    kept: list[Session] = []
    server = Server(simple(lambda session: (put(session), kept.append(session)), body))
    server.store.failing = failing
    server.get()
    with pytest.raises(SessionClosed, match="over"):
        kept[0]["y"] = 2


# 4. close() and exc_info


@pytest.mark.parametrize("touch", [put, lambda session: None])
def test_the_body_is_closed_exactly_once(touch: Callable[[Session], Any]) -> None:
    """Also if the server closes twice."""
    body = Body([b"a", b"b"])
    server = Server(simple(touch, body))
    answer = server.get()
    answer.body.close()  # type: ignore[attr-defined]
    assert (answer.chunks, body.closed) == ([b"a", b"b"], 1)


def test_a_client_that_goes_away_closes_the_body_and_keeps_what_was_changed() -> None:
    """The server closes without iterating to the end."""
    closed: list[int] = []

    def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterator[bytes]:
        put(session_of(environ))
        start_response("200 OK", list(PLAIN))
        try:
            yield b"first"
            session_of(environ)["y"] = 2
            yield b"second"
            pytest.fail("nobody asks for more")
        finally:
            closed.append(1)

    server = Server(app)
    answer = server.open()
    chunks = iter(answer.body)
    assert [next(chunks), next(chunks)] == [b"first", b"second"]
    del chunks
    answer.body.close()  # type: ignore[attr-defined]
    assert answer.cookie is not None
    server.jar = answer.cookie
    assert (server.stored(), closed) == ({"x": 1, "y": 2}, [1])


def test_a_body_without_start_response_is_an_error_and_closed() -> None:
    """Nothing was started, so nothing is saved."""
    body = Body([b"x"])

    def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        put(session_of(environ))
        return body

    server = Server(app)
    with pytest.raises(AssertionError, match="before it called start_response"):
        server.open()
    assert (body.closed, server.store.calls) == (1, [])


def test_an_error_page_replaces_the_recorded_headers() -> None:
    """start_response with exc_info, before anything was sent."""

    def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        put(session_of(environ))
        start_response("200 OK", [("X-First", "1")])
        try:
            raise ValueError("late")
        except ValueError as error:
            start_response("500 Oops", list(PLAIN), (ValueError, error, error.__traceback__))
        return [b"error page"]

    server = Server(app)
    answer = server.get()
    assert answer.status == "500 Oops"
    assert answer.all("X-First") == []
    assert server.stored() == {"x": 1}


def test_an_error_after_the_headers_reaches_the_server() -> None:
    """start_response with exc_info raises what the application caught."""

    def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterator[bytes]:
        start_response("200 OK", list(PLAIN))
        yield b"first"
        try:
            raise ValueError("too late")
        except ValueError as error:
            start_response("500 Oops", [], (ValueError, error, error.__traceback__))

    with pytest.raises(ValueError, match="too late"):
        Server(app).get()


def test_an_error_after_the_headers_is_handed_on_whole() -> None:
    """For a server that can still do something with it: status, headers and exc_info."""
    seen: list[Any] = []

    def start(status: str, headers: Any, exc_info: Any = None, /) -> Callable[[bytes], object]:
        seen.append((status, headers, exc_info))
        return lambda data: None

    error = ValueError("late")

    def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterator[bytes]:
        start_response("200 OK", list(PLAIN))
        yield b"first"
        start_response("500 Oops", [("X-Error", "1")], (ValueError, error, error.__traceback__))

    server = Server(app)
    assert list(server.wrapped(server.environ(), start)) == [b"first"]
    assert [status for status, _, _ in seen] == ["200 OK", "500 Oops"]
    assert seen[1][1:] == ([("X-Error", "1")], (ValueError, error, error.__traceback__))


def test_an_interrupted_commit_closes_the_body() -> None:
    """The server never gets it; a timeout of gevent is no Exception."""

    class Timeout(BaseException):
        pass

    def interrupt() -> None:
        raise Timeout

    body = Body([b"x"])
    server = Server(simple(put, body))
    server.store.before["save"] = interrupt
    with pytest.raises(Timeout):
        server.open()
    assert body.closed == 1


# 5. The application raises


@pytest.mark.parametrize("saved", [False, True])
def test_an_application_that_raises_saves_nothing_but_what_it_saved(saved: bool) -> None:
    """The exception goes on."""

    def fail(session: Session) -> None:
        session["a"] = 1
        if saved:
            session.save()
        session["b"] = 2
        raise ValueError("broken")

    server = Server(simple(put))
    server.get()
    server.wrapped.app = simple(fail)
    with pytest.raises(ValueError, match="broken"):
        server.get()
    assert server.stored() == ({"x": 1, "a": 1} if saved else {"x": 1})


@pytest.mark.parametrize("chunks", [0, 1, 2])
def test_a_generator_that_raises_saves_nothing_more(chunks: int) -> None:
    """Before its first chunk or after it; it is closed once."""

    def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterator[bytes]:
        start_response("200 OK", list(PLAIN))
        for number in range(chunks):
            yield b"%d" % number
        session_of(environ)["y"] = 2
        raise ValueError("broken")

    server = Server(simple(put))
    server.get()
    body: list[Body] = []

    def closing(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        body.append(Body(app(environ, start_response)))
        return body[0]

    server.wrapped.app = closing
    with pytest.raises(ValueError, match="broken"):
        server.get()
    assert (server.stored(), body[0].closed) == ({"x": 1}, 1)


def test_an_error_status_that_was_returned_is_saved() -> None:
    """It is a response like any other."""

    def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        put(session_of(environ))
        start_response("500 Internal Server Error", list(PLAIN))
        return [b"sorry"]

    server = Server(app)
    assert server.get().status.startswith("500")
    assert server.stored() == {"x": 1}


# 6. The commit fails


@pytest.mark.parametrize("kind", ["list", "iterable", "generator", "write"])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_a_failed_commit_is_a_503(kind: str, method: str, caplog: pytest.LogCaptureFixture) -> None:
    """Plain, not stored, without cookie; the log has the exception."""
    body = Body([b"secret"])

    def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        put(session_of(environ))
        write = start_response("200 OK", [*PLAIN, ("X-Secret", "1")])
        if kind == "write":
            write(b"secret")
            write(b"secret")
        return body if kind == "iterable" else [b"secret"]

    def lazily(environ: WSGIEnvironment, start_response: StartResponse) -> Iterator[bytes]:
        put(session_of(environ))
        start_response("200 OK", [*PLAIN, ("X-Secret", "1")])
        yield b"secret"
        yield b"secret"

    server = Server(lazily if kind == "generator" else app)
    server.store.failing = {"save"}
    answer = server.get(REQUEST_METHOD=method)
    assert answer.status == "503 Service Unavailable"
    assert answer.headers == [
        ("Content-Type", "text/plain; charset=utf-8"),
        ("Content-Length", "20"),
        ("Cache-Control", "no-store"),
        ("Retry-After", "1"),
    ]
    assert b"".join(answer.chunks) == (b"" if method == "HEAD" else b"Service Unavailable\n")
    [entry] = caplog.messages
    assert entry.startswith("a session could not be saved: StoreUnavailable: ")
    assert "Traceback" not in caplog.text
    assert "StoreUnavailable" in caplog.text
    assert body.closed == (kind == "iterable")


@pytest.mark.parametrize(
    "change", [lambda s: s["x"].append(object()), lambda s: s.update(y="x" * 2000)]
)
def test_what_cannot_be_kept_is_raised_as_it_is(change: Callable[[Session], Any]) -> None:
    """It is no outage, and what was stored is intact."""
    server = Server(simple(lambda session: session.update(x=[1])), max_bytes=1000)
    server.get()
    server.wrapped.app = simple(change)
    with pytest.raises((UnsupportedValue, SessionTooLarge)):
        server.get()
    assert server.stored() == {"x": [1]}


@pytest.mark.parametrize(
    ("logout", "failing"),
    [
        (lambda s: s.invalidate(), "load"),
        (lambda s: s.invalidate(), "delete"),
        (lambda s: s.clear(), "load"),
        (lambda s: s.clear(), "save"),
        (lambda s: (s.get("x"), s.invalidate()), "delete"),
        (lambda s: (s.invalidate(), s.update(flash="bye")), "delete"),
        (lambda s: (s.invalidate(), s.update(flash="bye")), "save"),
    ],
)
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_failed_logout_expires_the_cookie_all_the_same(
    logout: Callable[[Session], Any], failing: str, scheme: str
) -> None:
    """503, and the browser forgets."""
    server = Server(simple(put))
    server.get()
    server.wrapped.app = simple(logout)
    server.store.failing = {failing}
    answer = server.get(**{"wsgi.url_scheme": scheme})
    assert answer.status.startswith("503")
    [line] = answer.all("Set-Cookie")
    assert "Max-Age=0" in line
    assert ("; Secure" in line) == (scheme == "https")


def test_a_late_change_that_cannot_be_saved_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    """The response is out."""
    server = Server(generator)
    answer = server.open()
    chunks = iter(answer.body)
    next(chunks)
    server.store.failing = {"load", "save"}
    list(chunks)
    answer.body.close()  # type: ignore[attr-defined]
    [entry] = caplog.messages
    assert entry.startswith(
        "what was changed after the headers could not be saved: StoreUnavailable: "
    )
    assert "Traceback" not in caplog.text


# 7. Headers


@pytest.mark.parametrize(
    ("theirs", "vary", "cache_control"),
    [
        ([], ["Cookie"], ["private"]),
        ([("Vary", "Accept")], ["Accept, Cookie"], ["private"]),
        ([("vary", "accept"), ("VARY", "Origin,")], ["accept, Origin, Cookie"], ["private"]),
        ([("Vary", "cookie")], ["cookie"], ["private"]),
        ([("Vary", "*")], ["*"], ["private"]),
        ([("Cache-Control", "max-age=60")], ["Cookie"], ["max-age=60"]),
        ([("cache-control", "public")], ["Cookie"], ["public"]),
    ],
)
def test_a_response_that_looked_varies_by_cookie(
    theirs: list[tuple[str, str]], vary: list[str], cache_control: list[str]
) -> None:
    """Merged with what the application says. Private only where a cookie came."""

    def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        session_of(environ).get("x")
        start_response("200 OK", theirs)
        return []

    server = Server(app)
    assert server.get().all("Vary") == vary
    assert "private" not in server.get().all("Cache-Control")
    server.jar = "sid=of whom?"
    answer = server.get()
    assert (answer.all("Vary"), answer.all("Cache-Control")) == (vary, cache_control)


@pytest.mark.parametrize("theirs", ["public, max-age=3600", "private", "no-cache"])
def test_a_response_with_our_cookie_is_not_stored(
    theirs: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Overriding public, with one warning."""

    def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        session_of(environ).regenerate()
        put(session_of(environ))
        start_response("200 OK", [("Cache-Control", theirs), ("Set-Cookie", "other=1")])
        return []

    server = Server(app)
    for _ in range(3):
        answer = server.open()
        assert answer.all("Cache-Control") == ["no-store"]
        assert answer.all("Set-Cookie")[0] == "other=1"
        assert len(answer.all("Set-Cookie")) == 2
    assert caplog.text.count("overrides Cache-Control: public") == ("public" in theirs)


def test_there_are_never_two_cookies_of_our_name(caplog: pytest.LogCaptureFixture) -> None:
    """One that the application sets gives way to ours, and stays where we send none."""

    def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        put(session_of(environ))
        start_response("200 OK", [("set-cookie", "sid=theirs; Path=/"), ("Set-Cookie", "sidx=1")])
        return []

    server = Server(app)
    answer = server.open()
    assert [line.partition("=")[0] for line in answer.all("Set-Cookie")] == ["sidx", "sid"]
    assert "sid=theirs" not in str(answer.headers)
    assert "overrides a Set-Cookie" in caplog.text
    server.jar = answer.all("Set-Cookie")[1].partition(";")[0]
    assert server.open().all("Set-Cookie") == ["sid=theirs; Path=/", "sidx=1"]


@pytest.mark.parametrize(
    ("scheme", "secure", "expected"),
    [("http", None, False), ("https", None, True), ("http", True, True), ("https", False, False)],
)
def test_secure_is_by_scheme_or_as_asked(scheme: str, secure: bool | None, expected: bool) -> None:
    """cookie_secure."""
    server = Server(simple(put), cookie_secure=secure)
    [line] = server.open(**{"wsgi.url_scheme": scheme}).all("Set-Cookie")
    assert ("; Secure" in line) is expected


@pytest.mark.parametrize(
    ("host", "scheme", "secure", "warned"),
    [
        ("shop.example", "http", None, 1),
        ("shop.example:80", "http", None, 1),
        ("127.0.0.1.example", "http", None, 1),
        ("localhost.example", "http", None, 1),
        ("localhost", "http", None, 0),
        ("localhost:8000", "http", None, 0),
        ("127.0.0.1:8000", "http", None, 0),
        ("[::1]:8000", "http", None, 0),
        ("shop.example", "https", None, 0),
        ("shop.example", "http", True, 0),
        ("shop.example", "http", False, 0),
    ],
)
def test_a_cookie_over_plain_http_is_warned_of_once(
    caplog: pytest.LogCaptureFixture, host: str, scheme: str, secure: bool | None, warned: int
) -> None:
    """Unless the host is this machine or the option says so."""
    server = Server(simple(put), cookie_secure=secure)
    for _ in range(3):
        server.open(HTTP_HOST=host, **{"wsgi.url_scheme": scheme})
    assert caplog.text.count("plain http: serve https and set cookie_secure=True") == warned


@pytest.mark.parametrize(("name", "warned"), [("shop.example", 1), ("127.0.0.1", 0)])
def test_a_request_without_a_host_went_to_the_server(
    caplog: pytest.LogCaptureFixture, name: str, warned: int
) -> None:
    """As HTTP/1.0 allows."""
    Server(simple(put)).open(HTTP_HOST="", SERVER_NAME=name)
    assert caplog.text.count("plain http") == warned


# Around it


def test_applied_twice_it_is_one_session() -> None:
    """The inner one uses the outer one's."""
    server = Server(simple(put))
    inner_store = RecordingStore()
    server.wrapped.app = SessionMiddleware(server.wrapped.app, inner_store, secret="y")
    answer = server.get()
    assert answer.cookie is not None
    assert inner_store.calls == []
    assert server.stored() == {"x": 1}


def test_two_under_different_keys_are_two_sessions() -> None:
    """Each with its cookie."""

    def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        environ["wsgi.session"].increment("n")
        environ["admin.session"].increment("n", 10)
        start_response("200 OK", list(PLAIN))
        return [b"%d %d" % (environ["wsgi.session"]["n"], environ["admin.session"]["n"])]

    admin = SessionMiddleware(
        app, MemoryStore(), secret="y", environ_key="admin.session", cookie_name="admin"
    )
    client = TestApp(SessionMiddleware(admin, MemoryStore(), secret="x"))
    client.get("/")
    assert client.get("/").text == "2 20"


def test_an_environ_that_is_used_again_gets_a_new_session() -> None:
    """As some test clients do."""
    server = Server(simple(lambda session: session.increment("n")))
    environ = server.environ()
    for _ in range(2):
        server.wrapped(environ, Answer().start_response)
    assert server.store.calls == ["save", "save"]


def test_without_a_store_the_environment_names_one(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    """Or it is an SQLite file in the working directory, made when it is needed."""
    monkeypatch.chdir(tmp_path)
    client = TestApp(SessionMiddleware(simple(put)))
    assert list(tmp_path.iterdir()) == []
    client.get("/")
    assert (tmp_path / "wsgi-sessions.db").exists()
    monkeypatch.setenv("WSGI_SESSIONS_STORE", "memory://")
    wrapped = SessionMiddleware(simple(put))
    assert isinstance(wrapped.manager.store, MemoryStore)


APPLICATIONS = [
    simple(put), simple(put, Body([b"a", b"b"])), simple(lambda s: None),
    simple(lambda s: s.clear()), generator,
]  # fmt: skip


@pytest.mark.parametrize("app", APPLICATIONS)
def test_both_sides_pass_the_validator_of_the_standard_library(app: WSGIApplication) -> None:
    """wsgiref.validate outside and inside."""
    wrapped = SessionMiddleware(validator(app), MemoryStore(), secret="x")
    client = TestApp(validator(wrapped), lint=False)
    for _ in range(3):
        client.get("/")


def test_a_cookie_reaches_the_next_request(clock: ManualClock) -> None:
    """The whole way, with a client that keeps cookies."""

    def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        session = session_of(environ)
        session.setdefault("seen", []).append(environ["PATH_INFO"])
        start_response("200 OK", list(PLAIN))
        return [",".join(session["seen"]).encode()]

    client = TestApp(SessionMiddleware(app, MemoryStore(clock=clock), secret="x", clock=clock))
    assert client.get("/a").text == "/a"
    assert client.get("/b").text == "/a,/b"
    clock.advance(23 * 3600)
    response = client.get("/c")
    assert response.text == "/a,/b,/c"
    assert "Set-Cookie" in response.headers
