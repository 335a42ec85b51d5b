"""Servers that have no command: ``python -m tests.served.bodies.launch waitress 8080``.

A server that patches the standard library does so before the application is imported, so everything
is imported where it is used.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

HOST = "127.0.0.1"


def application() -> Any:
    from tests.served.bodies.app import app

    return app


def bjoern(port: int) -> None:
    import bjoern as server

    server.run(application(), HOST, port)


def cheroot(port: int) -> None:
    from cheroot.wsgi import Server

    Server((HOST, port), application(), numthreads=4).start()


def eventlet(port: int) -> None:
    import eventlet as server

    server.monkey_patch()
    import eventlet.wsgi

    # Otherwise it collects 4096 bytes before it sends any.
    listener = eventlet.listen((HOST, port))
    eventlet.wsgi.server(listener, application(), minimum_chunk_size=0)


def gevent(port: int) -> None:
    from gevent.monkey import patch_all

    patch_all()
    from gevent.pywsgi import WSGIServer

    WSGIServer((HOST, port), application()).serve_forever()


def meinheld(port: int) -> None:
    from meinheld import server

    server.listen((HOST, port))
    server.run(application())


def pyruvate(port: int) -> None:
    import pyruvate as server

    server.serve(application(), f"{HOST}:{port}", 4)


def tornado(port: int) -> None:
    import asyncio
    from concurrent.futures import ThreadPoolExecutor

    from tornado.httpserver import HTTPServer
    from tornado.wsgi import WSGIContainer

    async def serve() -> None:
        HTTPServer(WSGIContainer(application(), ThreadPoolExecutor(4))).listen(port, HOST)
        await asyncio.Event().wait()

    asyncio.run(serve())


def twisted(port: int) -> None:
    from twisted.internet import reactor
    from twisted.web.server import Site
    from twisted.web.wsgi import WSGIResource

    running: Any = reactor
    resource = WSGIResource(running, running.getThreadPool(), application())
    running.listenTCP(port, Site(resource), interface=HOST)
    running.run()


def uvicorn_a2wsgi(port: int) -> None:
    import uvicorn
    from a2wsgi import WSGIMiddleware

    uvicorn.run(WSGIMiddleware(application()), host=HOST, port=port)


def uvicorn_asgiref(port: int) -> None:
    import uvicorn
    from asgiref.wsgi import WsgiToAsgi

    uvicorn.run(WsgiToAsgi(application()), host=HOST, port=port)


def waitress(port: int) -> None:
    import waitress as server

    server.serve(application(), host=HOST, port=port, threads=4)


def werkzeug(port: int) -> None:
    from werkzeug.serving import run_simple

    run_simple(HOST, port, application(), threaded=True)


def wsgiref(port: int) -> None:
    from wsgiref.simple_server import make_server

    make_server(HOST, port, application()).serve_forever()


if __name__ == "__main__":
    launch: Callable[[int], None] = globals()[sys.argv[1]]
    launch(int(sys.argv[2]))
