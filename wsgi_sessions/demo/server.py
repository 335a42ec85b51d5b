"""Serves an application with gunicorn until Ctrl-C."""

from __future__ import annotations

import signal
import socket
from collections.abc import Callable
from typing import Any
from wsgiref.types import WSGIApplication

from gunicorn.app.base import BaseApplication  # type: ignore[import-untyped]

__all__ = ["Server"]

_THREADS = 4
_PATIENCE = 2  # seconds: a worker that is being started when Ctrl-C comes does not hear it


class Server(BaseApplication):  # type: ignore[misc]
    """*app* on *listener*, which it takes over. *opened* is called when requests are accepted."""

    def __init__(
        self,
        app: WSGIApplication,
        listener: socket.socket,
        *,
        workers: int,
        opened: Callable[[], object],
    ) -> None:
        self._app = app
        self._opened = opened
        self._options = {
            "bind": f"fd://{listener.detach()}",
            "workers": workers,
            "worker_class": "gthread",
            "threads": _THREADS,
            "graceful_timeout": _PATIENCE,
            "loglevel": "warning",
            "when_ready": self._ready,
            "control_socket_disable": True,
        }
        super().__init__()

    def load_config(self) -> None:
        for name, value in self._options.items():
            if name in self.cfg.settings:  # not every version has each of them
                self.cfg.set(name, value)

    def load(self) -> WSGIApplication:
        return self._app

    def _ready(self, arbiter: Any) -> None:
        # A closed terminal ends it, as Ctrl-C does; gunicorn would load itself anew.
        signal.signal(signal.SIGHUP, lambda *_: arbiter.signal(signal.SIGINT, None))
        self._opened()
