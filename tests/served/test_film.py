"""What the demo shows, played in a real browser from one end to the other.

``make pictures`` plays it with WSGI_SESSIONS_PICTURES set: then the pictures of the documentation
are taken anew.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import pytest
from selenium.common.exceptions import StaleElementReferenceException
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import WebDriverWait

from tests.servers.chromium import chromium, console_of, emulate
from tests.support.on_screen import click, hard_to_read, next_page, text_of, width_of
from tests.support.patience import patient_url
from tests.support.serving import gunicorn

IMAGES = Path(__file__).parents[2] / "docs" / "images"
PAGES = ["/", "/promises", "/race", "/devices", "/store", "/record", "/counter", "/account"]

Take = Callable[[str], None]


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Two workers, as ``make demo`` has them."""
    directory = tmp_path_factory.mktemp("film")
    store = patient_url(f"sqlite:///{directory / 'sessions.db'}")
    environment = {"WSGI_SESSIONS_STORE": store}
    arguments = ("--workers", "2", "--threads", "4", "--worker-class", "gthread")
    with gunicorn("wsgi_sessions.demo:app", directory, *arguments, **environment) as url:
        yield url


@pytest.fixture(scope="module")
def chrome() -> Iterator[Chrome]:
    with chromium() as browser:
        yield browser


@pytest.fixture
def browser(chrome: Chrome, url: str) -> Chrome:
    """One that has never been here."""
    chrome.get(url + "/about")
    chrome.execute_cdp_cmd("Network.clearBrowserCookies", {})
    emulate(chrome)
    console_of(chrome)
    return chrome


@pytest.fixture
def take(browser: Chrome, tmp_path: Path) -> Take:
    """Take the picture of that name."""

    def take(name: str) -> None:
        directory = IMAGES if "WSGI_SESSIONS_PICTURES" in os.environ else tmp_path
        directory.mkdir(exist_ok=True)
        assert browser.save_screenshot(str(directory / f"{name}.png"))

    return take


class Visitor:
    """Goes to pages, and logs in under a name of its own."""

    numbers = count()

    def __init__(self, browser: Chrome, url: str) -> None:
        self.browser = browser
        self.url = url

    def go(self, path: str) -> str:
        """The text of the page."""
        self.browser.get(self.url + path)
        return text_of(self.browser)

    def follow(self, label: str) -> str:
        with next_page(self.browser):
            self.browser.find_element(By.LINK_TEXT, label).click()
        return text_of(self.browser)

    def press(self, label: str) -> str:
        click(self.browser, label)
        return text_of(self.browser)

    def log_in(self, name: str = "Alice") -> None:
        self.go("/login")
        self.browser.find_element(By.NAME, "name").send_keys(name)
        self.browser.find_element(By.NAME, "password").send_keys("demo")
        self.press("Log in")

    def add_to_cart(self, tea: str) -> None:
        self.go("/")
        add = f"button[aria-label='Add {tea} to the cart']"
        with next_page(self.browser):
            self.browser.find_element(By.CSS_SELECTOR, add).click()

    def phone_says(self, text: str) -> None:
        """Wait until the phone shows *text*."""
        self.browser.switch_to.default_content()
        frame = self.browser.find_element(By.TAG_NAME, "iframe")
        self.browser.switch_to.frame(frame)
        shows = f"//h1[text()={text!r}]"
        WebDriverWait(self.browser, 60).until(lambda it: it.find_elements(By.XPATH, shows))

    def press_on_phone(self, label: str) -> None:
        """The phone's page may take the place of the one where the button was found."""
        button = f"//button[text()={label!r}]"
        wait = WebDriverWait(self.browser, 60, ignored_exceptions=[StaleElementReferenceException])
        wait.until(lambda it: it.find_element(By.XPATH, button).click() is None)
        self.browser.switch_to.default_content()


@pytest.fixture
def visitor(browser: Chrome, url: str) -> Visitor:
    return Visitor(browser, url)


def panel(browser: Chrome, label: str) -> str:
    """What the panel says last under *label*."""
    [*_, fact] = browser.find_elements(By.XPATH, f"//aside//dt[text()={label!r}]/following::dd[1]")
    return fact.text


def test_of_twenty_requests_at_once_none_is_lost_but_on_the_naive_side(
    visitor: Visitor, browser: Chrome, take: Take
) -> None:
    visitor.go("/race")
    visitor.press("Fire 20 requests at each")
    loaded = "return [...document.images].map(image => image.naturalWidth)"
    assert browser.execute_script(loaded) == [40] * 40  # type: ignore[no-untyped-call]
    visitor.follow("See what each has kept")

    ours, naive = (int(score.text) for score in browser.find_elements(By.TAG_NAME, "output"))
    assert ours == 20
    assert 0 < naive < 20
    assert len(browser.find_elements(By.CSS_SELECTOR, ".tiles .kept")) == ours + naive
    take("race")


