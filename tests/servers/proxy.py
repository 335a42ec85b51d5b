"""A TCP proxy that misbehaves when it is told to."""

from __future__ import annotations

import contextlib
import re
import socket
import threading
from collections.abc import Callable
from types import TracebackType

from tests.servers.process import free_port

_CHUNK = 1 << 16
_NONE = re.compile(rb"(?!)")


class FaultProxy:
    """Passes connections to a server on to it, and breaks them as told, at any byte.

    A lasting fault (:meth:`refuse`, :meth:`stall`, :meth:`delay`, :meth:`drip`, :meth:`hinder`)
    holds for all connections until :meth:`restore`. A single fault (:meth:`cut_reply_after`,
    :meth:`stop_reply_after`, :meth:`cut_request_after`) strikes the first connection that gets
    there, once. Bytes are counted from the moment it is set, for each connection on its own.

    "Request" is what comes from the client, "reply" what comes from the server; the proxy knows
    nothing of the protocol.
    """

    def __init__(self, upstream_port: int, upstream_host: str = "127.0.0.1") -> None:
        self._upstream = (upstream_host, upstream_port)
        self._lock = threading.Lock()
        self._links: set[_Link] = set()
        self._fault: _Fault | None = None
        self._delay = 0.0
        self._drip = 0.0
        self._hindered: tuple[re.Pattern[bytes], float | None] | None = None
        self._flowing = threading.Event()
        self._flowing.set()
        self._in_time = threading.Event()
        self.holding = threading.Event()
        """Set as soon as :meth:`stall` or :meth:`delay` holds something back, until restored."""
        self.accepted = 0
        """The number of connections that clients have opened so far."""
        self._listener = _bound()
        self.port: int = self._listener.getsockname()[1]
        self._accepting: threading.Thread | None = None
        self._listen()

    def __enter__(self) -> FaultProxy:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    # -- lasting faults ------------------------------------------------------------------------

    def refuse(self) -> None:
        """Cut all connections; new ones are refused. Nobody else gets the port."""
        if self._accepting is not None:
            with contextlib.suppress(OSError):
                self._listener.shutdown(socket.SHUT_RDWR)
            self._accepting.join(20)
            self._accepting = None
            self._listener.close()
            self._listener = _bound(self.port)
        self.cut()

    def stall(self) -> None:
        """Accept connections and requests, and pass on nothing in either direction."""
        self._flowing.clear()

    def delay(self, seconds: float) -> None:
        """Hold back each piece of a reply for that long, at most until :meth:`restore`."""
        self._in_time.clear()
        self._delay = seconds

    def drip(self, seconds: float) -> None:
        """Pass on replies byte by byte, with a pause after each."""
        self._in_time.clear()
        self._drip = seconds

    def hinder(self, requests: re.Pattern[bytes], seconds: float | None) -> None:
        """Hold back each piece of a request in which *requests* is found for that long; ``None``:
        close its connection instead."""
        self._in_time.clear()
        self._hindered = requests, seconds

    def restore(self) -> None:
        """Behave from now on. What was held back is passed on."""
        self._fault = self._hindered = None
        self._flow()
        self.holding.clear()
        if self._accepting is None:
            self._listen()

    # -- single faults -------------------------------------------------------------------------

    def cut(self) -> None:
        """Close the connections that are open now, on both sides."""
        for link in self._open_links():
            link.cut()

    def forget(self) -> int:
        """Pass on nothing more over the connections that are open now, and say so to nobody, as
        balancers and firewalls do with idle ones. New connections are served. How many it were."""
        links = [link for link in self._open_links() if not link.forgotten]
        for link in links:
            link.forgotten = True
        return len(links)

    def cut_reply_after(self, count: int) -> None:
        """Pass on *count* bytes of a reply, then close. 0: it was done, nobody hears of it."""
        self._fault = _Fault("reply", count, close=True)

    def stop_reply_after(self, count: int) -> None:
        """Pass on *count* bytes of a reply, then nothing more; the connection stays open."""
        self._fault = _Fault("reply", count, close=False)

    def cut_request_after(self, count: int) -> None:
        """Pass on *count* bytes of a request, then close."""
        self._fault = _Fault("request", count, close=True)

    def redirect(self, upstream_port: int) -> None:
        """Take new connections to another server, as after a failover behind one address."""
        self._upstream = (self._upstream[0], upstream_port)

    # -- the rest ------------------------------------------------------------------------------

    @property
    def open_connections(self) -> int:
        return len(self._open_links())

    def close(self) -> None:
        self.refuse()
        self._listener.close()
        self._flow()
        for link in self._open_links():
            link.join()

    def _flow(self) -> None:
        self._delay = self._drip = 0.0
        self._in_time.set()
        self._flowing.set()

    def _open_links(self) -> list[_Link]:
        with self._lock:
            return list(self._links)

    def _listen(self) -> None:
        self._listener.listen(128)
        self._accepting = threading.Thread(target=self._accept, daemon=True)
        self._accepting.start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            self.accepted += 1
            try:
                server = socket.create_connection(self._upstream, timeout=30)
            except OSError:
                client.close()
                continue
            server.settimeout(None)
            link = _Link(client, server, self._pass_on, self._forget)
            with self._lock:
                self._links.add(link)
                link.start()

    def _forget(self, link: _Link) -> None:
        with self._lock:
            self._links.discard(link)

    def _pass_on(self, link: _Link, direction: str, data: bytes) -> bytes | None:
        """What of *data* may pass; ``None``: nothing, and the connection is to be closed."""
        if direction == "request" and self._cuts(data):
            return None
        if direction == "reply" and self._delay:
            self.holding.set()
            self._in_time.wait(self._delay)
        if not self._flowing.is_set():
            self.holding.set()
            self._flowing.wait()
        while direction == "reply" and self._drip and data:
            link.send(direction, data[:1])
            data = data[1:]
            self._in_time.wait(self._drip)
        if link.forgotten or link.silenced == direction:
            return b""
        with self._lock:
            fault = self._fault
            if fault is None or fault.direction != direction:
                return data
            passed = fault.passed.get(link, 0)
            if passed + len(data) < fault.count:
                fault.passed[link] = passed + len(data)
                return data
            self._fault = None
        rest = data[: fault.count - passed]
        if fault.close:
            link.send(direction, rest)
            return None
        link.silenced = direction
        return rest

    def _cuts(self, request: bytes) -> bool:
        """Hold back *request* if it is hindered, or say that its connection is to be closed."""
        requests, seconds = self._hindered or (_NONE, None)
        if not requests.search(request):
            return False
        self._in_time.wait(seconds or 0.0)
        return seconds is None


