"""What a program prints in several processes, each with other hashes of strings."""

from __future__ import annotations

import os
import subprocess
import sys

__all__ = ["outputs_of_processes"]


def outputs_of_processes(program: str) -> set[bytes]:
    """The different outputs of *program*: one, if its hashes decide nothing."""
    return {
        subprocess.check_output(
            [sys.executable, "-c", program], env={**os.environ, "PYTHONHASHSEED": seed}
        )
        for seed in ("0", "1", "2", "3")
    }
