"""The source distributions of packages, whose tests are run with our sessions."""

from __future__ import annotations

import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from tests.servers.process import unavailable

__all__ = ["unpack_source"]


def unpack_source(
    package: str, version: str, into: Path, config: pytest.Config, python: str = sys.executable
) -> Path:
    """The directory of *package* in this *version*, unpacked *into* a directory. It is downloaded
    once, by *python*, which has to be able to run it."""
    kept = config.cache.mkdir("upstream")
    name = _plain(f"{package}-{version}.tar.gz")

    def downloaded() -> list[Path]:  # older ones are called Flask-Login, say
        return [path for path in kept.iterdir() if _plain(path.name) == name]

    if not downloaded():
        command = [python, "-m", "pip", "download", "--quiet", "--retries=5", "--no-deps"]
        command += ["--no-binary", package, "--dest", str(kept), f"{package}=={version}"]
        result = subprocess.run(command, capture_output=True, text=True)
        if result.returncode != 0 or not downloaded():
            unavailable(f"the source of {package} cannot be downloaded: {result.stderr[-500:]}")
    [archive] = downloaded()
    with tarfile.open(archive) as source:
        source.extractall(into, filter="data")
    return into / archive.name.removesuffix(".tar.gz")


def _plain(name: str) -> str:
    return name.lower().replace("-", "_")
