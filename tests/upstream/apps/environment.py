"""A virtual environment for each application, since what they need excludes each other."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.servers.process import unavailable
from tests.support.serving import ROOT

OURS = ("ormsgpack>=1.13.1", "hiredis", "gunicorn>=22")
"""What the library and the tests need in each. What else it needs, the application has or names."""


def environment_with(name: str, requirements: tuple[str, ...]) -> Path:
    """The Python of the environment for the application *name*; made where it is missing or made
    for other *requirements*, which takes up to some minutes. It is kept in ``.venv-apps``."""
    minor = f"{sys.version_info.major}.{sys.version_info.minor}"
    directory = ROOT / ".venv-apps" / f"{name}-{minor}"
    python = directory / "bin" / "python"
    wanted = "\n".join((*requirements, *OURS))
    made_for = directory / "made-for"
    if not made_for.exists() or made_for.read_text() != wanted:
        base = str(Path(sys.base_prefix, "bin", f"python{minor}"))
        run(base, "-m", "venv", "--clear", str(directory))
        run(str(python), "-m", "pip", "install", "--quiet", "--retries=5", *requirements, *OURS)
        made_for.write_text(wanted)
    return python


def run(*command: str) -> None:
    result = subprocess.run(command, capture_output=True, text=True)
    if result.returncode != 0:
        unavailable(f"{' '.join(command)}: {result.stderr[-1500:]}")
