"""Writing the ``Set-Cookie`` of the session."""

from __future__ import annotations

import re
from email.utils import formatdate

from wsgi_sessions.errors import ConfigurationError

__all__ = ["SetCookie"]

_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+", re.ASCII)  # RFC 9110 section 5.6.2
_DOMAIN = re.compile(r"\.?[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*", re.ASCII)
_ATTRIBUTE = re.compile(r"[\x21-\x3a\x3c-\x7e]+", re.ASCII)  # RFC 6265bis: no CTL, no ";"
_SAME_SITE = {"strict": "Strict", "lax": "Lax", "none": "None"}


class SetCookie:
    """Writes the ``Set-Cookie`` value of one cookie; its constant parts are built once."""

    __slots__ = ("_start", "_suffix", "name")

    def __init__(
        self,
        name: str,
        *,
        path: str,
        domain: str | None,
        secure: bool | None,
        httponly: bool,
        samesite: str | None,
        partitioned: bool,
    ) -> None:
        _check_name(name, path=path, domain=domain, secure=secure)
        _check_attributes(path=path, domain=domain)
        site = _same_site(samesite)
        for needs_secure, option in (
            (site == "None", "samesite='None'"),
            (partitioned, "partitioned"),
        ):
            if needs_secure and secure is not True:
                raise ConfigurationError(
                    f"cookie_{option} needs cookie_secure=True: browsers drop the cookie without it"
                )
        self.name: str = name
        self._start = f"{name}="
        self._suffix = tuple(
            "".join(
                (
                    f"; Domain={domain.lstrip('.')}" if domain else "",
                    f"; Path={path}",
                    "; Secure" if is_secure else "",
                    "; HttpOnly" if httponly else "",
                    f"; SameSite={site}" if site else "",
                    "; Partitioned" if partitioned else "",
                )
            )
            for is_secure in (False, True)
        )

    def issue(self, value: str, *, secure: bool, max_age: int | None, now: float) -> str:
        """Set the cookie: until the browser closes, or for *max_age* seconds from *now*."""
        if max_age is None:
            return self._start + value + self._suffix[secure]
        expires = formatdate(now + max_age, usegmt=True)
        return f"{self._start}{value}; Expires={expires}; Max-Age={max_age}{self._suffix[secure]}"

    def expire(self, *, secure: bool) -> str:
        """Remove the cookie. Path, domain and flags are those it was set with: a browser tells
        cookies apart by them."""
        epoch = "Thu, 01 Jan 1970 00:00:00 GMT"
        return f"{self._start}; Expires={epoch}; Max-Age=0{self._suffix[secure]}"


def _check_name(name: str, *, path: str, domain: str | None, secure: bool | None) -> None:
    if not _TOKEN.fullmatch(name):
        raise ConfigurationError(f"cookie_name {name!r} is not a token of RFC 9110")
    prefix = name.lower()  # browsers match the prefixes without case (RFC 6265bis section 5.6)
    if prefix.startswith("__host-") and not (secure is True and domain is None and path == "/"):
        raise ConfigurationError(
            f"cookie_name {name!r} needs cookie_secure=True, cookie_path='/' and no cookie_domain"
        )
    if prefix.startswith("__secure-") and secure is not True:
        raise ConfigurationError(f"cookie_name {name!r} needs cookie_secure=True")


def _check_attributes(*, path: str, domain: str | None) -> None:
    if not path.startswith("/") or not _ATTRIBUTE.fullmatch(path):
        raise ConfigurationError(
            f"cookie_path {path!r} must start with '/' and be plain ASCII without ';'"
        )
    if domain is not None and not _DOMAIN.fullmatch(domain):
        raise ConfigurationError(
            f"cookie_domain {domain!r} is not a domain name, without scheme and port; "
            f"None for this host only"
        )


def _same_site(samesite: str | None) -> str | None:
    if samesite is None:
        return None
    try:
        return _SAME_SITE[samesite.lower()]
    except (KeyError, AttributeError):
        raise ConfigurationError(
            f"cookie_samesite is {samesite!r}: 'Lax', 'Strict', 'None', or None to leave it out"
        ) from None
