"""The devices page in real browsers."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from tests.servers.chromium import chromium, console_of, emulate
from tests.support.devices_site import MOUNT
from tests.support.on_screen import (
    click,
    colours_of,
    hard_to_read,
    luminance,
    next_page,
    text_of,
    width_of,
)
from tests.support.serving import gunicorn

PHONE = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 "
    "(KHTML, like Gecko) Version/18.1 Mobile/15E148 Safari/604.1"
)


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Two workers, SQLite, no secret configured."""
    directory = tmp_path_factory.mktemp("site")
    environment = {"WSGI_SESSIONS_STORE": f"sqlite:///{directory / 'sessions.db'}"}
    arguments = ("--workers", "2", "--threads", "4")
    with gunicorn(
        "tests.support.devices_site:application", directory, *arguments, **environment
    ) as url:
        yield url


@pytest.fixture(scope="module")
def desktop() -> Iterator[Chrome]:
    with chromium() as browser:
        yield browser


@pytest.fixture(scope="module")
def phone() -> Iterator[Chrome]:
    with chromium(f"user-agent={PHONE}") as browser:
        yield browser


class Person:
    """An owner of their own for each test, and their browsers."""

    numbers = count()

    def __init__(self, url: str) -> None:
        self.url = url
        self.name = f"ann-{next(self.numbers)}"

    def log_in(self, *browsers: Chrome) -> None:
        for browser in browsers:
            browser.get(self.url)
            browser.delete_all_cookies()
            browser.get(f"{self.url}/?login={self.name}")
            emulate(browser)
            console_of(browser)

    def is_logged_in(self, browser: Chrome) -> bool:
        browser.get(self.url)
        return f"You are {self.name}." in text_of(browser)

    def open_page(self, browser: Chrome) -> None:
        browser.get(self.url + MOUNT)


@pytest.fixture
def ann(url: str, desktop: Chrome, phone: Chrome) -> Person:
    person = Person(url)
    person.log_in(desktop, phone)
    return person


def test_the_page_names_both_devices_and_which_one_is_this(
    ann: Person, desktop: Chrome, phone: Chrome
) -> None:
    seen = {}
    for browser in (desktop, phone):
        ann.open_page(browser)
        seen[browser] = [
            " ".join(row.text.split()) for row in browser.find_elements(By.TAG_NAME, "li")
        ]

    assert [len(rows) for rows in seen.values()] == [2, 2]
    assert "Chrome on Linux This device" in seen[desktop][0]
    assert "Safari on iPhone" in seen[desktop][1]
    assert "Safari on iPhone This device" in seen[phone][0]
    assert "Chrome on Linux" in seen[phone][1]


def test_a_device_that_another_one_logs_out_is_out_at_its_next_click(
    ann: Person, desktop: Chrome, phone: Chrome
) -> None:
    ann.open_page(desktop)

    click(desktop, "Log out")

    assert "The device is logged out." in text_of(desktop)
    assert len(desktop.find_elements(By.TAG_NAME, "li")) == 1
    assert not ann.is_logged_in(phone)
    ann.open_page(phone)
    assert "log in, then open it again" in text_of(phone)
    assert ann.is_logged_in(desktop)


def test_all_others_are_logged_out_by_one_click(
    ann: Person, desktop: Chrome, phone: Chrome
) -> None:
    with chromium() as third:
        ann.log_in(third)
        ann.open_page(phone)
        assert len(phone.find_elements(By.TAG_NAME, "li")) == 3

        click(phone, "Log out all other devices")

        assert "All other devices are logged out." in text_of(phone)
        assert [ann.is_logged_in(one) for one in (desktop, phone, third)] == [False, True, False]


def test_a_form_from_before_the_last_login_changes_nothing_and_leads_back(
    ann: Person, desktop: Chrome, phone: Chrome
) -> None:
    ann.open_page(desktop)
    form = desktop.current_window_handle
    desktop.switch_to.new_window("tab")
    desktop.get(f"{ann.url}/?login={ann.name}")
    desktop.close()
    desktop.switch_to.window(form)

    click(desktop, "Log out all other devices")

    assert "out of date" in text_of(desktop)
    with next_page(desktop):
        desktop.find_element(By.LINK_TEXT, "Show my devices").click()
    assert "Safari on iPhone" in text_of(desktop)
    assert ann.is_logged_in(phone)


def test_the_keyboard_is_enough_and_shows_where_it_is(
    ann: Person, desktop: Chrome, phone: Chrome
) -> None:
    ann.open_page(desktop)

    reached = []
    for _ in range(3):
        desktop.switch_to.active_element.send_keys(Keys.TAB)
        focused = desktop.switch_to.active_element
        reached.append(focused.text)
        assert focused.value_of_css_property("outline-style") == "solid"
        assert focused.value_of_css_property("outline-width") == "3px"
    assert reached == ["Log out", "Log out all other devices", "Back"]
    with next_page(desktop):
        desktop.find_elements(By.TAG_NAME, "button")[0].send_keys(Keys.ENTER)

    assert "The device is logged out." in text_of(desktop)
    assert not ann.is_logged_in(phone)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [320, 360, 1280])
def test_it_fits_the_screen_and_every_text_has_enough_contrast(
    ann: Person, desktop: Chrome, phone: Chrome, width: int, scheme: str, tmp_path: Path
) -> None:
    """WCAG 2.2, 1.4.3 (AA) and 1.4.10; buttons are at least 44 px high (2.5.5)."""
    emulate(desktop, width=width, scheme=scheme)
    ann.open_page(desktop)
    click(desktop, "Log out all other devices")  # the notice is looked at, too
    ann.log_in(phone)
    emulate(desktop, width=width, scheme=scheme)
    desktop.refresh()

    texts = colours_of(desktop)
    desktop.save_screenshot(str(tmp_path / "page.png"))

    assert width_of(desktop) <= width
    assert "Done." in text_of(desktop)
    assert len(texts) > 8
    assert hard_to_read(desktop) == {}
    assert all(
        button.size["height"] >= 44 for button in desktop.find_elements(By.TAG_NAME, "button")
    )
    dark = luminance(texts[0][2]) < 0.1
    assert dark is (scheme == "dark")


def test_no_page_makes_the_browser_complain(ann: Person, desktop: Chrome) -> None:
    """A style that the policy refuses would be a console error; so would a script be."""
    ann.open_page(desktop)
    click(desktop, "Log out")
    ann.open_page(desktop)

    assert console_of(desktop) == []
    assert (
        desktop.find_element(By.TAG_NAME, "ul").value_of_css_property("list-style-type") == "none"
    )