def test_a_second_run_begins_with_nothing(visitor: Visitor, browser: Chrome) -> None:
    visitor.go("/race")
    visitor.press("Fire 20 requests at each")
    visitor.follow("See what each has kept")
    visitor.press("Fire them again")
    visitor.follow("See what each has kept")

    assert browser.find_element(By.TAG_NAME, "output").text == "20"


def test_a_phone_is_logged_out_before_ones_eyes(
    visitor: Visitor, browser: Chrome, take: Take
) -> None:
    visitor.log_in()
    visitor.go("/devices")
    visitor.phone_says("Logged out")
    browser.switch_to.default_content()

    visitor.press("Log in on the phone")
    visitor.phone_says("Hello, Alice")
    browser.switch_to.default_content()
    take("devices")

    window = browser.current_window_handle
    browser.switch_to.new_window("tab")
    visitor.go("/devices")
    visitor.press("Log all other devices out")
    # The browsers of other tests were Alice's too.
    assert re.search(r"Logged out: [1-9]\d* other device", text_of(browser))
    browser.close()
    browser.switch_to.window(window)
    visitor.phone_says("Logged out")  # without a click in this window
    browser.switch_to.default_content()


def test_the_phone_logs_the_laptop_out(visitor: Visitor, browser: Chrome) -> None:
    visitor.log_in()
    visitor.go("/devices")
    visitor.press("Log in on the phone")
    visitor.phone_says("Hello, Alice")

    visitor.press_on_phone("Log the laptop out")

    window = browser.current_window_handle
    browser.switch_to.new_window("tab")  # the phone goes on in its window
    WebDriverWait(browser, 60).until(lambda _: "Log in first" in visitor.go("/devices"))
    assert "Hello, Alice" in visitor.go("/phone/")
    browser.close()
    browser.switch_to.window(window)


def test_a_store_that_is_stopped_logs_nobody_out(
    visitor: Visitor, browser: Chrome, take: Take
) -> None:
    visitor.log_in()
    cookie = browser.get_cookie("demo-sid")
    visitor.go("/store")

    visitor.press("Stop the store")
    assert "This page does not look at its session" in visitor.go("/about")
    for path in ("/", "/cart", "/account", "/account/devices"):
        assert "The store that keeps the sessions does not answer" in visitor.go(path)
    visitor.go("/cart")
    assert "StoreUnavailable" in panel(browser, "Store calls")
    take("outage")
    assert browser.get_cookie("demo-sid") == cookie

    visitor.press("Start the store")
    assert "The store is running" in text_of(browser)
    assert "Hello, Alice" in visitor.go("/account")


def test_of_a_record_that_one_value_is_decoded_which_is_asked_for(
    visitor: Visitor, browser: Chrome, take: Take
) -> None:
    visitor.add_to_cart("Sencha")
    visitor.go("/race")
    visitor.log_in()
    visitor.go("/record")
    assert panel(browser, "Keys decoded").startswith("0 of 2")

    with next_page(browser):
        browser.find_element(By.CSS_SELECTOR, "a[aria-label='Decode cart']").click()

    assert "'tea': 'sencha'" in browser.find_element(By.TAG_NAME, "pre").text
    assert panel(browser, "Keys decoded") == "1 of 2\ncart"
    assert [mark.text for mark in browser.find_elements(By.CLASS_NAME, "mark")] == ["decoded"]
    take("record")


def test_the_keyboard_is_enough(visitor: Visitor, browser: Chrome) -> None:
    """From the list of promises into a run, and to its result."""
    visitor.go("/promises")
    reached = []
    for _ in range(8):
        browser.switch_to.active_element.send_keys(Keys.TAB)
        reached.append(browser.switch_to.active_element.text)
    assert reached[-1] == "Nothing is lost"
    for label in ("Fire 20 requests at each", "See what each has kept"):
        with next_page(browser):
            browser.switch_to.active_element.send_keys(Keys.ENTER)
        while browser.switch_to.active_element.text != label:
            browser.switch_to.active_element.send_keys(Keys.TAB)
            focused = browser.switch_to.active_element
            assert focused.tag_name != "body", "the button is not reached"
    with next_page(browser):
        browser.switch_to.active_element.send_keys(Keys.ENTER)
    assert browser.find_element(By.TAG_NAME, "output").text == "20"


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1280])
def test_every_page_fits_the_screen_and_can_be_read(
    visitor: Visitor, browser: Chrome, width: int, scheme: str, tmp_path: Path
) -> None:
    """WCAG 2.2, 1.4.3 (AA) and 1.4.10, and nothing that the browser complains about."""
    visitor.log_in("Alice of the Very Long Name")
    visitor.add_to_cart("Sencha")
    visitor.go("/race")
    visitor.press("Fire 20 requests at each")
    emulate(browser, width=width, scheme=scheme)
    for path in PAGES:
        visitor.go(path)
        browser.save_screenshot(str(tmp_path / f"{path.strip('/') or 'shop'}.png"))
        assert width_of(browser) <= width, path
        assert hard_to_read(browser) == {}, path
    visitor.press("Log out")
    visitor.go("/phone/")
    assert hard_to_read(browser) == {}
    assert console_of(browser) == []
