"""pgAdmin 4. Its own sessions are one object in memory that the threads share, and files; it sets
attributes on the session, and keeps all query tools under one key, as pickled bytes in a dict."""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path

from tests.upstream.apps.application import PASSWORD, USER, Application, Place
from tests.upstream.apps.browser import Browser

SETTINGS = """
SERVER_MODE = True
DATA_DIR = {data!r}
MAX_LOGIN_ATTEMPTS = 0
UPGRADE_CHECK_ENABLED = False
"""


class PgAdmin(Application):
    name = "pgadmin"
    requirements = ("pgadmin4==9.18", "redis>=6")
    greets_guests = True
    needs_database = True
    differs = {
        "a_cookie_from_before_the_login_is_nobody": "its login keeps the session and its cookie"
    }
    cannot_apply = {
        "a_restart_of_the_server_keeps_the_login": (
            "it logs out who comes back after a restart, since the key of saved passwords was in "
            "memory only"
        )
    }

    def environment(self, directory: Path) -> dict[str, str]:
        return {
            "PYTHONPATH": str(directory),  # for config_local
            "PGADMIN_SETUP_EMAIL": USER,
            "PGADMIN_SETUP_PASSWORD": PASSWORD,
        }

    def install(self, place: Place) -> None:
        settings = SETTINGS.format(data=str(place.directory / "data"))
        (place.directory / "config_local.py").write_text(settings)
        setup = "import pgadmin4, runpy\n"
        setup += "runpy.run_path(pgadmin4.__path__[0] + '/setup.py', run_name='__main__')"
        place.run("python", "-c", setup, "setup-db")

    def begin(self, browser: Browser) -> None:
        browser.get("/login")

    def log_in(self, browser: Browser, password: str = PASSWORD) -> None:
        token = re.search(r'"csrfToken": "([^"]+)"', browser.get("/login").text)
        form = {"email": USER, "password": password, "internal_button": "Login"}
        form |= {"csrf_token": token[1]} if token else {}
        browser.post("/authenticate/login", form, follow=False)

    def is_logged_in(self, browser: Browser) -> bool:
        return browser.get("/browser/", follow=False).status_code == 200

    def log_out(self, browser: Browser) -> None:
        browser.get("/logout", follow=False)

    def leave_message(self, browser: Browser) -> None:
        self.log_in(browser, "a wrong password")

    def messages(self, browser: Browser) -> int:
        return browser.get("/login").text.count("Incorrect username or password.")

    def change(self, browser: Browser, *, with_token: bool) -> bool:
        headers = self._token(browser) if with_token else {}
        group = {"name": f"group {with_token}"}
        return browser.post_json("/browser/server_group/obj/", group, headers).status_code == 200

    def overlap(self, browser: Browser, tabs: int) -> int:
        """Query tools that are opened at once, each in a tab, and can be used afterwards."""
        self.log_in(browser)
        headers = self._token(browser)
        server = {"name": "a database", "host": "127.0.0.1", "port": self.database.port}
        server |= {"username": self.database.user, "db": "postgres", "connection_params": []}
        answer = browser.post_json("/browser/server/obj/1/", server, headers)
        number = answer.json()["node"]["_id"]

        def open_tool(tool: int, tab: Browser) -> None:
            path = f"/sqleditor/initialize/sqleditor/{tool}/1/{number}"
            login = {"dbname": "postgres", "password": self.database.password}
            login |= {"user": self.database.user}
            answer = tab.post_json(path, login, headers)
            assert answer.status_code == 200, answer.text

        tools = range(101, 101 + tabs)
        browser.in_tabs([partial(open_tool, tool) for tool in tools])
        answers = [browser.get(f"/sqleditor/status/{tool}", headers=headers) for tool in tools]
        return sum(answer.status_code == 200 for answer in answers)

    def _token(self, browser: Browser) -> dict[str, str]:
        script = browser.get("/browser/js/utils.js").text
        token = re.search(r"csrf_?token['\"]?\]?\s*[=:]\s*['\"]([^'\"]+)", script, re.IGNORECASE)
        assert token, script[:500]
        return {"X-pgA-CSRFToken": token[1]}
