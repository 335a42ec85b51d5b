"""What pages are made of, and where they are found by their names."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any
from wsgiref.types import WSGIApplication, WSGIEnvironment

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
