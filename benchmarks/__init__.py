"""The figures that have a bar, side by side in one run: ``make bench``."""

from __future__ import annotations

import argparse
import importlib
import json
from pathlib import Path

from smoothvla_ros.atomic_files import write_file

OUTPUT = Path('runs/bench/bench.json')
# One module a row of the table; each is imported and measures alone, so that none slows another.
PARTS = {
    'jerk': 'benchmarks.jerk_accuracy',
    'analyze': 'benchmarks.analyze_speed',
    'monitor': 'benchmarks.monitor_cost',
    'policy': 'benchmarks.policy_latency',
    'simulation': 'benchmarks.simulation_speed',
    'graph': 'benchmarks.graph_throughput',
    'guard': 'benchmarks.motion_guard',
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare which parts run and where the figures go."""
    parser.add_argument('--only', choices=tuple(PARTS), action='append', help='parts to measure')
    parser.add_argument('--out', type=Path, default=OUTPUT, help=f'JSON file (default: {OUTPUT})')


def run(arguments: argparse.Namespace) -> int:
    """Measure, print a line a figure with its bar, and add the figures to the JSON file.

    Returns 1 if a bar is missed.
    """
    figures = json.loads(arguments.out.read_text()) if arguments.out.exists() else {}
    missed = 0
    for name in arguments.only or PARTS:
        part = importlib.import_module(PARTS[name])
        figures[name] = part.measure()
        for key, value in figures[name].items():
            verdict, met = _verdict(
                value, getattr(part, 'AT_LEAST', {}).get(key), getattr(part, 'AT_MOST', {}).get(key)
            )
            missed += not met
            print(f'{name + "." + key:50s}{value:10.3f}  {verdict}'.rstrip(), flush=True)
    write_file(arguments.out, json.dumps(figures, indent=2) + '\n')
    print(f'figures: {arguments.out}')
    return 1 if missed else 0


def _verdict(value: float, at_least: float | None, at_most: float | None) -> tuple[str, bool]:
    """Return what is printed beside a figure, and whether its bar is met."""
    if at_least is not None:
        met = value >= at_least
        return f'at least {at_least:g}: {"met" if met else "MISSED"}', met
    if at_most is not None:
        met = value <= at_most
        return f'at most {at_most:g}: {"met" if met else "MISSED"}', met
    return '', True
