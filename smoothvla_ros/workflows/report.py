"""`smoothvla report`: compute every figure of a run again from its stored episodes."""

from __future__ import annotations

import argparse
from pathlib import Path

from smoothvla_ros.errors import UserError, disk_errors
from smoothvla_ros.evaluation.episodes.archive import TABLE, EpisodeArchive, recompute
from smoothvla_ros.evaluation.episodes.episode_table import (
    EpisodeRow,
    in_order,
    read_rows,
    write_rows,
)
from smoothvla_ros.evaluation.episodes.policy_labels import IN_ORDER
from smoothvla_ros.evaluation.report.comparison_table import print_comparison
from smoothvla_ros.evaluation.report.run_report import REPORT, write_report
from smoothvla_ros.evaluation.report.summary import SUMMARY, RunContext, context_of, read_summary
from smoothvla_ros.folder_lock import FolderLock
from smoothvla_ros.kinematics import Arm
from smoothvla_ros.simulation.tasks import tasks
from smoothvla_ros.user_path import user_path
from smoothvla_ros.workflows.evaluation.finished import compare_evaluations
from smoothvla_ros.workflows.evaluation.output_folder import SETTINGS, read_settings


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument(
        'run', type=user_path, help='output folder of a training run or an evaluation'
    )
    parser.add_argument(
        'other',
        type=user_path,
        nargs='?',
        help='another evaluation of the same scenes: compare the two, the first as before, and '
        'write nothing',
    )
    parser.add_argument(
        '--video',
        action=argparse.BooleanOptionalAction,
        default=True,
        help='replay the median pair into a video if there is none yet (default: yes)',
    )


def run(arguments: argparse.Namespace) -> int:
    """Recompute, say whether the figures were the same, print the table."""
    folder = arguments.run
    if arguments.other is not None:
        print_comparison(compare_evaluations(folder, arguments.other))
        return 0
    if not folder.is_dir():
        raise UserError(f'{folder} holds no episodes; give the output folder of a run')
    arm = Arm.panda()
    # A run that is under way would lose the episodes that it adds meanwhile.
    with disk_errors(str(folder)), FolderLock(folder, 'run '):
        rows = in_order(recompute(folder, arm))
        table = folder / TABLE
        print(f'{table}: {_difference(table, rows)}')
        context = _context(folder, rows)
        write_rows(table, rows)
        summary = write_report(EpisodeArchive(folder, arm), context, video=arguments.video)
    print_comparison(summary)
    print(f'\nreport: {folder / REPORT}')
    return 0


def _difference(table: Path, rows: list[EpisodeRow]) -> str:
    """Compare the recomputed rows with those on disk."""
    if not table.exists():
        return f'written from {len(rows)} stored episodes'
    try:
        found = {(row.policy, row.episode_id): repr(row) for row in read_rows(table)}
    except UserError as error:
        return f'damaged ({error}); written again from {len(rows)} stored episodes'
    different = sum(found.get((row.policy, row.episode_id)) != repr(row) for row in rows)
    if different == 0 and len(found) == len(rows):
        return f'all {len(rows)} rows are the same, bit for bit'
    return f'{different} of {len(rows)} rows were missing or measured otherwise; written again'


def _context(folder: Path, rows: list[EpisodeRow]) -> RunContext:
    """Return the context of the run's summary, or for a killed run what its rows tell."""
    if (folder / SUMMARY).exists():
        return context_of(read_summary(folder))
    found = {row.policy for row in rows}
    labels = [label for label in IN_ORDER if label in found]
    labels += sorted(found.difference(IN_ORDER))
    return RunContext(
        suite=rows[0].suite,
        seed=rows[0].seed,
        before=labels[0] if len(labels) == 2 else None,
        after=labels[-1],
        languages={task.index: task.language for task in tasks(rows[0].suite)},
        horizon=_horizon(folder),
    )


def _horizon(folder: Path) -> int | None:
    """Return the horizon that was asked for; None is the suite's own, as of every training."""
    if not (folder / SETTINGS).exists():
        return None
    return read_settings(folder, 'give the output folder of an evaluation')['horizon'] or None
