"""Measures what sessions cost: everything, or one part of it.

Results go to ``benchmarks/results``, as JSON; tables, and the targets with what was measured, to
the terminal. A run of everything also writes the summary, the pictures, and the figures in the
README and in ``docs/``.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from benchmarks import archive, instructions, pages, plots, targets
from benchmarks.callgrind import ValgrindMissing
from benchmarks.contenders import CONTENDERS
from benchmarks.machine import about
from benchmarks.parts import ALL, PARTS, QUICK, QUICK_SCENARIOS, check
from benchmarks.wrk import WrkMissing
from tests.support.scenarios import SCENARIOS


def main() -> None:
    arguments = _parser().parse_args()
    match arguments.part:
        case "targets":
            print(targets.show(archive.load()))
        case "plots":
            plots.draw(archive.summary()["figures"])
        case "summary":
            _summarise()
        case "pages" if arguments.check is None:
            pages.write()
        case "pages":
            _check_pages(arguments.check)
        case None:
            _measure(list(PARTS), arguments)
        case part:
            _measure([part], arguments)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="only see that everything runs")
    parts = parser.add_subparsers(dest="part")
    for name in PARTS:
        part = parts.add_parser(name)
        part.add_argument("--quick", action="store_true", default=argparse.SUPPRESS)
        if name in ("instructions", "timing"):
            part.add_argument("--contender", action="append", choices=CONTENDERS, metavar="NAME")
            part.add_argument("--scenario", action="append", choices=SCENARIOS, metavar="NAME")
        if name == "instructions":
            part.add_argument("--peers", action="store_true", help="of other libraries too")
    parts.add_parser("targets", help="the targets and the latest results")
    parts.add_parser("summary", help="put what was measured here into summary, pictures and pages")
    parts.add_parser("plots", help="draw the pictures of the summary")
    part = parts.add_parser("pages", help="write the figures of the summary into README and docs")
    default = archive.DIRECTORY / "summary.json"
    part.add_argument("--check", nargs="?", type=Path, const=default, metavar="SUMMARY")
    return parser


def _check_pages(path: Path) -> None:
    """Exit with 1 and the names of the pages that differ from the summary at *path*."""
    if differ := pages.differing(archive.summary(path)):
        sys.exit(f"other figures than measured: {' '.join(differ)}; python -m benchmarks pages")


def _measure(names: list[str], arguments: argparse.Namespace) -> None:
    quick = arguments.quick
    contenders, scenarios = (QUICK, QUICK_SCENARIOS) if quick else ALL
    if names == ["instructions"] and not arguments.peers and not quick:
        contenders = instructions.OURS
    contenders = getattr(arguments, "contender", None) or contenders
    scenarios = getattr(arguments, "scenario", None) or scenarios
    asked_for_some = (contenders, scenarios) != ALL
    measured = {}
    for name in names:
        began = time.monotonic()
        try:
            measured[name] = PARTS[name].measure(quick, contenders, scenarios)
        except (ValgrindMissing, WrkMissing) as missing:
            print(f"{name} is left out: {missing}\n")
            continue
        check(measured[name])
        print(f"{PARTS[name].show(measured[name])}\n({time.monotonic() - began:.0f} s)\n")
        if not asked_for_some:
            archive.save(name, measured[name])
    for fact, value in about().items():
        print(f"{fact}: {value}")
    if names == list(PARTS):
        print(f"\n{targets.show(measured)}")
        if quick:
            print("(too few rounds to judge by)")
        if not quick:
            _summarise()


def _summarise() -> None:
    archive.summarise()
    plots.draw(archive.summary()["figures"])
    pages.write()


if __name__ == "__main__":
    main()
