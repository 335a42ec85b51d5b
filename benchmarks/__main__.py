"""Measures what sessions cost: everything, or one part of it.

Results go to ``benchmarks/results``, as JSON; tables, and the targets with what was measured, to
the terminal.
"""

from __future__ import annotations

import argparse
import time

import pytest

from benchmarks import archive, calltree, plots, scale, targets
from benchmarks.callgrind import ValgrindMissing
from benchmarks.contenders import CONTENDERS
from benchmarks.machine import about
from benchmarks.parts import ALL, PARTS, QUICK, QUICK_SCENARIOS, check
from benchmarks.scenarios import SCENARIOS
from benchmarks.servers import running
from benchmarks.wrk import WrkMissing
from tests.support.patience import be_patient


def main() -> None:
    arguments = _parser().parse_args()
    match arguments.part:
        case "tree":
            with running(set(CONTENDERS[arguments.of].needs)) as places:
                print(calltree.show(calltree.tree(arguments.of, arguments.scenario, places)))
        case "targets":
            print(targets.show(archive.load()))
        case "scale":
            print(scale.show(archive.load(), scale.from_options(arguments)))
        case "plots":
            plots.draw(archive.load())
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
        if name in ("calls", "instructions", "timing"):
            part.add_argument("--contender", action="append", choices=CONTENDERS, metavar="NAME")
            part.add_argument("--scenario", action="append", choices=SCENARIOS, metavar="NAME")
    part = parts.add_parser("tree", help="the Python calls of one request, and what each costs")
    part.add_argument("of", choices=CONTENDERS, metavar="CONTENDER")
    part.add_argument("scenario", choices=SCENARIOS, metavar="SCENARIO")
    parts.add_parser("targets", help="the targets and the latest results")
    parts.add_parser("plots", help="draw the latest results")
    scale.add_options(parts.add_parser("scale", help="what many users need, from the results"))
    return parser


def _measure(names: list[str], arguments: argparse.Namespace) -> None:
    quick = arguments.quick
    if quick:  # on a busy machine too
        be_patient(pytest.MonkeyPatch(), "file", "sqlite", "memcached", "postgresql")
    contenders, scenarios = (QUICK, QUICK_SCENARIOS) if quick else ALL
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
            archive.summarise()
            plots.draw(archive.load())


if __name__ == "__main__":
    main()
