"""A virtual environment for each application, since what they need excludes each other."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from tests.servers.process import unavailable
from tests.support.serving import ROOT

OURS = ("ormsgpack>=1.13.1", "hiredis", "gunicorn>=22")
"""What the library and the tests need in each. What else it needs, the application has or names."""

THIS_PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"


def environment_with(
    name: str, requirements: tuple[str, ...], pythons: tuple[str, ...] = (THIS_PYTHON,)
) -> Path:
    """The Python of the environment for the application *name*; made where it is missing or made
    for other *requirements*, which takes up to some minutes. It is kept in ``.venv-apps``. Of the
    versions *pythons* it is this one, or else the last that is installed."""
    minor, base = _chosen(pythons)
    directory = ROOT / ".venv-apps" / f"{name}-{minor}"
    python = directory / "bin" / "python"
    wanted = "\n".join((*requirements, *OURS))
    made_for = directory / "made-for"
    if not made_for.exists() or made_for.read_text() != wanted:
        run(base, "-m", "venv", "--clear", str(directory))
        run(str(python), "-m", "pip", "install", "--quiet", "--retries=5", *requirements, *OURS)
        made_for.write_text(wanted)
    return python


def _chosen(pythons: tuple[str, ...]) -> tuple[str, str]:
    """The version and its program."""
    if THIS_PYTHON in pythons:
        return THIS_PYTHON, str(Path(sys.base_prefix, "bin", f"python{THIS_PYTHON}"))
    by_pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"), "versions")
    for minor in reversed(pythons):
        found = [*map(str, sorted(by_pyenv.glob(f"{minor}.*/bin/python{minor}")))]
        found += filter(None, [shutil.which(f"python{minor}")])
        if found:
            return minor, found[0]
    unavailable(f"Python {' or '.join(pythons)} is not installed: pyenv install {pythons[-1]}")
    raise AssertionError


def run(*command: str) -> None:
    result = subprocess.run(command, capture_output=True, text=True)
    if result.returncode != 0:
        unavailable(f"{' '.join(command)}: {result.stderr[-1500:]}")
