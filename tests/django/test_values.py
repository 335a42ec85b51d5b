"""What Django's own habits put into a session, and what comes out."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from django.db.models import TextChoices
from django.http import HttpRequest
from django.test import Client
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import gettext_lazy

from tests.django.project import answer
from wsgi_sessions import UnsupportedValue


class Size(TextChoices):
    SMALL = "S"
    LARGE = "L"


def round_trip(client: Client, value: Any) -> Any:
    """What the next request reads."""
    answer(lambda request: request.session.update({"value": value}))
    client.get("/")
    found = []
    answer(lambda request: found.append(request.session["value"]))
    client.get("/")
    return found[0]


@pytest.mark.parametrize(
    "value",
    [
        Decimal("1.50"),
        (1, (2, 3)),
        {7: "seven", (1, 2): date(2030, 1, 1)},
        {"nested": [{1, 2}, b"bytes"]},
        2**80,
    ],
    ids=repr,
)
def test_a_value_comes_back_as_it_was(client: Client, value: Any) -> None:
    found = round_trip(client, value)

    assert (found, type(found)) == (value, type(value))


@pytest.mark.parametrize(
    ("value", "parent"),
    [(mark_safe("<b>bold</b>"), "<b>bold</b>"), (SafeString("x"), "x"), (Size.SMALL, "S")],
    ids=["mark_safe", "SafeString", "TextChoices"],
)
def test_a_subclass_of_djangos_comes_back_as_its_parent(
    client: Client, value: Any, parent: str
) -> None:
    found = round_trip(client, {"in": value})

    assert found == {"in": parent}
    assert type(found["in"]) is str


def test_lazy_text_is_refused_on_the_guilty_line(client: Client) -> None:
    """As by Django's own serializer: it is another text for the next language."""

    def put(request: HttpRequest) -> None:
        with pytest.raises(UnsupportedValue, match=r"greeting\.text"):
            request.session["greeting"] = {"text": gettext_lazy("Hello")}

    answer(put)
    assert client.get("/").status_code == 200
