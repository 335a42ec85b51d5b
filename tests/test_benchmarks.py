"""``make bench-quick``: everything that is measured can still be measured."""

from __future__ import annotations

import subprocess
import sys


def test_a_quick_run_ends_with_the_targets() -> None:
    """What is not installed here (a peer, wrk, valgrind) is left out and named."""
    command = [sys.executable, "-m", "benchmarks", "--quick"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=1800, check=False)
    assert done.returncode == 0, done.stderr[-4000:]
    assert "| read, Redis / redis.get()" in done.stdout
    assert "lost" in done.stdout
