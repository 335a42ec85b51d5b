"""``python -m tests.soak [--seconds 60] [redis postgresql memcached sqlite dynamodb]``"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

import pytest

from tests.soak.faults import TARGETS
from tests.soak.run import soak


def main() -> int:
    parser = argparse.ArgumentParser(description="Break the stores under load.")
    parser.add_argument("stores", nargs="*", metavar="store", help=f"of {', '.join(TARGETS)}")
    parser.add_argument("--seconds", type=int, default=60, help="for each run (60)")
    parser.add_argument("--processes", type=int, default=8, help="with 25 sessions each (8)")
    parser.add_argument("--on-store-error", choices=["raise", "anonymous"])
    arguments = parser.parse_args()
    failed = 0
    for name in arguments.stores or TARGETS:
        chosen = arguments.on_store_error
        for on_store_error in [chosen] if chosen else ["raise", "anonymous"]:
            with tempfile.TemporaryDirectory(prefix="wsgi-sessions-soak-") as directory:
                try:
                    report = soak(
                        name,
                        Path(directory),
                        seconds=arguments.seconds,
                        on_store_error=on_store_error,
                        processes=arguments.processes,
                    )
                except pytest.skip.Exception as reason:
                    print(f"{name}: left out: {reason}", flush=True)
                    continue
            print(report, flush=True)
            failed += bool(report.failures)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
