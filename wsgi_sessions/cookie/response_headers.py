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
    for name, _ in headers:  # noqa: SIM110 - the generator of any() takes 3,000 instructions
        if len(name) == 14 and name.lower() == "content-length":
            return True
    return False


def personal(headers: Headers, private: bool) -> Headers:
    """A copy of *headers* that varies by cookie and, if it is *private* to a visitor, says so
    unless it says something else."""
    varied = cached = False
    for header in headers:
        if len(header[0]) in {4, 13}:  # most names need no more than that
            name = header[0].lower()
            varied = varied or name == "vary"
            cached = cached or name == "cache-control"
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
    stored, replaced = True, []
    for header in headers:
        if len(header[0]) in {10, 13}:  # most names need no more than that
            name, value = header[0].lower(), header[1]
            if name == "cache-control" and "no-store" in value.lower():
                stored = False
            elif name == "cache-control":
                replaced.append(header)
                if "public" in value.lower():
                    overridden("Cache-Control: public")
            elif name == "set-cookie" and _cookie(value) == cookie_name:
                replaced.append(header)
                overridden("a Set-Cookie of the session's name")
    if replaced:
        headers = [header for header in headers if header not in replaced]
    return [*headers, _NO_STORE, *ours] if stored else [*headers, *ours]


def _cookie(value: str) -> str:
    """The name in the value of a ``Set-Cookie``."""
    return value.partition("=")[0].strip(" \t")
