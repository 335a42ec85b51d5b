"""A shop in FastAPI, by threads: a login, and a cart that is changed in place.

    pip install wsgi-sessions fastapi python-multipart uvicorn
    uvicorn --app-dir examples fastapi_app:app

The sessions are in an SQLite file in the working directory, or where the environment's
``WSGI_SESSIONS_STORE`` says; ``WSGI_SESSIONS_SECRET`` signs the cookies.

A session waits for its store, and what waits on the event loop stops every other request of the
process: so endpoints that use it are plain functions (``def``), which FastAPI runs in threads, and
:class:`SessionRoute` commits in a thread too.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from html import escape
from typing import Annotated

from fastapi import APIRouter, FastAPI, Form, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse
from fastapi.routing import APIRoute
from starlette.concurrency import run_in_threadpool

from wsgi_sessions import SessionManager, StoreError
from wsgi_sessions.manager import Finished

PAGE = """<!doctype html>
<title>Shop</title>
<p>Hello, <b>{user}</b>.</p>
<form method="post" action="/login"><input name="user" required> <button>Log in</button></form>
<form method="post" action="/add"><input name="item" required> <button>Add</button></form>
<form method="post" action="/logout"><button>Log out</button></form>
<ul>
{cart}</ul>
"""

# What two requests at the same time put into the cart is all kept.
manager = SessionManager(merge_keys=["cart"])


class SessionRoute(APIRoute):
    """A route whose requests have a session: opened before, committed after the endpoint."""

    def get_route_handler(self) -> Callable[[Request], Awaitable[Response]]:
        handle = super().get_route_handler()

        async def with_session(request: Request) -> Response:
            secure = request.url.scheme == "https"
            environ = {
                "wsgi.url_scheme": request.url.scheme,
                "HTTP_HOST": request.headers.get("host", ""),
                "HTTP_USER_AGENT": request.headers.get("user-agent", ""),
            }
            cookies = request.headers.get("cookie")
            session = request.state.session = manager.open(cookies, environ)  # no I/O
            try:
                response = await handle(request)
                lines = response.raw_headers
                headers = [(name.decode("latin-1"), text.decode("latin-1")) for name, text in lines]
                # A body that is streamed is sent later, and finds the session closed.
                finished = await run_in_threadpool(
                    manager.finish, session, "", headers, secure=secure, streams=False
                )
            except StoreError:  # of a read in the endpoint
                response, finished = Response(), manager.unavailable(session, secure=secure)
            except BaseException:  # an HTTPException too: then nothing is saved
                manager.abandon(session)
                raise
            return replaced(response, finished)

        return with_session


def replaced(response: Response, finished: Finished) -> Response:
    """*response* as the manager has finished it; or all of the 503."""
    if finished.body is not None:
        response = Response(finished.body, 503)
    response.raw_headers = [
        (name.lower().encode("latin-1"), text.encode("latin-1")) for name, text in finished.headers
    ]
    return response


Field = Annotated[str, Form()]
shop = APIRouter(route_class=SessionRoute)


@shop.get("/")
def index(request: Request) -> Response:
    session = request.state.session
    cart = session.get("cart", {}).items()
    page = PAGE.format(
        user=escape(session.owner or "stranger"),
        cart="".join(f"  <li>{count} &times; {escape(item)}</li>\n" for item, count in cart),
    )
    return HTMLResponse(page)


@shop.post("/add")
def add(request: Request, item: Field) -> Response:
    cart = request.state.session.setdefault("cart", {})
    cart[item] = cart.get(item, 0) + 1  # noticed, although it is inside
    return RedirectResponse("/", 303)


@shop.post("/login")
def log_in(request: Request, user: Field) -> Response:
    request.state.session.login(user)  # a real shop asks for a password; the old cookie is dead
    return RedirectResponse("/", 303)


@shop.post("/logout")
def log_out(request: Request) -> Response:
    request.state.session.invalidate()  # the record is deleted, the cookie expired
    return RedirectResponse("/", 303)


app = FastAPI()
app.include_router(shop)
