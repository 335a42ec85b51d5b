"""``python -m tests.soak [--seconds 60] [redis postgresql memcached sqlite dynamodb …]``"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

import pytest

from tests.soak.run import soak
from tests.soak.table import machine, table
from tests.soak.targets import TARGETS


def main() -> int:
    parser = argparse.ArgumentParser(description="Break the stores under load.")
    parser.add_argument("stores", nargs="*", metavar="store", help=f"of {', '.join(TARGETS)}")
    parser.add_argument("--seconds", type=int, default=60, help="for each run (60)")
    parser.add_argument("--processes", type=int, default=4, help="with 25 sessions each (4)")
    parser.add_argument(
        "--answer", type=float, default=0.5, help="the stores' time limit for an answer (0.5)"
    )
    parser.add_argument("--on-store-error", choices=["raise", "anonymous"], default="raise")
    arguments = parser.parse_args()
    reports = []
    for name in arguments.stores or TARGETS:
        with tempfile.TemporaryDirectory(prefix="wsgi-sessions-soak-") as directory:
            try:
                report = soak(
                    name,
                    Path(directory),
                    seconds=arguments.seconds,
                    on_store_error=arguments.on_store_error,
                    processes=arguments.processes,
                    url_options=f"answer_timeout={arguments.answer}",
                )
            except pytest.skip.Exception as reason:
                print(f"{name}: left out: {reason}", flush=True)
                continue
        print(report, flush=True)
        reports.append(report)
    print(f"\n{table(reports)}\n\n{machine()}")
    return 1 if any(report.failures for report in reports) else 0


if __name__ == "__main__":
    sys.exit(main())
