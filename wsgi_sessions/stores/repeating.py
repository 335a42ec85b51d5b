"""What is sent a second time, and what is said where nobody knows whether the first was done."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Generic, TypeVar

from wsgi_sessions.errors import StoreUnavailable
from wsgi_sessions.stores.shelter import sheltered

__all__ = ["Repeating"]

C = TypeVar("C")
T = TypeVar("T")


class Repeating(ABC, Generic[C]):
    """Carries out commands, functions of what they need of the client, at the server *called*."""

    called: str

    @abstractmethod
    def _ask(self, command: Callable[[C], T], again: Callable[[C], T]) -> tuple[T, bool]:
        """The answer to *command*, or to *again* in a second attempt; and whether the first may
        have been done."""

    def run(self, command: Callable[[C], T]) -> T:
        """The answer to *command*, which is given a second time if that may help."""
        return sheltered(self._ask, command, command)[0]

    def accepted(
        self, write: Callable[[C], bool], again: Callable[[C], bool] | None = None
    ) -> bool:
        """Whether *write* was accepted. If its answer was lost, *again* may know (by default
        *write* itself); where it does not, nobody does."""
        answer, lost = sheltered(self._ask, write, again or write)
        if lost and not answer:
            raise StoreUnavailable(
                f"{self.called}'s answer was lost: the write may or may not have happened"
            )
        return answer
