"""Counting instructions: user-space, exact to the percent, whatever else the machine does.

A program that runs under callgrind *marks* the places between which it is to be counted, by a call
of ``getloadavg``, which nobody else makes: callgrind writes down its counters and sets them to zero
whenever that function of the C library is entered. For each mark the program prints a line that
says what was counted since the one before.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

__all__ = ["ValgrindMissing", "counted", "mark"]

mark = os.getloadavg

_SUMMARY = re.compile(r"^summary: (\d+)", re.MULTILINE)


class ValgrindMissing(Exception):
    """``sudo apt-get install valgrind``"""


def counted(module: str, *arguments: str) -> list[tuple[str, int]]:
    """What ``python -m module`` printed for each mark, and the instructions up to it."""
    valgrind = shutil.which("valgrind")
    if valgrind is None:
        raise ValgrindMissing("valgrind is not installed: sudo apt-get install valgrind")
    with tempfile.TemporaryDirectory(prefix="wsgi-sessions-callgrind-") as directory:
        out = Path(directory, "out")
        command = [valgrind, "--quiet", "--tool=callgrind", "--dump-before=getloadavg"]
        command += [f"--callgrind-out-file={out}", sys.executable, "-m", module, *arguments]
        environment = os.environ | {"PYTHONHASHSEED": "0"}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"{module} {arguments[:1]}: {done.stderr[-2000:]}")
        labels = done.stdout.splitlines()
        return [(label, _summary(Path(f"{out}.{n}"))) for n, label in enumerate(labels, start=1)]


def _summary(dump: Path) -> int:
    found = _SUMMARY.search(dump.read_text())
    assert found, "callgrind wrote no summary"
    return int(found[1])
