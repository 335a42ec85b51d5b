"""Commands that a page shows, run one after the other by a reader with a terminal.

A server runs in the background until the next one starts, on a free port in place of the one that
the page shows.
"""

from __future__ import annotations

import doctest
import os
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

from tests.docs.blocks import ROOT
from tests.servers.process import ServerProcess, accepts_connections, free_port

SERVER = re.compile(r"flask --app \S+ run|(gunicorn|waitress-serve|uvicorn|wsgi-sessions demo) ")
EXTRAS = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
PORT = re.compile(r"(?<=127\.0\.0\.1:)(5000|8000)\b|(?<=localhost:)(5000|8000)\b")
FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
same_output = doctest.OutputChecker().check_output
"""Whether what is printed is what the page shows, where ``...`` stands for anything."""


class Terminal:
    """One terminal, in *directory*."""

    def __init__(self, directory: Path, environment: dict[str, str]) -> None:
        self._directory = directory
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        self._environment = os.environ | {"PYTHONPATH": str(ROOT), "PATH": path} | environment
        self._server: ServerProcess | None = None
        self._port = 0

    def run(self, command: str) -> str:
        """What *command* prints, errors included. Fails where its status is not 0."""
        if assignment := re.fullmatch(r"export (\w+)=(.+)", command):
            self._environment[assignment[1]] = self._output(f"echo {assignment[2]}").strip()
            return ""
        if command.startswith("pip install "):
            check_installation(command)
            return ""
        if command.startswith("make "):
            check_task(command)
            return ""
        if SERVER.match(command):
            self._serve(command)
            return ""
        return self._output(command)

    def _output(self, command: str) -> str:
        done = subprocess.run(
            PORT.sub(str(self._port), command),
            shell=True,
            cwd=self._directory,
            env=self._environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=120,
        )
        assert done.returncode == 0, f"{command}: {done.stdout}"
        return done.stdout

    def _serve(self, command: str) -> None:
        self.close()
        self._port = free_port()
        option = "--bind 127.0.0.1:" if command.startswith("gunicorn ") else "--port "
        self._server = ServerProcess(
            shlex.split(f"{command} {option}{self._port}"),
            log=self._directory / "server.log",
            env=self._environment,
            cwd=str(self._directory),
        )
        self._server.start(lambda: accepts_connections(self._port))

    def close(self) -> None:
        if self._server is not None:
            self._server.stop()
            self._server = None


def check_installation(command: str) -> None:
    """The extras that *command* names exist."""
    for extras in re.findall(r"wsgi-sessions\[(.*?)\]", command):
        assert set(extras.split(",")) <= set(EXTRAS), command


def check_task(command: str) -> None:
    """The Makefile has it."""
    [task] = re.findall(r"^make (?:\w+=\S+ )*([a-z-]+)", command)
    assert re.search(rf"^{task}:", (ROOT / "Makefile").read_text(), re.MULTILINE), command


def steps(transcript: str) -> Iterator[tuple[str, str]]:
    """The commands of a block ``console``, and what each is shown to print."""
    joined = re.sub(r" \\\n(?:> )?\s*", " ", transcript)
    for step in re.split(r"^\$ ", joined, flags=re.MULTILINE)[1:]:
        command, _, output = step.partition("\n")
        yield re.sub(r"\s+# .*", "", command), output
