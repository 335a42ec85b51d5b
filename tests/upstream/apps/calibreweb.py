"""Calibre-Web, a library of books. It has a fork of Flask-Login in its package, a session interface
of its own, and Flask-Principal."""

from __future__ import annotations

from pathlib import Path
from secrets import token_hex

from tests.upstream.apps.application import LAST, Application, Place
from tests.upstream.apps.browser import Browser, token_in

PASSWORD = "admin123"
"""Of the user that the program makes."""


class CalibreWeb(Application):
    name = "calibreweb"
    requirements = ("calibreweb==0.6.27", "redis>=6")

    differs = {"overlapping_tabs_lose_nothing": LAST}

    def environment(self, directory: Path) -> dict[str, str]:
        return {"CALIBRE_WEB_SETTINGS": str(directory)}

    def install(self, place: Place) -> None:
        place.run("python", "-m", "tests.upstream.apps.wsgi.calibreweb_library")

    def begin(self, browser: Browser) -> None:
        browser.get("/login")

    def log_in(self, browser: Browser, password: str = PASSWORD) -> None:
        token = token_in(browser.get("/login").text)
        form = {"username": "admin", "password": password, "csrf_token": token}
        browser.post("/login", form)

    def is_logged_in(self, browser: Browser) -> bool:
        return browser.get("/me", follow=False).status_code == 200

    def log_out(self, browser: Browser) -> None:
        browser.get("/logout")

    def leave_message(self, browser: Browser) -> None:
        browser.get("/shelf/999999", follow=False)

    def messages(self, browser: Browser) -> int:
        return browser.get("/").text.count("Error opening shelf.")

    def change(self, browser: Browser, *, with_token: bool) -> bool:
        token = token_in(browser.get("/shelf/create").text)
        title = token_hex(4)
        browser.post(
            "/shelf/create", {"title": title} | ({"csrf_token": token} if with_token else {})
        )
        return title in browser.get("/").text
