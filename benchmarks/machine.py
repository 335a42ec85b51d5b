"""What the figures were measured on. Names no host and no path."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

PACKAGES = [
    *("wsgi-sessions", "ormsgpack", "redis", "hiredis", "pymemcache", "SQLAlchemy", "psycopg"),
    *("Flask", "Flask-Session", "Beaker", "Django", "pyramid", "pyramid-session-redis"),
    *("gunicorn", "gevent"),
]
PROGRAMS = {
    "redis-server": ["--version"],
    "memcached": ["--version"],
    "postgres": ["--version"],
    "valgrind": ["--version"],
    "wrk": ["-v"],
}


def about() -> dict[str, str]:
    """CPU, system, versions, the command and the commit."""
    facts = {
        "cpu": _cpu(),
        "cores": str(os.cpu_count()),
        "kernel": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "command": " ".join(["python -m benchmarks", *sys.argv[1:]]),
        "commit": _commit(),
    }
    for package in PACKAGES:
        try:
            facts[package] = version(package)
        except PackageNotFoundError:
            facts[package] = "not installed"
    for program, arguments in PROGRAMS.items():
        facts[program] = _first_line(program, arguments)
    return facts


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor())


def _commit() -> str:
    """Of this checkout; with ``+`` where files that git knows were changed since."""
    git = ["git", "-C", str(Path(__file__).parent)]
    describe = [*git, "describe", "--always", "--abbrev=12", "--dirty=+", "--exclude=*"]
    done = subprocess.run(describe, capture_output=True, text=True, check=False)
    return done.stdout.strip() or "unknown"


def _first_line(program: str, arguments: list[str]) -> str:
    places = sorted(Path("/").glob(f"usr/lib/postgresql/*/bin/{program}"))
    path = shutil.which(program) or next(map(str, places), None)
    if path is None:
        return "not installed"
    done = subprocess.run([path, *arguments], capture_output=True, text=True, check=False)
    return next(iter(done.stdout.splitlines()), "unknown").partition(" sha=")[0]
