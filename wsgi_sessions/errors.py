"""The exceptions. The type says whose fault it is::

    SessionError
    ├── StoreError               the store did not do what was asked
    │   ├── StoreUnavailable       it is down, slow, full, read-only, or refuses us
    │   └── ConflictError          other requests kept changing this session
    ├── UnsupportedValue         the application's value cannot be kept with its type (a TypeError)
    ├── SessionTooLarge          the application put too much into one session (a ValueError)
    ├── SessionClosed            the application changed a session too late (a RuntimeError)
    └── ConfigurationError       the options contradict each other (a ValueError)

``BadRecord`` never leaves the library: a record that cannot be read is an anonymous session.
"""

from __future__ import annotations


class SessionError(Exception):
    """Base of everything this library raises on purpose."""


class StoreError(SessionError):
    """The store did not do what was asked. What it held before is intact."""


class StoreUnavailable(StoreError):
    """The store cannot be reached, does not answer in time, is full, or refuses the operation.

    *applied* and *busy* are what a store knows about it; both may be left out.
    """

    def __init__(self, *args: object, applied: bool | None = None, busy: bool = False) -> None:
        super().__init__(*args)
        self.applied: bool | None = applied
        """``False`` if what was asked for was certainly not done: refused, or not sent. ``None``
        where that is not known, as after an answer that did not come."""
        self.busy: bool = busy
        """Whether the store is there and could not do this one thing now: a lock that somebody
        holds, no space, read-only, a replica that does not confirm, all connections in use. It is
        no sign of a dead store, so the breaker does not count it."""


class ConflictError(StoreError):
    """The session was changed by other requests in each of the attempts to save it."""


class UnsupportedValue(SessionError, TypeError):
    """A value that would not come back with the same type and content.

    :attr:`path` says where it is, for example ``cart[3].when``.
    """

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(f"{path}: {reason}")
        self.path = path
        self.reason = reason

    def __reduce__(self) -> tuple[type[UnsupportedValue], tuple[str, str]]:
        return type(self), (self.path, self.reason)


class SessionTooLarge(SessionError, ValueError):
    """The record would be larger than ``max_bytes``. Nothing was sent; what is stored is intact."""

    def __init__(self, size: int, limit: int) -> None:
        super().__init__(
            f"the session's record has {size} bytes, the limit is {limit}: "
            f"keep less in the session, or raise max_bytes if the store can hold it"
        )
        self.size = size
        self.limit = limit

    def __reduce__(self) -> tuple[type[SessionTooLarge], tuple[int, int]]:
        return type(self), (self.size, self.limit)


class SessionClosed(SessionError, RuntimeError):
    """The session was changed after the response headers, in a way that needs a cookie, or after
    the request was over."""


class ConfigurationError(SessionError, ValueError):
    """Options that cannot work, alone or together. The message names the option and the remedy."""


class BadRecord(SessionError):
    """Bytes in the store that are not a record of ours, or are one that was damaged."""


def cannot_import(error: ImportError, needs: str, install: str) -> ConfigurationError:
    """The exception for an optional library that cannot be imported: it is missing, or refuses the
    sub-interpreter that mod_wsgi gives to each site, as modules written in Rust do. *needs* says
    who needs what, *install* is what pip is to install."""
    if "interpreter" in str(error):
        return ConfigurationError(
            f"{needs}, which refuses to be imported in a sub-interpreter ({error}): let this "
            f"application run in the main one (mod_wsgi: WSGIApplicationGroup %{{GLOBAL}})"
        )
    why = "" if isinstance(error, ModuleNotFoundError) else f", which cannot be imported ({error})"
    return ConfigurationError(f'{needs}{why}: pip install "{install}"')
