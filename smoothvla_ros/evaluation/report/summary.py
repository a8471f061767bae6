"""summary.json: what a run showed, every figure with its interval and its number of episodes."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from smoothvla_ros.atomic_files import write_file
from smoothvla_ros.errors import UserError
from smoothvla_ros.evaluation.episodes.episode_table import EpisodeRow, in_order
from smoothvla_ros.evaluation.episodes.measures import JERK, MEASURES, EpisodeMeasure
from smoothvla_ros.evaluation.episodes.policy_labels import AFTER, BEFORE
from smoothvla_ros.evaluation.intervals.bootstrap import (
    LEAST_OBSERVATIONS,
    REPLICATES,
    mean_interval,
)
from smoothvla_ros.evaluation.intervals.init_states import (
    count_init_states,
    design_effect,
    drawn_levels,
)
from smoothvla_ros.evaluation.intervals.pairing import (
    Pairing,
    common_estimator,
    common_temperature,
    pair_rows,
)
from smoothvla_ros.evaluation.intervals.rates import (
    Interval,
    bounds,
    wider,
    wilson,
)
from smoothvla_ros.evaluation.plain_json import plain
from smoothvla_ros.evaluation.report.versions import versions
from smoothvla_ros.records import EpisodeName
from smoothvla_ros.simulation.splits import EvaluationSplit, split_of

SUMMARY = 'summary.json'

# Figures beside the jerk, and those of single tasks: many, and their ends need no third digit.
_MINOR_REPLICATES = 2_000
_BOOTSTRAP_SEED = 0


@dataclass(frozen=True)
class RunContext:
    """What the episodes do not say about the run that made them.

    reward: None for an evaluation without training.  wall_seconds: of the whole job, s.
    before, after: labels of the two policies in the table; `before` is None where only one ran.
    languages: task index -> instruction.
    horizon: most control steps that an episode had; None is the suite's own.
    versions: of the software that ran the episodes; what is installed now where None is given.
    """

    suite: str
    seed: int
    reward: str | None = None
    iterations: int | None = None
    wall_seconds: float | None = None
    before: str | None = BEFORE
    after: str = AFTER
    languages: Mapping[int, str] | None = None
    versions: Mapping[str, str] | None = None
    horizon: int | None = None


def summarise_run(rows: Sequence[EpisodeRow], context: RunContext) -> dict[str, Any]:
    """Turn a run's rows into the content of summary.json.

    Greedy figures stand at the top level, those of sampled episodes under 'sampled' (None without
    any). 'before' and 'paired' are None where only one policy ran. Numbers that do not exist are
    None. Raises UserError if the rows hold several estimators or several sampling temperatures.
    """
    estimator = common_estimator(rows)
    if estimator is None:
        raise UserError('there is no episode to summarise; evaluate at least one')
    ordered = in_order(rows)
    greedy = _compare([row for row in ordered if row.greedy], context)
    sampled = _compare([row for row in ordered if not row.greedy], context)
    nothing: dict[str, Any] = {
        'before': None,
        'after': None,
        'paired': None,
        'temperature': None,
        'split': None,
        'tasks': [],
    }
    return plain(
        {
            'suite': context.suite,
            'reward': context.reward,
            'seed': context.seed,
            'iterations': context.iterations,
            'horizon': context.horizon,
            **(greedy or nothing),
            'sampled': sampled,
            'estimator': {
                'rate_hz': estimator.rate_hz,
                'window_s': estimator.window_s,
                'order': estimator.order,
            },
            'policies': {'before': context.before, 'after': context.after},
            'wall_seconds': context.wall_seconds,
            'versions': dict(context.versions or versions()),
        }
    )


def describe(
    rows: Sequence[EpisodeRow],
    over: Sequence[EpisodeName] | None = None,
    replicates: int = REPLICATES,
    measures: Sequence[EpisodeMeasure] = MEASURES,
) -> dict[str, Any]:
    """Success over all rows, and every measure over the successes.

    A measure over too few init states for an interval has ends of NaN.
    over: only the successes from these scenes (those that another policy solves too).
    """
    successes = [row for row in rows if row.success and (over is None or row.name in over)]
    described: dict[str, Any] = {
        'success': {
            **bounds(_success_rate(rows, replicates)),
            'episodes': len(rows),
            'init_states': count_init_states([row.name for row in rows]),
        }
    }
    for measure in measures:
        measured = [row for row in successes if np.isfinite(getattr(row, measure.column))]
        values = np.array([getattr(row, measure.column) for row in measured], np.float64)
        names, interval = [row.name for row in measured], None
        if count_init_states(names) >= LEAST_OBSERVATIONS:
            interval = mean_interval(
                values,
                seed=_BOOTSTRAP_SEED,
                levels=drawn_levels(names),
                replicates=_replicates(measure, replicates),
            )
        elif len(values):
            interval = Interval.unknown(float(values.mean()))
        described[measure.column] = {
            **bounds(interval),
            'unit': measure.unit,
            'episodes': len(values),
        }
    described['measured_over'] = 'successes' if over is None else 'solved by both'
    return described


def _success_rate(rows: Sequence[EpisodeRow], replicates: int) -> Interval:
    """Return success with Wilson's interval; of repeated init states the wider of his and theirs.

    His counts as many episodes as those are worth, theirs is a bootstrap over init states.
    """
    names, successes = [row.name for row in rows], [row.success for row in rows]
    his = wilson(sum(successes), len(rows), design_effect=design_effect(successes, names))
    levels = drawn_levels(names)
    if levels is None:
        return his
    theirs = mean_interval(
        np.array(successes, np.float64), seed=_BOOTSTRAP_SEED, levels=levels, replicates=replicates
    )
    return wider(his, theirs)


def read_summary(folder: Path) -> dict[str, Any]:
    """Read summary.json of a run. Raises UserError if it is missing or damaged."""
    path = Path(folder) / SUMMARY
    try:
        content = json.loads(path.read_text())
    except OSError as error:
        raise UserError(f'{path}: {error.strerror}; give the folder of a finished run') from error
    except ValueError as error:
        raise UserError(f'{path} is not valid JSON ({error}); evaluate again') from error
    if not isinstance(content, dict):
        raise UserError(f'{path} holds no summary; evaluate again')
    return content


def context_of(summary: Mapping[str, Any]) -> RunContext:
    """Return the context that a summary was made in, to make it again from the episodes."""
    policies = summary.get('policies') or {'before': BEFORE, 'after': AFTER}
    return RunContext(
        suite=summary['suite'],
        seed=summary['seed'],
        reward=summary['reward'],
        iterations=summary['iterations'],
        wall_seconds=summary['wall_seconds'],
        before=policies['before'],
        after=policies['after'],
        languages={task['task']: task['language'] for task in _all_tasks(summary)},
        versions=summary['versions'],
        # A summary of before there was a horizon to set is of the suite's own.
        horizon=summary.get('horizon'),
    )


def write_summary(folder: Path, summary: Mapping[str, Any]) -> Path:
    """Write summary.json atomically and return its path."""
    path = Path(folder) / SUMMARY
    write_file(path, json.dumps(summary, indent=2, allow_nan=False, ensure_ascii=False) + '\n')
    return path


def _all_tasks(summary: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    sampled = summary['sampled']
    return [*summary['tasks'], *(sampled['tasks'] if sampled else [])]


def _compare(rows: Sequence[EpisodeRow], context: RunContext) -> dict[str, Any] | None:
    """Describe the two policies at one temperature, over all tasks and task by task."""
    before = [row for row in rows if row.policy == context.before]
    after = [row for row in rows if row.policy == context.after]
    if not before and not after:
        return None
    result = _describe_both(before, after, REPLICATES, MEASURES)
    result['temperature'] = common_temperature(before + after)
    result['split'] = _split(before + after)
    result['horizon'] = context.horizon
    result['tasks'] = []
    headline = [
        measure for measure in MEASURES if measure.column in ('jerk', 'steps', 'mean_speed')
    ]
    for task in sorted({row.task for row in before + after}):
        figures = _describe_both(
            [row for row in before if row.task == task],
            [row for row in after if row.task == task],
            _MINOR_REPLICATES,
            headline,
        )
        language = (context.languages or {}).get(task)
        result['tasks'].append({'task': task, 'language': language, **figures})
    return result


def _split(rows: Sequence[EpisodeRow]) -> str:
    """Name the split that the scenes of all rows belong to, 'all' where there are of both."""
    splits = {split_of(row.name).value for row in rows}
    return splits.pop() if len(splits) == 1 else EvaluationSplit.ALL.value


def _describe_both(
    before: Sequence[EpisodeRow],
    after: Sequence[EpisodeRow],
    replicates: int,
    measures: Sequence[EpisodeMeasure],
) -> dict[str, Any]:
    if not before or not after:
        return {
            'before': describe(before, None, replicates, measures) if before else None,
            'after': describe(after, None, replicates, measures) if after else None,
            'paired': None,
        }
    pairing = pair_rows(before, after)
    # Without a scene in common the policies can only be described side by side.
    over = [pair.name for pair in pairing.solved] if pairing.pairs else None
    return {
        'before': describe(before, over, replicates, measures),
        'after': describe(after, over, replicates, measures),
        'paired': _paired(pairing, replicates, measures),
    }


def _paired(
    pairing: Pairing, replicates: int, measures: Sequence[EpisodeMeasure]
) -> dict[str, Any]:
    jerk = pairing.change_percent(JERK.column, _BOOTSTRAP_SEED, replicates)
    success = pairing.success_change(_BOOTSTRAP_SEED, replicates)
    changes: dict[str, Any] = {}
    for measure in measures:
        method = pairing.change_percent if measure.relative else pairing.difference
        change = method(measure.column, _BOOTSTRAP_SEED, _replicates(measure, replicates))
        changes[measure.column] = {
            **bounds(change),
            'unit': 'percent' if measure.relative else measure.unit,
        }
    counts = pairing.outcomes()
    return {
        'jerk_change_percent': None if jerk is None else jerk.mean,
        'low': None if jerk is None else jerk.low,
        'high': None if jerk is None else jerk.high,
        'pairs': len(pairing.solved),
        'common': len(pairing.pairs),
        'share': pairing.share,
        'init_states': pairing.init_states,
        'success_change_points': bounds(None if success is None else success.scaled(100.0)),
        'outcomes': {
            'both': counts.both,
            'only_before': counts.only_before,
            'only_after': counts.only_after,
            'neither': counts.neither,
            'mcnemar_p': pairing.mcnemar(),
        },
        'changes': changes,
    }


def _replicates(measure: EpisodeMeasure, most: int) -> int:
    return most if measure is JERK else min(most, _MINOR_REPLICATES)
