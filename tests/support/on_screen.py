"""What a person does with a page in a real browser, and sees of it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from selenium.common.exceptions import WebDriverException
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

_COLOURS = """
const probe = document.createElement("canvas").getContext("2d", {willReadFrequently: true});
const channels = colour => { probe.clearRect(0, 0, 1, 1); probe.fillStyle = colour;
    probe.fillRect(0, 0, 1, 1); return [...probe.getImageData(0, 0, 1, 1).data]; };
const behind = element => { for (let e = element; e; e = e.parentElement) {
    const c = channels(getComputedStyle(e).backgroundColor); if (c[3]) return c; }
    return [255, 255, 255, 255]; };
return [...document.querySelectorAll("h1, h2, p, a, button, time, td, th, li, dd, .mark")].filter(
    e => e.textContent.trim()).map(
    e => [e.className || e.tagName, channels(getComputedStyle(e).color), behind(e)]);
"""
"""Of each element with text, its name, its colour and the one behind it."""

_IS_ANOTHER_PAGE = "return !window.isLeft && document.readyState == 'complete'"


def text_of(browser: Chrome) -> str:
    return browser.find_element(By.TAG_NAME, "body").text


@contextmanager
def next_page(browser: Chrome) -> Iterator[None]:
    """Return when what is done in the block has led to another page, and that is loaded."""
    browser.execute_script("window.isLeft = true")  # type: ignore[no-untyped-call]
    yield
    # Between two pages Chromium may have neither: then the driver raises one error or another.
    wait = WebDriverWait(browser, 60, ignored_exceptions=[WebDriverException])
    wait.until(lambda _: browser.execute_script(_IS_ANOTHER_PAGE))  # type: ignore[no-untyped-call]


def click(browser: Chrome, label: str) -> None:
    with next_page(browser):
        browser.find_element(By.XPATH, f"//button[text()={label!r}]").click()


def contrast(one: list[int], other: list[int]) -> float:
    """WCAG 2.2, "contrast ratio"."""
    lighter, darker = sorted((luminance(one), luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def luminance(colour: list[int]) -> float:
    red, green, blue = (
        c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4
        for c in (channel / 255 for channel in colour[:3])
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def colours_of(browser: Chrome) -> list[list[Any]]:
    """Of each element with text, its name, its colour and the one behind it."""
    found: list[list[Any]] = browser.execute_script(_COLOURS)  # type: ignore[no-untyped-call]
    return found


def width_of(browser: Chrome) -> int:
    """Of all that the page holds, in pixels."""
    width: int = browser.execute_script("return document.documentElement.scrollWidth")  # type: ignore[no-untyped-call]
    return width


def hard_to_read(browser: Chrome) -> dict[str, float]:
    """The elements whose text has too little contrast: WCAG 2.2, 1.4.3 (AA)."""
    return {name: contrast(*both) for name, *both in colours_of(browser) if contrast(*both) < 4.5}
