"""Reading the Cookie header and writing Set-Cookie."""

from __future__ import annotations

import timeit
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.security.wsgi_client import work
from tests.support.calls import profile
from wsgi_sessions import ConfigurationError, MemoryStore, SessionManager
from wsgi_sessions.cookie.request_header import cookie_values
from wsgi_sessions.cookie.set_cookie import SetCookie


@pytest.mark.parametrize(
    ("header", "values"),
    [
        ("", []),
        ("sid=v", ["v"]),
        ("a=1; sid=v; b=2", ["v"]),
        ("a=1;sid=v;b=2", ["v"]),
        ("\t sid \t=\t v \t;x", ["v"]),
        ("sid=a; sid=b", ["a", "b"]),
        ("sid=", [""]),
        ("sid", []),
        ("xsid=v; Xsid=v; sidx=v; SID=v; Sid=v", []),
        ('a="x; sid=v', ["v"]),
        ('a="x; sid=v; y"', ["v"]),
        ("sid=a=b", ["a=b"]),
        ('sid="v"', ['"v"']),
        ('a=1; sid="v"', ['"v"']),
        ("xsid=v", []),
        ("si%64=v; sid=%76", ["%76"]),
        ("\xa0sid=v; \u2003sid=v; \x85sid=v; \x0bsid=v", []),
        ("sid\xa0=v", []),
        ("sid=\xa0v\x0b", ["\xa0v\x0b"]),
        ("a=1, sid=v", ["v"]),
        ("a=1,sid=v", ["v"]),
        ("sid=v,a=1", ["v"]),
        ("sid=v , a=1; b=2", ["v"]),
        ("a=1; b=2,\tsid=v\t", ["v"]),
        ("a=1,sid=v,sid=w", ["v", "w"]),
        ("sid=v,sid=w", ["v"]),
        ("a=1,sid=w; sid=v", ["v"]),
        ("a=1,sid=w,b=2;sid=v,sid=x", ["v"]),
        ("a=1,xsid=w; sidx=v", []),
        ("a=sid=w,b=1", []),
        ("=sid; =; ;;; sid=v", ["v"]),
        ("__Host-sid=v; sid=w", ["w"]),
        ("a\x00=1; sid=v", ["v"]),
    ],
)
def test_the_header_is_read_literally(header: str, values: list[str]) -> None:
    """Split on ';', strip space and tab, compare the name; nothing is interpreted."""
    assert cookie_values(header, "sid") == values


@given(st.lists(st.text(alphabet='sid=;"\\ \t,%x\xa0', max_size=12)), st.integers(0, 20))
def test_no_neighbour_hides_ours(neighbours: list[str], position: int) -> None:
    """Whatever stands in other pairs, ours is found."""
    pairs = [one.replace(";", "") for one in neighbours]
    pairs.insert(position, "sid=ours")
    assert "ours" in cookie_values(";".join(pairs), "sid")


def test_a_large_header_is_read_in_linear_time() -> None:
    """Ten thousand cookies of our name are ten thousand values, without a quadratic step."""
    assert len(cookie_values("sid=x;" * 10_000, "sid")) == 10_000


pieces = st.sampled_from(["sid", "=", ";", " ", "\t", "x", "\xa0", "\n", '"', "sid=v", "; "])


@given(st.lists(pieces, max_size=20).map("".join))
def test_the_header_is_split_and_stripped_and_nothing_else(header: str) -> None:
    """As the obvious way of doing it would."""
    pairs = [pair.partition("=") for pair in header.split(";")]
    expected = [
        value.strip(" \t") for name, equals, value in pairs if equals and name.strip(" \t") == "sid"
    ]
    assert cookie_values(header, "sid") == expected


@pytest.mark.parametrize("header", ["sid={}", "sid={}=v", "{}sid=v", "sid=v{}", "x{}; sid=v"])
def test_spaces_are_neither_stripped_nor_read_again_and_again(header: str) -> None:
    """Wherever they are. ``str.strip`` takes 5 ms for a megabyte of them, the whole header 1 to 4;
    a reader that begins anew at each of them would take hours."""
    spaces = " " * (1 << 16)
    header = header.format(spaces)
    assert stripped_by(lambda: cookie_values(header, "sid")) == []
    assert least_time(lambda: cookie_values(header, "sid")) < 20 * least_time(
        lambda: spaces.strip(" \t")
    )


def stripped_by(function: Callable[[], object]) -> list[str]:
    """Of which strings it takes something off the ends."""
    stripped: list[str] = []

    def note(_frame: object, event: str, called: Any) -> None:
        if event == "c_call" and called.__name__ in ("strip", "lstrip", "rstrip"):
            stripped.append(called.__self__)

    profile(function, note)
    return stripped


def test_what_is_stripped_is_noticed() -> None:
    """The check above can fail."""
    assert stripped_by(lambda: [text.rstrip() for text in ("a ", "b ")]) == ["a ", "b "]


