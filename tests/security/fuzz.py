"""``make fuzz``: tries inputs until the time is over, or one does harm.

By atheris, which looks which inputs reach new code, where it is installed (``pip install
atheris``); else by hypothesis. The number of inputs is printed at the end.
"""

from __future__ import annotations

import argparse
import logging
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

Check = Callable[[bytes], None]


def by_atheris(seconds: int) -> None:
    """Does not return: libFuzzer ends the process."""
    import atheris

    with atheris.instrument_imports(include=["wsgi_sessions"]):
        from tests.security.targets import SEEDS, TARGETS

    directory = Path(tempfile.mkdtemp(prefix="wsgi-sessions-fuzz-"))
    for number, check in enumerate(TARGETS):
        (directory / check.__name__).write_bytes(bytes([number]) + SEEDS[check])

    def one(data: bytes) -> None:
        if data:
            TARGETS[data[0] % len(TARGETS)](data[1:])

    limits = [f"-max_total_time={seconds}", "-timeout=10", "-rss_limit_mb=1024", "-max_len=4096"]
    atheris.Setup([sys.argv[0], *limits, f"-artifact_prefix={directory}/", str(directory)], one)
    atheris.Fuzz()


def by_hypothesis(seconds: int) -> None:
    from hypothesis import HealthCheck, given, settings

    from tests.security.inputs import inputs
    from tests.security.targets import TARGETS

    tried = 0
    end = time.monotonic() + seconds
    profile = settings(
        max_examples=2_000, deadline=None, database=None, suppress_health_check=list(HealthCheck)
    )

    def run(check: Check) -> None:
        @profile
        @given(inputs(check))
        def one(data: bytes) -> None:
            nonlocal tried
            tried += 1
            check(data)

        one()

    while time.monotonic() < end:
        for check in TARGETS:
            run(check)
    print(f"Done {tried} runs in {seconds} second(s), by hypothesis")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Try inputs until the time is over.")
    parser.add_argument("--seconds", type=int, default=60)
    arguments = parser.parse_args()
    logging.getLogger("wsgi_sessions").addHandler(logging.NullHandler())  # not to the screen
    try:
        import atheris  # noqa: F401
    except ImportError:
        by_hypothesis(arguments.seconds)
    else:
        by_atheris(arguments.seconds)
