"""What a fault of a soak is, who may be refused in it, and the faults that need no store."""

from __future__ import annotations

import math
import os
import random
import signal
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from tests.soak.shared import Run

Act = Callable[[], Any]

HOURS = 3.0
"""By which a clock jumps at most, forwards or backwards. A session lives for 24 unused."""


class Refusal(NamedTuple):
    """A request that was not answered as it would have been without a fault."""

    kind: str
    """The page; ``plain`` is the one that needs no session."""
    id: str
    """That of the session, if there was one."""
    status: int
    """0: there was no answer."""
    begun: float
    ended: float


Allows = Callable[[Refusal], bool]


def anything(refusal: Refusal) -> bool:
    """All pages that need the store may be refused, with an answer."""
    return bool(refusal.status) and refusal.kind != "plain"


def writes(refusal: Refusal) -> bool:
    """What only reads is answered 200 the whole time."""
    return anything(refusal) and refusal.kind != "read"


def nothing(refusal: Refusal) -> bool:
    """Nobody may notice."""
    return False


def unanswered(refusal: Refusal) -> bool:
    """Who speaks to a process that is killed hears nothing."""
    return not refusal.status


@dataclass
class Fault:
    """A store, or what is around it, is broken by *begin*; *finish* returns as soon as a bare
    client finds it well again."""

    begin: Act
    finish: Act
    allows: Allows = anything
    """Which requests may be refused, from its beginning until shortly after its end."""
    effect: Callable[[], int] | None = None
    """How often it was done since the last call; ``None``: somebody is refused."""
    momentary: bool = False
    """Whether the store is well as soon as it has begun."""
    lingers: float = 0.0
    """Seconds for which it may be felt afterwards, by what was idle meanwhile."""
    reads_again: Callable[[], float] = lambda: math.inf
    """From when on a bare client can read, though not write."""


@dataclass
class Target:
    """A store, by its URL, and its faults by their names: first those that nobody may notice."""

    url: str
    faults: dict[str, Fault]
    environment: dict[str, str] = field(default_factory=dict)
    load: float = 1.0
    """The part of the visitors that its server can serve."""


class Repeated:
    """Does something again and again, from :meth:`start` to :meth:`stop`, and counts."""

    def __init__(self, act: Act, pause: float) -> None:
        self._act, self._pause = act, pause
        self._over = threading.Event()
        self._thread: threading.Thread | None = None
        self._error: BaseException | None = None
        self._count = 0

    def start(self) -> None:
        self._over.clear()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Raises what the last act has raised."""
        self._over.set()
        if self._thread is not None:
            self._thread.join()
        if self._error is not None:
            raise self._error

    def done(self) -> int:
        count, self._count = self._count, 0
        return count

    def _run(self) -> None:
        try:
            while not self._over.is_set():
                self._act()
                self._count += 1
                self._over.wait(self._pause)
        except BaseException as error:
            self._error = error


def repeated(act: Act, pause: float, allows: Allows, *, afterwards: Act | None = None) -> Fault:
    """A fault that consists of doing *act* again and again."""
    runs = Repeated(act, pause)

    def finish() -> None:
        runs.stop()
        if afterwards is not None:
            afterwards()

    return Fault(runs.start, finish, allows, effect=runs.done)


def around_the_store(directory: Path, run: Run) -> dict[str, Fault]:
    """What happens to the workers themselves, whatever their store: what nobody notices, and that
    both are killed, one after the other."""
    clock = directory / "clock"
    clock.write_text("0")
    running = directory / "workers"
    running.mkdir()

    def jump(seconds: float) -> None:
        with clock.open("r+") as file:  # in one write: a reader finds the one or the other
            file.write(f"{seconds:<20.6f}")

    def kill_the_oldest() -> None:
        pids = sorted(running.iterdir(), key=lambda path: path.stat().st_mtime)
        os.kill(int(pids[0].name), signal.SIGKILL)
        pids[0].unlink()

    def calm() -> None:
        run.wait_for_a_fork()
        run.storm.clear()

    killed = Fault(
        kill_the_oldest, kill_the_oldest, unanswered, effect=lambda: 2, lingers=5 * run.pause
    )
    return {
        "fork storm": Fault(run.storm.set, calm, nothing, effect=run.forks),
        "clock jumps": repeated(
            lambda: jump(random.uniform(-HOURS, HOURS) * 3600),
            0.1,
            nothing,
            afterwards=lambda: jump(0.0),
        ),
        "workers killed": killed,
    }
