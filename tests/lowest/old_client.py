"""A plugin that gives Werkzeug's test client, before 2.3, the methods that the tests use."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from werkzeug.test import Client


def pytest_configure() -> None:
    if not hasattr(Client, "get_cookie"):
        old_set = Client.set_cookie

        def set_cookie(self: Client, key: str, value: str = "", **options: Any) -> None:
            old_set(self, options.pop("domain", "localhost"), key, value, **options)

        def delete_cookie(self: Client, key: str, **options: Any) -> None:
            old_set(self, options.pop("domain", "localhost"), key, expires=0, max_age=0, **options)

        Client.get_cookie = _get_cookie
        Client.set_cookie = set_cookie
        Client.delete_cookie = delete_cookie


def _get_cookie(self: Any, key: str, domain: str = "localhost", path: str = "/") -> Any:
    for cookie in self.cookie_jar:
        if (cookie.name, cookie.path) == (key, path) and domain in cookie.domain:
            return SimpleNamespace(
                key=key,
                value=cookie.value,
                path=cookie.path,
                secure=cookie.secure,
                http_only=cookie.has_nonstandard_attr("HttpOnly"),
                same_site=cookie.get_nonstandard_attr("SameSite"),
            )
    return None
