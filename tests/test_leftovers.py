"""A test that fails does not fail others."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
TESTS = """
import gc, socket, subprocess, sys
from pathlib import Path
import pytest
from tests.servers.process import ServerProcess

LEAVES = {
    "process": lambda: subprocess.Popen([sys.executable, "-c", ""]),
    "socket": socket.socket,
    "server": lambda: start(ServerProcess(SERVER, log=Path("log"))),
}
SERVER = [sys.executable, "-c", "import time; time.sleep(600)"]
PIDS = []

def start(server):
    server.start(lambda: None)
    PIDS.append(server.process.pid)
    return server

@pytest.mark.parametrize("name", LEAVES)
def test_one(name):
    left = LEAVES[name]()
    cycle = [left]
    cycle.append(cycle)
    assert not left

def test_other():
    gc.collect()
    for pid in PIDS:
        assert not Path(f"/proc/{pid}").exists()
"""


def test_what_a_failed_test_leaves_fails_no_other(tmp_path: Path) -> None:
    """Neither its processes, which are ended, nor its sockets."""
    (tmp_path / "test_leaving.py").write_text(TESTS)
    command = [sys.executable, "-m", "pytest", "-q", "-W", "error", "-p", "no:cacheprovider"]
    result = subprocess.run(
        [*command, "-p", "tests.support.leftovers", "test_leaving.py"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert "3 failed, 1 passed" in result.stdout, result.stdout + result.stderr
