"""MoinMoin 2, a wiki. It logs in by an assignment, over the session of the anonymous visitor."""

from __future__ import annotations

from pathlib import Path

from tests.upstream.apps.application import COOKIE, LAST, PASSWORD, USER, Application, Place
from tests.upstream.apps.browser import Browser


class Moin(Application):
    name = "moin"
    requirements = ("moin==2.0.0b5", "redis>=6")
    greets_guests = True
    differs = {
        "a_cookie_from_before_the_logout_is_nobody": COOKIE,
        "overlapping_tabs_lose_nothing": LAST,
    }
    cannot_apply = {"a_form_needs_the_token_of_its_session": "MoinMoin's forms have no CSRF token"}

    def environment(self, directory: Path) -> dict[str, str]:
        return {"MOIN_CONFIGURATION": str(directory / "wikiconfig.py")}

    def install(self, place: Place) -> None:
        place.run("moin", "create-instance", "--path", ".")
        place.run("moin", "index-create")
        user = ("--name", "ann", "--email", USER, "--password", PASSWORD)
        place.run("moin", "account-create", *user)

    def begin(self, browser: Browser) -> None:
        self.leave_message(browser)

    def log_in(self, browser: Browser, password: str = PASSWORD) -> None:
        form = {"login_username": "ann", "login_password": password}
        browser.post("/+login", form | {"login_nexturl": "/+search", "login_submit": "1"})

    def is_logged_in(self, browser: Browser) -> bool:
        return "moin-logout" in browser.get("/+search").text

    def log_out(self, browser: Browser) -> None:
        browser.get("/+logout?logout_submit=1")

    def leave_message(self, browser: Browser) -> None:
        browser.get("/+bookmark", follow=False)

    def messages(self, browser: Browser) -> int:
        return browser.get("/+search").text.count("You must log in to use bookmarks.")

    def overlap(self, browser: Browser, tabs: int) -> int:
        """A guest's session ends with its last message, and then each tab would begin one."""
        self.leave_message(browser)
        browser.in_tabs([self.leave_message] * tabs)
        return self.messages(browser) - 1
