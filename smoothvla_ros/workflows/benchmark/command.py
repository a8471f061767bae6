"""`smoothvla benchmark`: the whole comparison, cell by cell, and the tables made from it."""

from __future__ import annotations

import argparse
import dataclasses
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from smoothvla_ros.atomic_files import write_file
from smoothvla_ros.configuration import load
from smoothvla_ros.errors import UserError
from smoothvla_ros.evaluation.benchmark.bars import Bar, bars
from smoothvla_ros.evaluation.benchmark.cell_record import read_records
from smoothvla_ros.evaluation.benchmark.matrix import Matrix
from smoothvla_ros.evaluation.benchmark.page import PICTURE, page
from smoothvla_ros.evaluation.benchmark.picture import picture
from smoothvla_ros.evaluation.benchmark.results import DIGITS, Results
from smoothvla_ros.evaluation.plain_json import plain
from smoothvla_ros.user_path import user_path
from smoothvla_ros.workflows.benchmark.cells import Cell, benchmark_cells, chosen_cells
from smoothvla_ros.workflows.benchmark.config import BenchmarkConfig, default_file
from smoothvla_ros.workflows.benchmark.erasing import FIRST_ITERATION, erasing
from smoothvla_ros.workflows.benchmark.run import Benchmark
from smoothvla_ros.workflows.options import add_settings, given_settings

NOTES = 'notes.md'
# What two cores do, rollouts and greedy episodes with their updates, in an otherwise idle hour.
_EPISODES_PER_MINUTE = (30, 60)

_COMMANDS = """`make results` writes this page and `results.json` from the episodes that there are.
`make benchmark` goes on with the matrix, any number of times and on any machine; commit
`docs/results/` afterwards. Some cells of it, and a row again from nothing, to be compared:

```bash
make benchmark ARGS="--only libero_spatial"
make benchmark ARGS="--only libero_spatial/decoupled/seed0 --out runs/again --results runs/again/r"
```"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments; every setting of `BenchmarkConfig` that is no mapping is one."""
    parser.add_argument(
        '--config',
        type=user_path,
        help='YAML file of the matrix (default: the shipped benchmark.yaml)',
    )
    parser.add_argument(
        '--only',
        action='append',
        default=[],
        metavar='CELL',
        help='run only these cells: libero_spatial/decoupled/seed0, its beginning, or with *',
    )
    parser.add_argument('--plan', action='store_true', help='list what is left to run, and end')
    parser.add_argument(
        '--table', action='store_true', help='write the tables from the episodes there are, and end'
    )
    add_settings(parser, BenchmarkConfig)


def run(arguments: argparse.Namespace) -> int:
    """Say what is to be done, do it, and write the tables."""
    given = given_settings(arguments, BenchmarkConfig)
    config = load(BenchmarkConfig, arguments.config or default_file(), given)
    cells = benchmark_cells(config)
    if arguments.table and not config.results.is_dir():
        raise UserError(f'--results {config.results} is not a folder; give that of the episodes')
    if not arguments.table:
        benchmark = Benchmark(config, chosen_cells(cells, arguments.only))
        print_budget(benchmark.remaining(), each=arguments.plan)
        if arguments.plan:
            return 0
        benchmark.run()
    for path in write_tables(config, cells):
        print(path)
    return 0


def print_budget(remaining: Mapping[Cell, tuple[int, int]], each: bool) -> None:
    """Print how many episodes are left, suite by suite.  each: every cell too."""
    by_suite: dict[str, list[tuple[int, int]]] = {}
    for cell, (rollouts, episodes) in remaining.items():
        by_suite.setdefault(cell.name.suite, []).append((rollouts, episodes))
        if each:
            print(f'{cell.name!s:<55} {rollouts:>6} rollouts {episodes:>6} evaluated')
    for suite, counts in by_suite.items():
        rollouts, episodes = (sum(column) for column in zip(*counts, strict=True))
        print(
            f'{suite}: {len(counts)} cells, {rollouts} rollouts and {episodes} evaluated episodes'
        )
    total = sum(sum(counts) for counts in remaining.values())
    slow, fast = (total / rate / 60.0 for rate in _EPISODES_PER_MINUTE)
    print(f'in all {total} episodes, about {fast:.1f} to {slow:.1f} hours on two cores')


def write_tables(config: BenchmarkConfig, cells: Sequence[Cell]) -> list[Path]:
    """Write results.md, .json and .png beside the folder of episodes, the same bytes each time.

    A file `notes.md` in that folder, written by hand, becomes a section of the page.
    Files of cells that are not planned are left out. There is no picture before anything is
    measured. Raises UserError if a file is damaged.
    """
    planned = {cell.name for cell in cells}
    found = read_records(config.results)
    # A cell that the configuration no longer has would stand in some figures and not in others.
    records = {name: record for name, record in found.items() if name in planned}
    matrix = Matrix([cell.planned for cell in cells], records)
    content = Results(matrix, config.sampled_temperature).content()
    judged = bars(content)
    content['bars'] = [_plain(bar) for bar in judged]
    content['erasing'] = plain(
        erasing(
            row
            for record in records.values()
            for row in record.rows
            if row.policy == FIRST_ITERATION
        ),
        DIGITS,
    )
    notes = config.results / NOTES
    text = page(content, judged, notes.read_text() if notes.exists() else '', _COMMANDS)
    files: dict[str, str | bytes | None] = {
        'results.md': text,
        'results.json': json.dumps(content, indent=1, allow_nan=False, ensure_ascii=False) + '\n',
        PICTURE: picture(content['rows']),
    }
    places = []
    for name, written in files.items():
        if written is not None:
            places.append(config.results.with_name(name))
            write_file(places[-1], written)
    return places


def _plain(bar: Bar) -> dict[str, Any]:
    return {**dataclasses.asdict(bar), 'verdict': bar.verdict.value}
