"""Recognizing a ``logout_user()`` that leaves no trace in the session.

How this works. Flask-Login, and each application's fork of it, logs out by removing its keys if
they are there. Where the store cannot be read, or where two living sessions make the request
nobody, they are not there, and nothing is removed. Such a logout is known by the name of the
function that looks; this is asked only in these two rare cases.
"""

from __future__ import annotations

from inspect import currentframe
from types import FrameType, TracebackType

__all__ = ["is_in_logout", "was_in_logout"]

_LOGOUT = "logout_user"
_NEAR = 6  # frames: between it and the session is werkzeug's proxy only


def is_in_logout() -> bool:
    """Whether a ``logout_user()`` is what looks at the session now."""
    frame: FrameType | None = currentframe()
    for _ in range(_NEAR):
        if frame is None:
            return False
        if frame.f_code.co_name == _LOGOUT:
            return True
        frame = frame.f_back
    return False


def was_in_logout(error: BaseException) -> bool:
    """Whether *error* was raised in a ``logout_user()``."""
    trace: TracebackType | None = error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_name == _LOGOUT:
            return True
        trace = trace.tb_next
    return False
