"""What comes back with the page's form, and what proves that it is the page's own form."""

from __future__ import annotations

from enum import Enum
from hmac import compare_digest
from hmac import digest as hmac_digest

from werkzeug.exceptions import RequestEntityTooLarge
from werkzeug.wrappers import Request

from wsgi_sessions.session import Session

__all__ = ["OTHERS", "FormRequest", "Purpose", "fields_of", "is_token", "token_of"]

OTHERS = "others"
"""What the form's ``end`` says instead of an id; an id is longer."""


class Purpose(Enum):
    """What a token is for: one of another purpose is none."""

    FORM = "form"
    ENDED = "ended"
    ENDED_OTHERS = "ended others"


def token_of(session: Session, purpose: Purpose) -> str:
    """64 characters that only this session's own pages know, until its next login. Nothing is
    stored, and nothing of the session's secret can be found from it (OWASP ASVS 5.0, 3.5.1)."""
    message = f"wsgi_sessions.devices {purpose.value}"
    return hmac_digest(session.sid.encode(), message.encode(), "sha256").hex()


def is_token(given: str, session: Session, purpose: Purpose) -> bool:
    """Whether *given* is :func:`token_of` these. Takes as long for any."""
    return compare_digest(given.encode(), token_of(session, purpose).encode())


class FormRequest(Request):
    """A request whose body is that form."""

    max_content_length: int | None = 4096
    """An id of 22 characters and a token of 64 are in it."""


def fields_of(request: Request) -> tuple[str, str]:
    """The token and what is to be ended; empty texts for what is missing, or too large to read."""
    try:
        return request.form.get("token", ""), request.form.get("end", "")
    except RequestEntityTooLarge:
        return "", ""
