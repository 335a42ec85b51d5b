"""What the page looks like: three templates beside this file, and what they are given.

A template is text with ``{names}`` that :meth:`markupsafe.Markup.format` fills in: each value is
escaped unless it is markup itself, so no template can forget to. That needs no template engine,
which the library would otherwise depend on for one page.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from markupsafe import Markup

from wsgi_sessions.devices.words import Words

__all__ = ["STYLE", "Device", "Templates", "View", "render"]


def _read(name: str) -> str:
    return Path(__file__).with_name(name).read_text("utf-8")


STYLE = _read("style.css")


_ICON = '<svg viewBox="0 0 24 24" aria-hidden="true">{}</svg>'
_COMPUTER = Markup(_ICON.format('<path d="M4 5h16v11H4zM2 19.5h20"/>'))
_PHONE = Markup(_ICON.format('<path d="M7 2.5h10v19H7zM11 18.5h2"/>'))
_PHONES = ("Android", "iPhone", "iPad", "Mobile", "Phone")
"""A name with one of these words gets the picture of a phone, which only decorates."""


class Templates(NamedTuple):
    """The templates' text. Replace some: ``Templates(page=…)``."""

    page: str = _read("page.html")
    """The document: ``language direction title text style notice content links``."""
    devices: str = _read("devices.html")
    """The form with the list: ``devices token more others``."""
    device: str = _read("device.html")
    """One device: ``kind icon name mark last_seen first_seen action``."""


class Device(NamedTuple):
    """One session as the page shows it."""

    id: str
    name: str
    """``Firefox on Linux``; comes from a ``User-Agent``: to be escaped."""
    is_this: bool
    first_seen: float
    last_seen: float
    """Seconds since the epoch."""


class View(NamedTuple):
    """What a page is made of."""

    words: Words
    title: str
    text: str
    """What stands under the title: one or two sentences."""
    now: float
    devices: Sequence[Device] = ()
    """This device first, then by when they were last seen. Empty where something is wrong."""
    hidden: int = 0
    """How many more there are."""
    notice: str = ""
    """What was just done."""
    token: str = ""
    """Has to come back with the form."""
    back: str | None = None
    """A URL."""
    retry: bool = False
    """Whether it helps to open the page again."""


def render(view: View, templates: Templates, style: Markup) -> str:
    """The document for *view*."""
    words = view.words
    notice = Markup('<p class="notice" role="status">{}</p>').format(view.notice)
    return Markup(templates.page).format(
        language=words.language,
        direction=words.direction,
        title=view.title,
        text=view.text,
        style=style,
        notice=notice if view.notice else "",
        content=_devices(view, templates) if view.devices else "",
        links=_links(view),
    )


def _links(view: View) -> Markup:
    link = Markup('<a href="{}">{}</a> ')
    again = link.format("?", view.words.again) if view.retry else Markup()
    return again + (Markup() if view.back is None else link.format(view.back, view.words.back))


def _devices(view: View, templates: Templates) -> Markup:
    words = view.words
    more = Markup('<p class="more">{}</p>').format(words.more.format(count=view.hidden))
    others = Markup('<button name="end" value="others">{}</button>').format(words.log_out_others)
    return Markup(templates.devices).format(
        devices=Markup().join(_device(one, view, templates) for one in view.devices),
        token=view.token,
        more=more if view.hidden else "",
        others="" if all(one.is_this for one in view.devices) else others,
    )


def _device(device: Device, view: View, templates: Templates) -> Markup:
    words = view.words
    last_seen = words.active_now
    if not device.is_this:
        last_seen = words.last_seen.format(ago=words.ago(view.now - device.last_seen))
    first_seen = words.first_seen.format(ago=words.ago(view.now - device.first_seen))
    label = words.log_out_one.format(device=device.name, last_seen=last_seen)
    button = Markup('<button name="end" value="{}" aria-label="{}">{}</button>')
    mark = Markup('<span class="mark">{}</span>').format(words.this_device)
    return Markup(templates.device).format(
        kind="this" if device.is_this else "other",
        icon=_PHONE if any(word in device.name for word in _PHONES) else _COMPUTER,
        name=device.name,
        mark=mark if device.is_this else "",
        last_seen=_time(device.last_seen, last_seen),
        first_seen=_time(device.first_seen, first_seen),
        action="" if device.is_this else button.format(device.id, label, words.log_out),
    )


def _time(seconds: float, text: str) -> Markup:
    """With the exact time, in UTC, since the server does not know the visitor's zone."""
    exact = datetime.fromtimestamp(seconds, UTC)
    time = Markup('<time datetime="{}" title="{} UTC">{}</time>')
    return time.format(f"{exact:%Y-%m-%dT%H:%M:%SZ}", f"{exact:%Y-%m-%d %H:%M}", text)
