"""The application's body, followed by what has to happen after it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from wsgi_sessions.manager.manager import SessionManager
from wsgi_sessions.session import Session

__all__ = ["Body", "close_body"]


class Body:
    """What the server gets for a *body* that runs code of the application after the headers.

    What that code changes is saved by *manager* when the body is exhausted and when it is closed,
    each only if something changed; nothing if it raises. *chunks* are what is still to be sent, by
    default all of *body*, after those that were taken *before*. Closes *body* once.
    """

    __slots__ = ("_before", "_body", "_chunks", "_closed", "_manager", "_session")

    def __init__(
        self,
        manager: SessionManager,
        session: Session,
        body: Iterable[bytes],
        chunks: Iterator[bytes] | None = None,
        before: Iterable[bytes] = (),
    ) -> None:
        self._manager = manager
        self._session = session
        self._body = body
        self._chunks = body if chunks is None else chunks
        self._before = before
        self._closed = False

    def __iter__(self) -> Iterator[bytes]:
        try:
            yield from self._before
            # `yield from` would hand GeneratorExit on, which closes a class-based body twice.
            for chunk in self._chunks:  # noqa: UP028
                yield chunk
        except GeneratorExit:  # the client has gone away: an ordinary end
            raise
        except BaseException:
            self._manager.abandon(self._session)
            raise
        self._manager.save_late(self._session)

    def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        close = getattr(self._body, "close", None)
        try:
            if close is not None:  # close_body(), without the call
                close()
        except BaseException:
            self._manager.abandon(self._session)
            raise
        self._manager.close(self._session)


def close_body(body: Iterable[bytes]) -> None:
    """Call the ``close()`` of *body*, if it has one (PEP 3333)."""
    close = getattr(body, "close", None)
    if close is not None:
        close()
