"""What gunicorn serves meanwhile. ``/plain`` does not touch the session; the others answer with
what was in it before, as JSON, or with 401 if that was nothing."""

from __future__ import annotations

import json
import os
import time
import warnings
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs
from wsgiref.types import StartResponse, WSGIEnvironment

from wsgi_sessions import (
    ConfigurationError,
    Session,
    SessionMiddleware,
    StoreError,
    open_store,
)

SHOWN = ("canary", "left", "right", "size", "count")
CHILD_SECONDS = 20.0
"""After which a child that has not ended hangs."""

FINE, ANOTHERS, UNAVAILABLE, BROKEN = range(4)
"""What a child has to say, by its exit status."""


def owner_of(word: str) -> str:
    return f"user of {word}"


def login(session: Session, word: str) -> None:
    session.login(owner_of(word))
    session.update(canary=word, left=0, right=0, text="", count=0)


def write(session: Session, word: str) -> None:
    """Three values that belong together, and a counter."""
    session["left"] = session["right"] = int(word)
    session["text"] = "." * (int(word) * 37 % 1000)
    session.increment("count")


def fork(session: Session, word: str) -> None:
    """A child uses the store, while other threads of its parent do, and ends."""
    child = os.fork()
    if not child:
        os._exit(used_by_a_child(session.id, session["canary"]))
    verdict = status_of(child)
    if verdict == UNAVAILABLE:
        raise StoreError("the child could not use the store")
    if verdict != FINE:
        raise RuntimeError(f"the child ended with {verdict}")


def used_by_a_child(id: str, canary: str) -> int:
    try:
        with app.manager.open_id(id) as session:
            if session is None or session["canary"] != canary:
                return ANOTHERS
            session["forked"] = session.get("forked", 0) + 1
    except StoreError:
        return UNAVAILABLE
    except BaseException:
        return BROKEN
    return FINE


def status_of(child: int) -> int:
    end = time.monotonic() + CHILD_SECONDS
    while time.monotonic() < end:
        pid, status = os.waitpid(child, os.WNOHANG)
        if pid:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.002)
    os.kill(child, 9)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


PAGES: dict[str, Callable[[Session, str], object]] = {
    "/read": lambda session, word: None,
    "/write": write,
    "/regenerate": lambda session, word: session.regenerate(),
    "/fork": fork,
}


def shown(session: Session) -> dict[str, Any]:
    return {name: session[name] for name in SHOWN if name != "size"} | {
        "size": len(session["text"])
    }


def sessions_of(owner: str) -> dict[str, Any] | None:
    """The ids of its live sessions; nothing where the store lists none."""
    try:
        return {"ids": [info.id for info in app.manager.sessions_of(owner)]}
    except ConfigurationError:
        return None


def respond(environ: WSGIEnvironment) -> tuple[str, dict[str, Any] | None]:
    path, session = environ["PATH_INFO"], environ["wsgi.session"]
    word = parse_qs(environ["QUERY_STRING"]).get("word", [""])[0]
    if path == "/plain":
        return "200 OK", None
    if path == "/sessions":
        return "200 OK", sessions_of(owner_of(word))
    if path == "/login":
        login(session, word)
        return "200 OK", None
    if path == "/logout":
        session.invalidate()
        return "200 OK", None
    if "canary" not in session:
        session["stranger"] = True  # must not take the place of a session that is there
        return "401 Unauthorized", None
    before = shown(session)
    PAGES[path](session, word)
    return "200 OK", before


def page(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    try:
        status, told = respond(environ)
    except StoreError:
        status, told = "503 Service Unavailable", None
    body = json.dumps(told).encode()
    headers = [("Content-Type", "application/json"), ("Content-Length", str(len(body)))]
    start_response(status, headers)
    return [body]


def jumping_clock(file: int, direction: int) -> Callable[[], float]:
    """The time, and as many seconds later or earlier as *file* says."""
    true_time = time.time
    return lambda: true_time() + direction * float(os.pread(file, 64, 0))


warnings.filterwarnings("ignore", ".*multi-threaded, use of fork", DeprecationWarning)
directory = Path(os.environ["SOAK_DIRECTORY"])
clock = os.open(directory / "clock", os.O_RDONLY)
time.time = jumping_clock(clock, 1 if os.getpid() % 2 else -1)  # what every clock of ours asks
(directory / "workers" / str(os.getpid())).touch()

app = SessionMiddleware(
    page,
    open_store(os.environ["SOAK_STORE"]),
    secret=os.environ.get("SOAK_SECRET"),
    on_store_error=os.environ["SOAK_ON_STORE_ERROR"],
)
