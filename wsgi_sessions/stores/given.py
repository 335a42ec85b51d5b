"""What a store's constructor was given: the mistakes that are the same for all stores."""

from __future__ import annotations

import os
from inspect import iscoroutinefunction
from types import ModuleType

from wsgi_sessions.errors import ConfigurationError

__all__ = ["check_client", "path_of"]


def check_client(client: object, method: str) -> None:
    """Raise :exc:`~wsgi_sessions.ConfigurationError` for a class or a module instead of a client,
    and for a client for asyncio, by whether its *method* is a coroutine."""
    if isinstance(client, (type, ModuleType)):
        raise ConfigurationError(
            f"{client.__name__} is a {'class' if isinstance(client, type) else 'module'}: hand in "
            f"a client that was made of it, or a URL"
        )
    if iscoroutinefunction(getattr(client, method, None)):
        kind = type(client)
        raise ConfigurationError(
            f"{kind.__module__}.{kind.__name__} is for asyncio: hand in the one without"
        )


def path_of(store: str, given: str | os.PathLike[str]) -> str:
    """The path that *store* was given. Raises :exc:`TypeError` for what is no path, and
    :exc:`~wsgi_sessions.ConfigurationError` for a URL or an empty one."""
    if not isinstance(given, (str, os.PathLike)):
        kind = type(given).__name__
        raise TypeError(f"{store} takes a path, a str or pathlib.Path, not {given!r} ({kind})")
    path = os.fsdecode(given)
    if "://" in path:
        raise ConfigurationError(f"{store} takes a path, not a URL: wsgi_sessions.open_store does")
    if not path:
        raise ConfigurationError(f"{store} needs a path, not ''; in memory use MemoryStore")
    return path
