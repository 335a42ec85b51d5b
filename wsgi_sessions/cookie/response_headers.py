"""What a session adds to the headers of a response, so that no cache mixes up two visitors.

A response for which the session was looked at varies by cookie and belongs to one visitor
(RFC 9111 sections 4.1 and 5.2.2.7); one that sets the session's cookie is kept by nobody
(section 7.3; CVE-2023-30861).
"""

from __future__ import annotations

from collections.abc import Callable

__all__ = ["Headers", "has_content_length", "personal", "setting_cookie"]

Headers = list[tuple[str, str]]

_VARY = ("Vary", "Cookie")
_NO_STORE = ("Cache-Control", "no-store")
_PRIVATE = ("Cache-Control", "private")


def has_content_length(headers: Headers) -> bool:
    """Whether the body is made already."""
    return any(len(name) == 14 and name.lower() == "content-length" for name, _ in headers)


def personal(headers: Headers, private: bool) -> Headers:
    """A copy of *headers* that varies by cookie and, if it is *private* to a visitor, says so
    unless it says something else."""
    varied = cached = False
    for name, _ in headers:
        length = len(name)  # most names need no more than that
        if length == 4 and name.lower() == "vary":
            varied = True
        elif length == 13 and name.lower() == "cache-control":
            cached = True
    merged = _with_cookie(headers) if varied else [*headers, _VARY]
    if private and not cached:
        merged.append(_PRIVATE)
    return merged


def _with_cookie(headers: Headers) -> Headers:
    """*headers* with one ``Vary``, in which there is the cookie."""
    others = [(name, value) for name, value in headers if name.lower() != "vary"]
    vary = [value for name, value in headers if name.lower() == "vary"]
    fields = [field.strip() for value in vary for field in value.split(",") if field.strip()]
    if "*" in fields:
        fields = ["*"]
    elif "cookie" not in (field.lower() for field in fields):
        fields.append("Cookie")
    return [*others, ("Vary", ", ".join(fields))]


def setting_cookie(
    headers: Headers, ours: Headers, cookie_name: str, overridden: Callable[[str], None]
) -> Headers:
    """*headers* with *ours*, which hold a ``Set-Cookie`` of *cookie_name*, and ``no-store``.

    *overridden* is called with what of the application was taken out for it.
    """
    merged, stored = [], True
    for header in headers:
        name, value = header
        length = len(name)
        if length == 13 and name.lower() == "cache-control":
            if "no-store" in value.lower():
                merged.append(header)
                stored = False
            elif "public" in value.lower():
                overridden("Cache-Control: public")
        elif length == 10 and name.lower() == "set-cookie" and _cookie(value) == cookie_name:
            overridden("a Set-Cookie of the session's name")
        else:
            merged.append(header)
    if stored:
        merged.append(_NO_STORE)
    return [*merged, *ours]


def _cookie(value: str) -> str:
    """The name in the value of a ``Set-Cookie``."""
    return value.partition("=")[0].strip(" \t")
