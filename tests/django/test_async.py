"""Asynchronous views: nothing calls the store on the event loop."""

from __future__ import annotations

from asyncio import get_running_loop
from collections.abc import Iterator

import pytest
from asgiref.sync import async_to_sync
from django.contrib.auth.models import User
from django.core.exceptions import SynchronousOnlyOperation
from django.http import HttpRequest
from django.test import AsyncClient, Client

from tests.django.project import answer, answer_async
from tests.support.recording import RecordingStore

django_auth = pytest.importorskip("django.contrib.auth")


@pytest.fixture(autouse=True)
def nothing_on_the_event_loop(
    store: RecordingStore, monkeypatch: pytest.MonkeyPatch
) -> Iterator[None]:
    """Every call to the store is made where no loop runs."""
    on_loop: list[str] = []
    note = store._note

    def watch(name: str) -> None:
        try:
            get_running_loop()
        except RuntimeError:
            pass
        else:
            on_loop.append(name)
        note(name)

    monkeypatch.setattr(store, "_note", watch)
    yield
    assert on_loop == []


def get(client: AsyncClient) -> str:
    return async_to_sync(client.get)("/async/").content.decode()  # type: ignore[no-any-return]


def begun() -> AsyncClient:
    """A client with a session in which there is ``mine``."""
    client = AsyncClient()
    answer_async(lambda request: request.session.aset("mine", 1))
    get(client)
    return client


def test_the_asynchronous_methods_read_and_write(client: Client) -> None:
    visitor = begun()

    async def view(request: HttpRequest) -> object:
        session = request.session
        await session.aupdate({"x": [1]})
        (await session.aget("x")).append(2)
        await session.asetdefault("y", 3)
        assert await session.apop("mine") == 1
        assert await session.ahas_key("x")
        return sorted(await session.akeys())

    answer_async(view)

    assert get(visitor) == "['x', 'y']"
    answer_async(lambda request: request.session.aget("x"))
    assert get(visitor) == "[1, 2]"


def test_an_untouched_request_calls_no_store(client: Client, store: RecordingStore) -> None:
    visitor = begun()
    store.pop_calls()

    async def view(request: HttpRequest) -> str:
        return "plain"

    answer_async(view)
    response = async_to_sync(visitor.get)("/async/")

    assert (store.pop_calls(), dict(response.cookies)) == ([], {})
    assert "Vary" not in response.headers


def test_a_look_that_would_load_on_the_event_loop_is_refused(client: Client) -> None:
    """As Django's database does; after an awaited look it is not."""
    visitor = begun()

    async def view(request: HttpRequest) -> object:
        with pytest.raises(SynchronousOnlyOperation, match="await"):
            request.session["mine"]
        await request.session.aget("mine")
        return request.session["mine"]

    answer_async(view)

    assert get(visitor) == "1"


def test_a_visitor_without_a_cookie_loads_nothing_and_may_look(client: Client) -> None:
    visitor = AsyncClient(headers={"cookie": "csrftoken=x; other=y"})

    async def view(request: HttpRequest) -> object:
        request.session["mine"] = 1
        return request.session.get("x")

    answer_async(view)

    assert get(visitor) == "None"
    answer_async(lambda request: request.session.aget("mine"))
    assert get(visitor) == "1"


def test_the_key_is_known_without_a_load(client: Client, store: RecordingStore) -> None:
    """As Django gives it: what the cookie claims."""
    visitor = begun()

    async def view(request: HttpRequest) -> object:
        claimed = request.session.session_key
        await request.session.aget("mine")
        return (len(claimed), claimed == request.session.session_key)

    answer_async(view)

    assert get(visitor) == "(40, True)"


@pytest.mark.skipif(
    not hasattr(django_auth, "alogin"), reason="this Django has no asynchronous sessions"
)
def test_a_login_and_a_logout(client: Client, user: User) -> None:
    visitor = begun()

    async def enter(request: HttpRequest) -> None:
        await django_auth.alogin(request, user)
        await request.session.aset_expiry(900)

    async def who(request: HttpRequest) -> str:
        return str(await request.auser())

    async def leave(request: HttpRequest) -> None:
        await django_auth.alogout(request)

    answer_async(enter)
    get(visitor)
    answer_async(who)
    logged_in = get(visitor)
    answer_async(lambda request: request.session.aget_expiry_age())
    age = get(visitor)
    answer_async(leave)
    get(visitor)
    answer_async(who)

    assert (logged_in, age, get(visitor)) == ("'ann'", "900", "'AnonymousUser'")


def test_a_synchronous_view_under_asgi(client: Client) -> None:
    visitor = AsyncClient()
    answer(lambda request: request.session.update({"x": 1}))
    async_to_sync(visitor.get)("/")
    answer(lambda request: request.session["x"])

    assert async_to_sync(visitor.get)("/").content == b"1"