def _bound(port: int = 0) -> socket.socket:
    """A socket that may listen on *port*, 0: on one that is free."""
    while True:
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(("127.0.0.1", port or free_port()))
            return listener
        except OSError:  # taken in this moment
            listener.close()
            if port:
                raise


class _Fault:
    """One single fault that waits for its byte."""

    def __init__(self, direction: str, count: int, *, close: bool) -> None:
        self.direction, self.count, self.close = direction, count, close
        self.passed: dict[_Link, int] = {}


class _Link:
    """One connection through the proxy: two sockets and a thread for each direction."""

    def __init__(
        self,
        client: socket.socket,
        server: socket.socket,
        pass_on: Callable[[_Link, str, bytes], bytes | None],
        forget: Callable[[_Link], None],
    ) -> None:
        self._ends = {"request": (client, server), "reply": (server, client)}
        self._pass_on, self._forget = pass_on, forget
        self.silenced: str | None = None
        self.forgotten = False
        self._running = 2
        self._lock = threading.Lock()
        self._threads = [
            threading.Thread(target=self._pump, args=(direction,), daemon=True)
            for direction in self._ends
        ]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def join(self) -> None:
        for thread in self._threads:
            thread.join(10)

    def cut(self) -> None:
        """Wake both threads; they close the sockets."""
        with self._lock:  # not while they are closed: another's may get the number
            for end in self._ends["request"]:
                with contextlib.suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)

    def send(self, direction: str, data: bytes) -> None:
        with contextlib.suppress(OSError):
            self._ends[direction][1].sendall(data)

    def _pump(self, direction: str) -> None:
        source, _ = self._ends[direction]
        try:
            while data := source.recv(_CHUNK):
                passed = self._pass_on(self, direction, data)
                if passed is None:
                    break
                self.send(direction, passed)
        except OSError:
            pass
        self.cut()
        with self._lock:
            self._running -= 1
            last = not self._running
            if last:
                for end in self._ends["request"]:
                    end.close()
        if last:
            self._forget(self)
