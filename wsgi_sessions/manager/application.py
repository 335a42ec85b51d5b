"""The application that a constructor was given."""

from __future__ import annotations

from collections.abc import Callable
from inspect import isasyncgenfunction, iscoroutinefunction, signature

from wsgi_sessions.manager.store import is_store

__all__ = ["check_application"]


def check_application(app: object) -> None:
    """Raise :exc:`TypeError` for what is no WSGI application, with what to write instead."""
    kind = f"the class {app.__name__}" if isinstance(app, type) else f"a {type(app).__name__}"
    if is_store(app) or isinstance(app, str):
        raise TypeError(
            f"the first argument is the application, not {kind}: SessionMiddleware(app, store=…)"
        )
    if not callable(app):
        raise TypeError(
            f"the application is {kind}, which cannot be called: SessionMiddleware(app, store=…) "
            f"takes a WSGI application"
        )
    if isinstance(app, type) and any("__call__" in vars(base) for base in app.__mro__):
        raise TypeError(f"the application is the class {app.__name__}: write {app.__name__}(…)")
    if _is_asynchronous(app):
        raise TypeError(
            f"the application, {kind}, is asynchronous, and this is WSGI; for ASGI see the "
            f"documentation"
        )
    try:
        signature(app, follow_wrapped=False).bind({}, print)
    except TypeError:
        raise TypeError(
            f"the application, {kind}, does not take (environ, start_response), as a WSGI "
            f"application does; a factory has to be called: SessionMiddleware(create_app(), …)"
        ) from None
    except ValueError:  # written in C, and does not say
        pass


def _is_asynchronous(app: Callable[..., object]) -> bool:
    called: object = app
    if not isinstance(app, type):
        called = app.__call__  # type: ignore[operator]  # every callable has it
    if any(is_(one) for one in (app, called) for is_ in (iscoroutinefunction, isasyncgenfunction)):
        return True
    try:
        names = list(signature(app, follow_wrapped=False).parameters)
    except ValueError:
        return False
    return names[:1] == ["scope"] or names[:3] == ["scope", "receive", "send"]
