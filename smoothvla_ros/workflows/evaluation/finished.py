"""Two finished evaluations against each other, from their tables: nothing is run again."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from smoothvla_ros.errors import UserError
from smoothvla_ros.evaluation.episodes.archive import TABLE
from smoothvla_ros.evaluation.episodes.episode_table import EpisodeRow, read_rows
from smoothvla_ros.evaluation.episodes.policy_labels import AFTER, BEFORE
from smoothvla_ros.evaluation.intervals.pairing import pair_rows
from smoothvla_ros.evaluation.report.summary import context_of, read_summary, summarise_run
from smoothvla_ros.workflows.evaluation.config import EvaluationConfig
from smoothvla_ros.workflows.evaluation.output_folder import read_settings

_SETTINGS = frozenset(field.name for field in dataclasses.fields(EvaluationConfig))
# Of two that differ in one of these, what is found would not be of the policies alone.
_ALIKE = ('suite', 'split', 'horizon', 'render_profile', 'instruction', 'wrong_instruction')
_REMEDY = 'give the output folder of a finished evaluation'


def compare_evaluations(first: Path, second: Path) -> dict[str, Any]:
    """Return the summary of the policy evaluated in `second` against that of `first`.

    Of an evaluation of two policies it is the second one, which it was about.
    Raises UserError where a folder is no finished evaluation, or where suites, splits, horizons,
    rendering, instructions, files of the suite, estimators or temperatures differ, or no scene is
    common.
    """
    one, other = (read_settings(folder, _REMEDY) for folder in (first, second))
    # What the record holds beside settings is the state of the suite's own files.
    fixed = set(_ALIKE) | (set(one) | set(other)) - _SETTINGS
    for name in sorted(fixed):
        if one.get(name) != other.get(name):
            raise UserError(
                f'{first} and {second} do not compare: {name} is {one.get(name)} and '
                f'{other.get(name)}; evaluate both alike'
            )
    before, after = _rows(first, BEFORE), _rows(second, AFTER)
    pairs = 0
    for greedy in (True, False):
        sides = [[row for row in rows if row.greedy is greedy] for rows in (before, after)]
        pairs += len(pair_rows(sides[0], sides[1]).pairs)
    if not pairs:
        raise UserError(
            f'{first} and {second} have no scene in common, greedy or sampled; evaluate both with '
            'one seed, common tasks and the same temperatures'
        )
    context = context_of(read_summary(second))
    context = dataclasses.replace(context, before=BEFORE, after=AFTER, wall_seconds=None)
    return summarise_run([*before, *after], context)


def _rows(folder: Path, label: str) -> list[EpisodeRow]:
    """Read the rows of the policy that the evaluation was about, under another label."""
    policy = context_of(read_summary(folder)).after
    rows = [row for row in read_rows(folder / TABLE) if row.policy == policy]
    return [
        dataclasses.replace(row, policy=label, episode_id=f'{label}-{row.episode_id}')
        for row in rows
    ]
