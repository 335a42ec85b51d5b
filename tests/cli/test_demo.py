"""``wsgi-sessions demo`` is ``python -m wsgi_sessions.demo``."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path
from urllib.request import urlopen

SCRIPT = Path(sys.executable).with_name("wsgi-sessions")


def test_demo_serves_the_shop_until_ctrl_c(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [SCRIPT, "demo", "--port", "0", "--store", f"sqlite:///{tmp_path}/demo.db"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdout is not None
    try:
        line = process.stdout.readline()
        address = line.split(" - ")[0].split()[-1]
        with urlopen(address, timeout=30) as page:
            assert page.status == 200
    finally:
        process.send_signal(signal.SIGINT)
        process.stdout.close()
        process.wait(30)
    assert process.returncode in (0, 130)


def test_demo_help_is_that_of_the_demo() -> None:
    result = subprocess.run([SCRIPT, "demo", "--help"], capture_output=True, text=True)
    assert result.returncode == 0
    assert "usage: python -m wsgi_sessions.demo" in result.stdout
