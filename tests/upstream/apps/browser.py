"""A visitor of a real application, by plain HTTP."""

from __future__ import annotations

import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from html import unescape
from threading import Barrier
from typing import Any

import requests


class Browser:
    """Keeps cookies as a browser does; a redirect is followed unless *follow* is false."""

    def __init__(self, url: str, agent: str = "Mozilla/5.0 (X11; Linux) one") -> None:
        self.url, self.agent = url, agent
        self._http = requests.Session()
        self._http.headers["User-Agent"] = agent
        self._http.trust_env = False  # no proxy of the machine's

    def get(
        self, path: str, *, follow: bool = True, headers: dict[str, str] | None = None
    ) -> requests.Response:
        return self._http.get(self.url + path, headers=headers, allow_redirects=follow, timeout=120)

    def post(self, path: str, form: dict[str, str], *, follow: bool = True) -> requests.Response:
        return self._http.post(self.url + path, data=form, allow_redirects=follow, timeout=120)

    def post_json(self, path: str, value: Any, headers: dict[str, str]) -> requests.Response:
        return self._http.post(self.url + path, json=value, headers=headers, timeout=120)

    def twin(self) -> Browser:
        """Another browser with the cookies that this one has now: a thief, or a tab."""
        twin = Browser(self.url, self.agent)
        twin._http.cookies.update(self._http.cookies)
        return twin

    def in_tabs(self, visits: list[Callable[[Browser], object]]) -> None:
        """Make all *visits* at once, each with the cookies of now, and keep the cookies that the
        answers bring, in the order of the list."""
        together = Barrier(len(visits))
        tabs = [self.twin() for _ in visits]

        def visit(tab: Browser, what: Callable[[Browser], object]) -> None:
            together.wait(60)
            what(tab)

        with ThreadPoolExecutor(len(visits)) as pool:
            list(pool.map(visit, tabs, visits))
        for tab in tabs:
            self._http.cookies.update(tab._http.cookies)


def token_in(page: str, name: str = "csrf_token") -> str:
    """The value of the hidden field *name* in *page*."""
    field = re.search(rf'<input[^>]*name="{name}"[^>]*>', page)
    assert field, f"no field {name!r} in {page[:500]}"
    value = re.search(r'value="([^"]*)"', field[0])
    assert value, field[0]
    return unescape(value[1])
