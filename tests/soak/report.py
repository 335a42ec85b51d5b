"""What happened in one run, and what of it must not have."""

from __future__ import annotations

import math
import statistics
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from tests.soak.faults import Fault, Refusal
from tests.soak.notes import Notes, Promise


@dataclass
class Struck:
    """A fault that has happened."""

    name: str
    fault: Fault
    begun: float
    ended: float
    """When a bare client found the store well again."""
    effect: int | None
    """How often it was done."""
    reads_again: float = math.inf

    def touches(self, refusal: Refusal, recovers: float) -> bool:
        """Whether it may be why that request was refused."""
        if not self.fault.allows(refusal):
            return False
        well = min(self.ended, self.reads_again) if refusal.kind == "read" else self.ended
        until = well + max(recovers, self.fault.lingers)
        return refusal.begun <= until and self.begun <= refusal.ended

    def lasts_at(self, moment: float) -> bool:
        return self.begun <= moment <= self.ended


@dataclass
class Report:
    """What happened. :attr:`failures` says what must not have."""

    store: str
    title: str
    struck: list[Struck]
    notes: Notes
    recovers: float
    """Seconds after a store is well in which a request may still be refused."""

    @property
    def failures(self) -> list[str]:
        broken = self.notes.violations.items()
        wrong = [f"{promise}: {what}, {times} times" for (promise, what), times in broken]
        for one in self.struck:
            if not (self._refused_in(one) if one.effect is None else one.effect):
                wrong.append(f"nobody has noticed that the store was {one.name}")
        found = Counter(map(self._describe, self._unexcused()))
        return wrong + [f"{what}, {times} times" for what, times in found.items()]

    def count(self, promise: Promise) -> int:
        return sum(n for (broken, _), n in self.notes.violations.items() if broken == promise)

    @property
    def names(self) -> Counter[str]:
        """The faults, and how often each happened."""
        return Counter(one.name for one in self.struck)

    @property
    def requests(self) -> int:
        """Those that need the store."""
        answers = self.notes.answers.items()
        return sum(n for name, n in answers if not name.startswith("plain"))

    @property
    def writes(self) -> int:
        """Those that were confirmed."""
        return self.notes.answers["write 200"]

    @property
    def slowest_recovery(self) -> float:
        """Seconds from a store that is well to the last request that was refused still."""
        return max((max(self._after(one), default=0.0) for one in self.struck), default=0.0)

    def _after(self, one: Struck) -> Iterator[float]:
        at = self.struck.index(one)
        until = self.struck[at + 1].begun if at + 1 < len(self.struck) else math.inf
        for refusal in self.notes.refusals:
            if one.ended < refusal.begun and refusal.ended < until and refusal.status:
                yield refusal.begun - one.ended

    def _refused_in(self, one: Struck) -> bool:
        return any(one.touches(refusal, 0.0) for refusal in self.notes.refusals)

    def _unexcused(self) -> Iterator[Refusal]:
        """The refusals that no fault allows. Before the first one all come at once, to a store that
        makes its tables, and are no sign of anything."""
        for refusal in self.notes.refusals:
            if refusal.ended < self.struck[0].begun:
                continue
            if not any(one.touches(refusal, self.recovers) for one in self.struck):
                yield refusal

    def _describe(self, refusal: Refusal) -> str:
        last = [one for one in self.struck if one.begun <= refusal.ended][-1]
        told = f"served: a {refusal.kind} was answered {refusal.status or 'nothing'}"
        when = "while" if refusal.begun <= last.ended else "after"
        return f"{told} {when} the store was {last.name}"

    def __str__(self) -> str:
        notes, failures = self.notes, self.failures
        statuses: Counter[str] = Counter()
        for name, count in notes.answers.items():
            kind, _, status = name.partition(" ")
            statuses[status] += count if kind != "plain" else 0
        during = [took for at, took in notes.waits if self._disturbed(at)]
        between = [took for at, took in notes.waits if not self._disturbed(at)]
        lines = [
            self.title,
            f"  requests that need the store: {self.requests}; answered 2xx: {statuses['200']}, "
            f"503: {statuses['503']}, 401: {statuses['401']}, nothing: {statuses['0']}; "
            f"slowest {notes.slowest:.2f} s",
            f"  pages that do not: {notes.answers['plain 200']} answered 2xx; median and slowest "
            f"{_told(between)}, during faults {_told(during)}",
            "  faults: " + ", ".join(map(self._told_fault, self.struck)),
            f"  compared at the end: {notes.checked} sessions, {self.writes} confirmed writes, "
            f"{notes.dead} dead cookies; slowest recovery {self.slowest_recovery:.1f} s",
            *(f"  WRONG: {failure}" for failure in failures),
            "  failed" if failures else "  nothing lost, nothing half there, nobody mistaken",
        ]
        return "\n".join(lines)

    def _told_fault(self, one: Struck) -> str:
        """Its name, how long it took, in how many it consisted, and how many it refused."""
        refused = sum(one.touches(refusal, self.recovers) for refusal in self.notes.refusals)
        times = "" if one.effect is None else f", {one.effect} times"
        recovery = max(self._after(one), default=0.0)
        lasted = one.ended - one.begun
        if one.reads_again < math.inf:
            times = f", a bare client reads after {one.reads_again - one.begun:.1f} s"
        return f"{one.name} ({lasted:.1f} s{times}, {refused} refused, then {recovery:.1f} s)"

    def _disturbed(self, moment: float) -> bool:
        return any(one.lasts_at(moment) for one in self.struck)


def _told(waits: list[float]) -> str:
    if not waits:
        return "-"
    return f"{statistics.median(waits) * 1000:.1f} and {max(waits) * 1000:.0f} ms"
