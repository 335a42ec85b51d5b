"""The reports of several runs as one Markdown table, and what they were measured on."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

from tests.soak.notes import Promise
from tests.soak.report import Report

HEAD = (
    "| store | faults | requests | confirmed writes compared | lost | crossed | undone "
    "| slowest recovery, s |\n"
    "| --- | --- | --: | --: | --: | --: | --: | --: |"
)
PACKAGES = (
    "redis",
    "hiredis",
    "pymemcache",
    "SQLAlchemy",
    "psycopg",
    "PyMySQL",
    "pymongo",
    "boto3",
)
PROGRAMS = ("redis-server", "memcached", "postgres", "mariadbd")


def table(reports: Sequence[Report]) -> str:
    """One line a report."""
    return "\n".join([HEAD, *map(_line, reports)])


def _line(report: Report) -> str:
    faults = ", ".join(name + f" {times}" for name, times in report.names.items())
    promises = (Promise.LOST, Promise.CROSSED, Promise.UNDONE)
    figures = [
        f"{report.requests:,}",
        f"{report.writes:,}",
        *(str(report.count(promise)) for promise in promises),
        f"{report.slowest_recovery:.1f}",
    ]
    return f"| {report.store} | {faults} | {' | '.join(figures)} |"


def machine() -> str:
    """Processor, system, and the versions of Python, of client libraries and of servers."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    cpu = next(line.partition(": ")[2] for line in lines if line.startswith("model name"))
    python = f"Python {platform.python_version()}"
    libraries = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    servers = "; ".join(filter(None, map(_version, PROGRAMS)))
    system = f"{platform.system()} {platform.release()}"
    return f"{cpu}, {os.cpu_count()} cores, {system}, {python}; {libraries}; {servers}"


def _version(program: str) -> str:
    """The first line that it says of itself; empty where it is not installed."""
    found = [shutil.which(program), *map(str, Path("/usr").glob(f"lib/postgresql/*/bin/{program}"))]
    path = next(filter(None, found), shutil.which(program, path="/usr/sbin"))
    if path is None:
        return ""
    done = subprocess.run([path, "--version"], capture_output=True, text=True, check=False)
    return done.stdout.partition("\n")[0].partition(" sha=")[0].removeprefix(f"{path}  ")
