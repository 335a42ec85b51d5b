"""What a request may do to its session, and beside it what that means.

An *effect* is the reference: from the values the request saw when it loaded the session and
those that are there now, it makes those that must be there afterwards. A key is the unit: what
was computed from a value that was seen replaces the value (``append``), what was handed over
as a function is computed from what is there (``increment``). What is not a value of the application
is written ``@owner`` and ``@permanent``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from wsgi_sessions import Session

Values = Mapping[str, Any]
Effect = Callable[[Values, Values, str], Values]

START = {"a": 0, "b": 0, "cart": {"items": ["tea"]}, "old": True, "hits": 5, "log": []}


@dataclass(frozen=True)
class Script:
    """One thing that a request does. ``act`` gets the session and the request's own name."""

    name: str
    act: Callable[[Session, str], Any]
    effects: tuple[Effect, ...] = ()
    """One for each time that the session is saved."""
    new_secret: bool = False
    """The old cookie is dead afterwards."""
    logs_out: bool = False
    logs_in: bool = False
    """What it puts goes into a session of its own where its session is superseded."""

    def __str__(self) -> str:
        return self.name


def without(values: Values, *keys: str) -> Values:
    return {key: value for key, value in values.items() if key not in keys}


def keys(values: Values) -> list[str]:
    """Those that the application has set."""
    return [key for key in values if not key.startswith("@")]


def is_empty(values: Values) -> bool:
    """Whether there is nothing to store: a login is worth storing, ``permanent`` alone is not."""
    return not without(values, "@permanent")


def read(session: Session, me: str) -> Any:
    return dict(session)


def set_a(session: Session, me: str) -> None:
    session["a"] = me


def set_b(session: Session, me: str) -> None:
    session["b"] = me


def append(session: Session, me: str) -> None:
    session.setdefault("cart", {"items": []})["items"].append(me)


def appended(seen: Values, now: Values, me: str) -> Values:
    items = seen.get("cart", {"items": []})["items"]
    return {**now, "cart": {"items": [*items, me]}}


def delete(session: Session, me: str) -> None:
    session.pop("old", None)


def clear(session: Session, me: str) -> None:
    session.clear()


def refill(session: Session, me: str) -> None:
    session.clear()
    session["a"] = me


def empty(session: Session, me: str) -> None:
    for key in list(session):
        del session[key]


def increment(session: Session, me: str) -> None:
    session.increment("hits")


def mutate(session: Session, me: str) -> None:
    session.mutate("log", lambda log: [*log, me], default=[])


def token(session: Session, me: str) -> Any:
    return session.get_or_create("csrf", lambda: f"made by {me}")


def save_early(session: Session, me: str) -> None:
    session["a"] = f"{me}, early"
    session.save()
    session["b"] = f"{me}, late"


def remember(session: Session, me: str) -> None:
    session.permanent = True


def regenerate(session: Session, me: str) -> None:
    session.regenerate()


def login(session: Session, me: str) -> None:
    session.login(me)
    session["user"] = me


def logged_in(seen: Values, now: Values, me: str) -> Values:
    """With nothing of another owner."""
    kept = now if seen.get("@owner") in (None, me) else {}
    return {**kept, "@owner": me, "user": me}


def set_user(session: Session, me: str) -> None:
    session["user_id"] = me


def clear_and_set_user(session: Session, me: str) -> None:
    session.clear()
    session["user_id"] = me


def add_entry(session: Session, me: str) -> None:
    tabs = session.get("tabs", {})
    tabs[me] = [me]
    tabs["shared"] = [*tabs.get("shared", []), me]
    session["tabs"] = tabs


def entry_added(seen: Values, now: Values, me: str) -> Values:
    tabs = now.get("tabs", {})
    return {**now, "tabs": {**tabs, me: [me], "shared": [*tabs.get("shared", []), me]}}


def logout(session: Session, me: str) -> None:
    session.invalidate()


def start_over(session: Session, me: str) -> None:
    session.invalidate()
    session["a"] = me


SCRIPTS = {
    script.name: script
    for script in (
        Script("read", read),
        Script("set_a", set_a, (lambda seen, now, me: {**now, "a": me},)),
        Script("set_b", set_b, (lambda seen, now, me: {**now, "b": me},)),
        Script("append", append, (appended,)),
        Script("delete", delete, (lambda seen, now, me: without(now, "old"),)),
        Script("clear", clear, (lambda seen, now, me: {},), logs_out=True),
        Script("refill", refill, (lambda seen, now, me: {"a": me},), new_secret=True),
        Script("empty", empty, (lambda seen, now, me: without(now, *keys(seen)),)),
        Script(
            "increment",
            increment,
            (lambda seen, now, me: {**now, "hits": now.get("hits", 0) + 1},),
        ),
        Script(
            "mutate", mutate, (lambda seen, now, me: {**now, "log": [*now.get("log", []), me]},)
        ),
        Script("token", token, (lambda seen, now, me: {"csrf": f"made by {me}", **now},)),
        Script(
            "save_early",
            save_early,
            (
                lambda seen, now, me: {**now, "a": f"{me}, early"},
                lambda seen, now, me: {**now, "b": f"{me}, late"},
            ),
        ),
        Script("remember", remember, (lambda seen, now, me: {**now, "@permanent": True},)),
        Script("regenerate", regenerate, (lambda seen, now, me: now,), new_secret=True),
        Script("login", login, (logged_in,), new_secret=True, logs_in=True),
        Script(
            "set_user",
            set_user,
            (lambda seen, now, me: {**now, "user_id": me, "@owner": me},),
            new_secret=True,
            logs_in=True,
        ),
        Script(
            "clear_and_set_user",
            clear_and_set_user,
            (lambda seen, now, me: {"user_id": me, "@owner": me},),
            new_secret=True,
            logs_in=True,
        ),
        Script("add_entry", add_entry, (entry_added,)),
        Script("logout", logout, logs_out=True),
        Script("start_over", start_over, (lambda seen, now, me: {"a": me},), logs_out=True),
    )
}
