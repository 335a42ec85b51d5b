"""Work in many steps: how far it is, and an end between two of them.

How this works. While :func:`steps` runs, Ctrl-C and ``SIGTERM`` only ask for the end: the step that
is being made is finished, and no other begins, so nothing is left half done. A second Ctrl-C ends
the program at once.
"""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import click

__all__ = ["Steps"]

T = TypeVar("T")

REDRAW_STEPS = 50
"""The bar is drawn again after so many."""
SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Steps:
    """``with Steps() as steps: for item in steps.of(items, "Ending sessions"): …``"""

    def __init__(self) -> None:
        self.interrupted: bool = False
        self._handlers: dict[int, object] = {}

    def __enter__(self) -> Steps:
        if threading.current_thread() is threading.main_thread():  # others get no signals
            for number in SIGNALS:
                self._handlers[number] = signal.signal(number, self._interrupt)
        return self

    def __exit__(self, *_: object) -> None:
        self._restore()

    def of(self, items: Iterable[T], label: str, length: int | None = None) -> Iterator[T]:
        """*items*, up to an interruption; with a progress bar if there is a terminal."""
        with _bar(items, label, length) as shown:
            for item in shown:
                if self.interrupted:
                    return
                yield item

    def _interrupt(self, *_: object) -> None:
        self.interrupted = True
        self._restore()

    def _restore(self) -> None:
        for number, handler in self._handlers.items():
            signal.signal(number, handler)  # type: ignore[arg-type]
        self._handlers = {}


@contextmanager
def _bar(items: Iterable[T], label: str, length: int | None) -> Iterator[Iterable[T]]:
    if not sys.stderr.isatty():
        yield items
        return
    with click.progressbar(
        items,
        length=length,
        label=label,
        show_pos=True,
        file=sys.stderr,
        update_min_steps=REDRAW_STEPS,
    ) as bar:
        yield bar
