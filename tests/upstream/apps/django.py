"""Applications made with Django: Wagtail, and a shop with Oscar."""

from __future__ import annotations

from pathlib import Path
from secrets import token_hex

from tests.upstream.apps.application import PASSWORD, USER, Application, Place
from tests.upstream.apps.browser import Browser, token_in

TOKEN = "csrfmiddlewaretoken"
LIBRARY = ("redis>=6", "werkzeug>=3.0", "itsdangerous>=2.1", "markupsafe>=2.1")
IN_A_COOKIE = {
    "overlapping_tabs_lose_nothing": (
        "Django's messages are in a cookie of their own, of which the last one is kept"
    )
}


class DjangoApplication(Application):
    """What all of them have: a profile whose form leaves a message."""

    cannot_apply = IN_A_COOKIE

    settings: str
    """Its module of settings, where nothing about sessions is changed."""
    login: str
    logout: str
    profile: str
    """The page of the form."""
    message: str

    def environment(self, directory: Path) -> dict[str, str]:
        return {
            "APPLICATION_SETTINGS": self.settings,
            "DJANGO_SETTINGS_MODULE": "tests.upstream.apps.wsgi.django_settings",
            "DJANGO_SUPERUSER_PASSWORD": PASSWORD,
            "PYTHONPATH": str(directory),
        }

    def install(self, place: Place) -> None:
        place.run("django-admin", "migrate", "-v", "0")
        user = ("--no-input", "--username", "ann", "--email", USER)
        place.run("django-admin", "createsuperuser", *user)

    def begin(self, browser: Browser) -> None:
        browser.get(self.login)

    def log_in(self, browser: Browser, password: str = PASSWORD) -> None:
        token = token_in(browser.get(self.login).text, TOKEN)
        browser.post(self.login, {TOKEN: token} | self.credentials(password))

    def credentials(self, password: str) -> dict[str, str]:
        return {"username": "ann", "password": password}

    def is_logged_in(self, browser: Browser) -> bool:
        return browser.get(self.profile, follow=False).status_code == 200

    def log_out(self, browser: Browser) -> None:
        token = token_in(browser.get(self.profile).text, TOKEN)
        browser.post(self.logout, {TOKEN: token})

    def leave_message(self, browser: Browser) -> None:
        self.send(browser, "Ann", with_token=True)

    def messages(self, browser: Browser) -> int:
        return browser.get(self.profile).text.count(self.message)

    def change(self, browser: Browser, *, with_token: bool) -> bool:
        name = token_hex(4)
        self.send(browser, name, with_token=with_token)
        return name in browser.get(self.profile).text

    def send(self, browser: Browser, name: str, *, with_token: bool) -> None:
        """The form with another first name."""
        token = token_in(browser.get(self.profile).text, TOKEN)
        form = self.form(name) | ({TOKEN: token} if with_token else {})
        browser.post(self.profile, form, follow=False)

    def form(self, name: str) -> dict[str, str]:
        return {"first_name": name, "last_name": "Example", "email": USER}


class Wagtail(DjangoApplication):
    """Its logout says `session.modified = False`, and deletes the cookie itself."""

    name = "wagtail"
    requirements = ("wagtail==8.0.1", *LIBRARY)
    settings = "mysite.settings.dev"
    login, logout, profile = "/admin/login/", "/admin/logout/", "/admin/account/"
    message = "Your account settings have been changed successfully"

    def install(self, place: Place) -> None:
        place.run("wagtail", "start", "mysite", ".")
        super().install(place)

    def form(self, name: str) -> dict[str, str]:
        return {f"name_email-{field}": text for field, text in super().form(name).items()} | {
            "locale-preferred_language": "en",
            "locale-current_time_zone": "UTC",
            "theme-theme": "system",
            "theme-contrast": "system",
            "theme-density": "default",
        }


class Oscar(DjangoApplication):
    name = "oscar"
    requirements = ("django-oscar==4.2.1", "sorl-thumbnail>=12", *LIBRARY)
    settings = "tests.upstream.apps.wsgi.oscar_settings"
    login, logout = "/accounts/login/", "/accounts/logout/"
    profile = "/accounts/profile/edit/"
    message = "Profile updated"

    def credentials(self, password: str) -> dict[str, str]:
        fields = {"login-username": USER, "login-password": password}
        return fields | {"login_submit": "Log In"}