def least_time(function: Callable[[], object]) -> float:
    return min(timeit.repeat(function, number=1, repeat=9))


def test_neighbours_cost_no_calls() -> None:
    """Ten thousand of them cost as many function calls as one."""

    def cost(times: int) -> int:
        return work(lambda: cookie_values("sid=v" + "; a=b" * times, "sid"))

    cost(1)
    assert cost(10_000) == cost(1)


def issue(**options: Any) -> str:
    manager = SessionManager(MemoryStore(), secret="x", clock=lambda: 1_800_000_000.0, **options)
    session = manager.open("")
    session["a"] = 1
    [(name, line)] = manager.commit(session)
    assert name == "Set-Cookie"
    return line.partition(";")[2].strip()


@pytest.mark.parametrize(
    ("options", "attributes"),
    [
        ({}, "Path=/; HttpOnly; SameSite=Lax"),
        ({"cookie_secure": True}, "Path=/; Secure; HttpOnly; SameSite=Lax"),
        ({"cookie_path": "/app"}, "Path=/app; HttpOnly; SameSite=Lax"),
        ({"cookie_domain": ".example.com"}, "Domain=example.com; Path=/; HttpOnly; SameSite=Lax"),
        ({"cookie_httponly": False}, "Path=/; SameSite=Lax"),
        ({"cookie_samesite": None}, "Path=/; HttpOnly"),
        ({"cookie_samesite": "strict"}, "Path=/; HttpOnly; SameSite=Strict"),
        (
            {"cookie_samesite": "None", "cookie_secure": True, "cookie_partitioned": True},
            "Path=/; Secure; HttpOnly; SameSite=None; Partitioned",
        ),
        (
            {"cookie_name": "__Host-sid", "cookie_secure": True},
            "Path=/; Secure; HttpOnly; SameSite=Lax",
        ),
    ],
)
def test_set_cookie_has_the_attributes_asked_for(options: dict[str, Any], attributes: str) -> None:
    """Each option is one attribute."""
    assert issue(**options) == attributes


def test_a_permanent_cookie_outlives_the_browser() -> None:
    """Max-Age and, for old browsers, Expires."""
    cookie = SetCookie(
        "sid", path="/", domain=None, secure=None, httponly=True, samesite="Lax", partitioned=False
    )
    assert cookie.issue("v", secure=True, max_age=60, now=0.0) == (
        "sid=v; Expires=Thu, 01 Jan 1970 00:01:00 GMT; Max-Age=60; "
        "Path=/; Secure; HttpOnly; SameSite=Lax"
    )


def test_expiring_carries_the_attributes_of_setting() -> None:
    """Otherwise the browser keeps the other cookie."""
    cookie = SetCookie(
        "__Secure-s", path="/a", domain="e.org", secure=True, httponly=True, samesite="None",
        partitioned=True,
    )  # fmt: skip
    set_attributes = cookie.issue("v", secure=True, max_age=None, now=0).partition("; ")[2]
    assert cookie.expire(secure=True) == (
        "__Secure-s=; Expires=Thu, 01 Jan 1970 00:00:00 GMT; Max-Age=0; " + set_attributes
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"cookie_name": ""}, "not a token"),
        ({"cookie_name": "a b"}, "not a token"),
        ({"cookie_name": "a;b"}, "not a token"),
        ({"cookie_name": "é"}, "not a token"),
        ({"cookie_name": "__Host-sid"}, "needs cookie_secure=True"),
        ({"cookie_name": "__host-sid", "cookie_secure": False}, "needs cookie_secure=True"),
        ({"cookie_name": "__Host-sid", "cookie_secure": True, "cookie_path": "/a"}, "cookie_path"),
        (
            {"cookie_name": "__Host-sid", "cookie_secure": True, "cookie_domain": "e.org"},
            "no cookie_domain",
        ),
        ({"cookie_name": "__Secure-sid"}, "needs cookie_secure=True"),
        ({"cookie_path": "app"}, "must start with '/'"),
        ({"cookie_path": "/a;b"}, "without ';'"),
        ({"cookie_path": "/\r\nX: y"}, "cookie_path"),
        ({"cookie_domain": ""}, "not a domain name"),
        ({"cookie_domain": "e.org; x"}, "not a domain name"),
        ({"cookie_samesite": "sometimes"}, "cookie_samesite"),
        ({"cookie_samesite": "None", "cookie_secure": False}, "^cookie_samesite='None' needs "),
        ({"cookie_partitioned": True, "cookie_secure": False}, "^cookie_partitioned needs "),
    ],
)
def test_attributes_that_cannot_work_are_refused(options: dict[str, Any], message: str) -> None:
    """At construction, with the remedy."""
    with pytest.raises(ConfigurationError, match=message):
        SessionManager(MemoryStore(), secret="x", **options)
