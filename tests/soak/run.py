"""One run: a store, gunicorn before it, visitors, and faults of 2 s in every 5.

On a machine with much to do it takes longer: a fault lasts until somebody has noticed it, and the
next one waits until writes have succeeded.
"""

from __future__ import annotations

import itertools
import multiprocessing
import time
from collections.abc import Collection, Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from tests.soak.faults import Fault, around_the_store
from tests.soak.matrix import faults_of
from tests.soak.notes import total
from tests.soak.report import Report, Struck
from tests.soak.shared import Run
from tests.soak.targets import TARGETS
from tests.soak.visitors import PAUSE, SESSIONS, join, look_on, visit
from tests.support.serving import gunicorn

EVERY, LASTS = 5.0, 2.0  # seconds
RECOVERS = 2.0  # seconds: a breaker's one, a probe that fails, the next
WORKERS, THREADS = 2, 25  # so 50 stalled requests would hold all


def soak(
    name: str,
    directory: Path,
    *,
    seconds: float,
    on_store_error: str,
    processes: int,
    every: float = EVERY,
    lasts: float = LASTS,
    recovers: float = RECOVERS,
    url_options: str = "",
    chosen: Collection[str] = (),
) -> Report:
    """Break the store of that name under *processes* of visitors, *lasts* seconds in *every*, by
    each fault at least once, or by those that are *chosen*. A request may be refused until
    *recovers* seconds after a fault. *url_options* are put behind the store's URL."""
    context = multiprocessing.get_context("spawn")
    with TARGETS[name](directory) as target:
        run = Run(
            context,
            processes + 1,
            anonymous=on_store_error == "anonymous",
            pause=PAUSE / target.load,
        )
        around = around_the_store(directory, run)
        faults = {**around, **target.faults}
        missing = set(faults_of(name)) ^ set(faults)
        assert missing <= {"full"}, f"{name} has other faults than matrix.py says: {missing}"
        faults = {name: faults[name] for name in chosen or faults}
        store = target.url
        if url_options:
            store += f"{'&' if '?' in store else '?'}{url_options}"
        with (
            gunicorn(
                "tests.soak.application:app",
                directory,
                *("--workers", str(WORKERS), "--threads", str(THREADS), "--keep-alive", "75"),
                SOAK_STORE=store,
                SOAK_DIRECTORY=str(directory),
                SOAK_ON_STORE_ERROR=on_store_error,
                **target.environment,
            ) as url,
            ProcessPoolExecutor(processes + 1, context, join, (run,)) as pool,
        ):
            running = [pool.submit(visit, url) for _ in range(processes)]
            running.append(pool.submit(look_on, url))
            run.begun.wait(120)
            rounds = max(len(faults), round(seconds / every))
            try:
                struck = list(_break(run, faults, rounds, every, lasts))
            finally:
                run.over.set()
            notes = total([one.result() for one in running])
    who = f"{processes * SESSIONS} sessions of {processes} processes"
    title = f"{name}, on_store_error={on_store_error!r}, {who}, {rounds * every:g} s"
    return Report(name, title, struck, notes, recovers)


def _break(
    run: Run, faults: dict[str, Fault], rounds: int, every: float, lasts: float
) -> Iterator[Struck]:
    """Fault after fault."""
    for name in itertools.islice(itertools.cycle(faults), rounds):
        round_ends, fault = time.monotonic() + every, faults[name]
        run.wait_for_writes()
        time.sleep((every - lasts) / 2)
        begun = time.monotonic()
        fault.begin()
        if fault.effect is None:
            run.wait_for_a_refusal()
        time.sleep(max(0.0, begun + lasts - time.monotonic()))
        fault.finish()
        ended = begun if fault.momentary else time.monotonic()
        effect = None if fault.effect is None else fault.effect()
        yield Struck(name, fault, begun, ended, effect, fault.reads_again())
        time.sleep(max(0.0, round_ends - time.monotonic()))
