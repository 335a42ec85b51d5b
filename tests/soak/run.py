"""One run: a store, gunicorn before it, visitors, and faults of 2 s in every 5.

On a machine with much to do it takes longer: a fault lasts until somebody has noticed it, and the
next one waits until writes have succeeded.
"""

from __future__ import annotations

import itertools
import math
import multiprocessing
import statistics
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from tests.soak.faults import TARGETS, Target
from tests.soak.visitors import SESSIONS, TICK, Notes, Run, join, look_on, total, visit
from tests.support.serving import gunicorn

EVERY, LASTS = 5.0, 2.0  # seconds
RECOVERS = 2.0  # seconds: a breaker's one, a probe that fails, the next
WORKERS, THREADS = 2, 25  # so 50 stalled requests would hold all


@dataclass
class Fault:
    kind: str
    begun: float
    ended: float

    def touches(self, moment: float) -> bool:
        return self.begun <= moment <= self.ended


@dataclass
class Report:
    """What happened. :attr:`failures` says what must not have."""

    title: str
    faults: list[Fault]
    notes: Notes
    refusals: set[int]
    """The statuses that tell of a store that does not work."""

    @property
    def failures(self) -> list[str]:
        wrong = sorted(set(self.notes.violations))
        for fault, then in zip(self.faults, [*self.faults[1:], None], strict=True):
            if not self._answered(fault.begun, fault.ended + 0.5, self.refusals):
                wrong.append(f"nobody has noticed that the store was {fault.kind}")
            until = math.inf if then is None else then.begun
            enough = until - fault.ended > RECOVERS
            if enough and not self._answered(fault.ended, until, {200}):
                wrong.append(f"the store was not found again after it was {fault.kind}")
        return wrong

    def _answered(self, begun: float, ended: float, statuses: set[int]) -> int:
        ticks = self.notes.ticks.items()
        return sum(
            count
            for (tick, status), count in ticks
            if status in statuses and int(begun / TICK) <= tick <= ended / TICK
        )

    def __str__(self) -> str:
        answers, failures = self.notes.answers, self.failures
        asked: Counter[str] = Counter()
        for name, count in answers.items():
            kind, _, status = name.partition(" ")
            asked[status] += count if kind != "plain" else 0
        survived = Counter(fault.kind for fault in self.faults)
        during = [took for at, took in self.notes.waits if self._disturbed(at)]
        between = [took for at, took in self.notes.waits if not self._disturbed(at)]
        slowest = max(took for kind, took in self.notes.slowest.items() if kind != "plain")
        lines = [
            self.title,
            f"  requests that need the store: {asked.total()}; answered 2xx: {asked['200']}, "
            f"503: {asked['503']}, 401: {asked['401']}; slowest {slowest:.2f} s",
            f"  pages that do not: {answers['plain 200']} answered 2xx; median and slowest "
            f"{_told(between)}, during faults {_told(during)}",
            "  faults: " + ", ".join(f"{kind} {times}" for kind, times in survived.items()),
            f"  compared at the end: {self.notes.checked} sessions, "
            f"{answers['write 200']} confirmed writes, {self.notes.dead} dead cookies",
            *(f"  WRONG: {failure}" for failure in failures),
            "  failed" if failures else "  nothing lost, nothing half there, nobody mistaken",
        ]
        return "\n".join(lines)

    def _disturbed(self, moment: float) -> bool:
        return any(fault.touches(moment) for fault in self.faults)


def _told(waits: list[float]) -> str:
    if not waits:
        return "-"
    return f"{statistics.median(waits) * 1000:.1f} and {max(waits) * 1000:.0f} ms"


def soak(
    name: str,
    directory: Path,
    *,
    seconds: float,
    on_store_error: str,
    processes: int,
    every: float = EVERY,
    lasts: float = LASTS,
) -> Report:
    """Break the store of that name under *processes* of visitors, *lasts* seconds in *every*."""
    context = multiprocessing.get_context("spawn")
    anonymous = on_store_error == "anonymous"
    refusals = {401, 503} if anonymous else {503}
    run = Run(context, processes + 1, refusals)
    with (
        TARGETS[name](directory) as target,
        gunicorn(
            "tests.soak.application:app",
            directory,
            *("--workers", str(WORKERS), "--threads", str(THREADS), "--keep-alive", "75"),
            SOAK_STORE=target.url,
            SOAK_ON_STORE_ERROR=on_store_error,
            **target.environment,
        ) as url,
        ProcessPoolExecutor(processes + 1, context, join, (run,)) as pool,
    ):
        running = [pool.submit(visit, url, anonymous) for _ in range(processes)]
        running.append(pool.submit(look_on, url))
        run.begun.wait(120)
        try:
            faults = list(_break(run, target, round(seconds / every), every, lasts))
        finally:
            run.over.set()
        notes = total([one.result() for one in running])
    who = f"{processes * SESSIONS} sessions of {processes} processes"
    title = f"{name}, on_store_error={on_store_error!r}, {who}, {seconds:g} s"
    return Report(title, faults, notes, refusals)


def _break(run: Run, target: Target, rounds: int, every: float, lasts: float) -> Iterator[Fault]:
    """Fault after fault."""
    for kind in itertools.islice(itertools.cycle(target.faults), rounds):
        round_ends = time.monotonic() + every
        begin, finish = target.faults[kind]
        run.wait_for_writes()
        time.sleep((every - lasts) / 2)
        begun = time.monotonic()
        begin()
        run.wait_for_a_refusal()
        time.sleep(max(0.0, begun + lasts - time.monotonic()))
        finish()
        yield Fault(kind, begun, time.monotonic())
        time.sleep(max(0.0, round_ends - time.monotonic()))
