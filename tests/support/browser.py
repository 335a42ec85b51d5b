"""A browser, as far as cookies go: the rules of RFC 6265bis, with the time as an argument."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from io import BytesIO
from math import inf
from typing import Any
from urllib.parse import urlsplit

MOST = 400 * 86_400.0
"""Browsers keep no cookie for longer (section 5.6.1)."""


@dataclass
class Cookie:
    """One that is kept."""

    name: str
    value: str
    domain: str
    path: str
    host_only: bool
    secure: bool
    expires_at: float
    persistent: bool
    created_at: float

    @property
    def identity(self) -> tuple[str, str, bool, str]:
        """Cookies are the same if these are (section 5.7)."""
        return self.name, self.domain, self.host_only, self.path

    def goes_to(self, host: str, path: str, secure: bool) -> bool:
        here = host == self.domain if self.host_only else domain_matches(host, self.domain)
        return here and path_matches(path, self.path) and (secure or not self.secure)


class Jar:
    """The cookies of a browser."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._cookies: list[Cookie] = []

    def take(self, url: str, header: str) -> bool:
        """Keep what a ``Set-Cookie`` says; ``False`` if the browser ignores it (section 5.7)."""
        scheme, host, path = _parts(url)
        cookie, attributes = self._parse(header, host, path)
        if not (
            domain_matches(host, cookie.domain)
            and (scheme == "https" or not cookie.secure)
            and _keeps_its_prefix(cookie, attributes)
            and len(cookie.name) + len(cookie.value) <= 4096
            and not self._overlays_secure(cookie, scheme)
        ):
            return False
        for old in self._cookies:
            if old.identity == cookie.identity:
                cookie.created_at = old.created_at
        self._cookies = [old for old in self._cookies if old.identity != cookie.identity]
        self._cookies.append(cookie)
        return True

    def header_for(self, url: str) -> str:
        """The ``Cookie`` header of a request, ``""`` for none (section 5.8.3)."""
        scheme, host, path = _parts(url)
        going = [one for one in self._live() if one.goes_to(host, path, scheme == "https")]
        going.sort(key=lambda one: (-len(one.path), one.created_at))
        return "; ".join(f"{one.name}={one.value}" for one in going)

    def __iter__(self) -> Any:
        return iter(self._live())

    def restart(self) -> None:
        """Close the browser and open it again: only persistent cookies are left."""
        self._cookies = [one for one in self._cookies if one.persistent]

    def copy(self) -> Jar:
        """The same cookies in another jar, as a thief would have them."""
        other = Jar(self._clock)
        other._cookies = list(self._cookies)
        return other

    def _live(self) -> list[Cookie]:
        now = self._clock()
        return [one for one in self._cookies if one.expires_at > now]

    def _parse(self, header: str, host: str, path: str) -> tuple[Cookie, dict[str, str]]:
        pair, *rest = header.split(";")
        name, _, value = (part.strip(" \t") for part in pair.partition("="))
        attributes = {}
        for one in rest:
            key, _, setting = (part.strip(" \t") for part in one.partition("="))
            attributes[key.lower()] = setting  # the last one counts
        domain = attributes.get("domain", "").removeprefix(".").lower()
        own_path = attributes.get("path", "")
        cookie = Cookie(
            name=name,
            value=value,
            domain=domain or host,
            host_only=not domain,
            path=own_path if own_path.startswith("/") else default_path(path),
            secure="secure" in attributes,
            expires_at=self._end(attributes),
            persistent=bool({"expires", "max-age"} & attributes.keys()),
            created_at=self._clock(),
        )
        return cookie, attributes

    def _end(self, attributes: dict[str, str]) -> float:
        """``Max-Age`` counts before ``Expires``; with neither, when the browser is closed."""
        now = self._clock()
        if "max-age" in attributes:
            seconds = int(attributes["max-age"])
            return now + min(seconds, MOST) if seconds > 0 else -inf
        if "expires" in attributes:
            return min(parsedate_to_datetime(attributes["expires"]).timestamp(), now + MOST)
        return inf

    def _overlays_secure(self, cookie: Cookie, scheme: str) -> bool:
        """A page without encryption leaves secure cookies alone."""
        return scheme != "https" and any(
            old.secure
            and old.name == cookie.name
            and (
                domain_matches(old.domain, cookie.domain)
                or domain_matches(cookie.domain, old.domain)
            )
            and path_matches(cookie.path, old.path)
            for old in self._live()
        )


class Browser:
    """Visits a WSGI application and keeps its cookies."""

    def __init__(
        self, app: Any, clock: Callable[[], float], at: str = "https://shop.example"
    ) -> None:
        self.app = app
        self.at = at
        self.jar = Jar(clock)

    def get(self, path: str = "/", *, at: str | None = None) -> Page:
        """Visit *path*, of another snapshot if *at* names one; refused cookies are an error."""
        page = self.request(path, at=at)
        self.receive(page)
        return page

    def request(self, path: str = "/", *, at: str | None = None) -> Page:
        """Send a request and leave the response on its way: :meth:`receive` takes it."""
        url = (at or self.at) + path
        page = Page(url)
        body = self.app(self._environ(url), page.start)
        page.body = b"".join(body)
        if hasattr(body, "close"):
            body.close()
        return page

    def receive(self, page: Page) -> None:
        for header in page.cookies:
            assert self.jar.take(page.url, header), f"the browser refuses {header.split('=')[0]}"

    def _environ(self, url: str) -> dict[str, Any]:
        scheme, host, path = _parts(url)
        environ = {
            "REQUEST_METHOD": "GET",
            "SCRIPT_NAME": "",
            "PATH_INFO": path,
            "SERVER_NAME": host,
            "SERVER_PORT": "443" if scheme == "https" else "80",
            "SERVER_PROTOCOL": "HTTP/1.1",
            "HTTP_HOST": host,
            "wsgi.url_scheme": scheme,
            "wsgi.input": BytesIO(),
            "wsgi.errors": BytesIO(),
        }
        if cookies := self.jar.header_for(url):
            environ["HTTP_COOKIE"] = cookies
        return environ


class Page:
    """A response."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.status = 0
        self.headers: list[tuple[str, str]] = []
        self.body = b""

    def start(self, status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
        self.status, self.headers = int(status[:3]), headers
        return None

    @property
    def text(self) -> str:
        return self.body.decode()

    @property
    def cookies(self) -> list[str]:
        """The ``Set-Cookie`` headers."""
        return [value for name, value in self.headers if name.lower() == "set-cookie"]


def domain_matches(host: str, domain: str) -> bool:
    """Section 5.1.3."""
    return host == domain or host.endswith("." + domain)


def path_matches(path: str, of_cookie: str) -> bool:
    """Section 5.1.4."""
    return path == of_cookie or path.startswith(of_cookie.rstrip("/") + "/")


def default_path(path: str) -> str:
    """Of a cookie that names none (section 5.1.4)."""
    return path.rpartition("/")[0] or "/"


def _keeps_its_prefix(cookie: Cookie, attributes: dict[str, str]) -> bool:
    """Section 5.7, steps 19 and 20; a prefix is one in any case."""
    name = cookie.name.lower()
    if name.startswith("__host-"):
        return cookie.secure and cookie.host_only and attributes.get("path") == "/"
    return cookie.secure or not name.startswith("__secure-")


def _parts(url: str) -> tuple[str, str, str]:
    split = urlsplit(url)
    return split.scheme, split.hostname or "", split.path or "/"
