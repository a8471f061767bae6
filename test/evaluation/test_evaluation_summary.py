"""Pairs, summary.json and the table that is printed."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from smoothvla_ros.errors import UserError
from smoothvla_ros.evaluation.episodes.episode_table import EpisodeRow, row_from_stored
from smoothvla_ros.evaluation.episodes.measures import MEASURES
from smoothvla_ros.evaluation.episodes.stored_episode import StoredEpisode
from smoothvla_ros.evaluation.intervals.pairing import pair_rows
from smoothvla_ros.evaluation.intervals.rates import PairedCounts, success_difference, wilson
from smoothvla_ros.evaluation.report.comparison_table import format_comparison
from smoothvla_ros.evaluation.report.summary import (
    RunContext,
    describe,
    read_summary,
    summarise_run,
    write_summary,
)
from smoothvla_ros.kinematics import Arm
from smoothvla_ros.records import Episode

CONTEXT = RunContext(
    suite='libero_spatial', reward='decoupled', seed=3, iterations=12, wall_seconds=900.0
)


@pytest.fixture(scope='session')
def row(arm: Arm, make_episode: Callable[..., Episode]) -> EpisodeRow:
    """One measured row, to be varied."""
    return row_from_stored(StoredEpisode.of(make_episode(), 'before'), arm)


def rows_of(
    row: EpisodeRow,
    policy: str,
    jerks: list[float],
    failures: tuple[int, ...] = (),
    **changes: object,
) -> list[EpisodeRow]:
    """Return one row a scene with the given jerks; the scenes in `failures` are not solved."""
    return [
        dataclasses.replace(
            row,
            policy=policy,
            episode_id=f'{policy}-{index:03d}',
            task=index % 4,
            init_state=5 * (index // 4) + 4,
            scene_seed=100_000 + index,
            jerk=jerk,
            success=index not in failures,
            **changes,
        )
        for index, jerk in enumerate(jerks)
    ]


def test_jerk_is_compared_where_both_succeed(row: EpisodeRow) -> None:
    """A failure of either policy takes the scene out of the jerk, and out of nothing else."""
    before = rows_of(row, 'before', [2.0, 4.0, 100.0, 2.0], failures=(2,))
    after = rows_of(row, 'after', [1.0, 2.0, 1.0, 900.0], failures=(3,))
    pairing = pair_rows(before, after)
    assert (len(pairing.pairs), len(pairing.solved), pairing.share) == (4, 2, 0.5)
    change = pairing.change_percent('jerk', seed=0)
    assert change is not None
    assert change.mean == pytest.approx(-50.0)
    success = pairing.success_change(seed=0)
    assert success is not None
    assert success.mean == 0.0
    assert success.low < 0.0 < success.high


def test_scenes_of_one_policy_only_are_no_pairs(row: EpisodeRow) -> None:
    """Only scenes that both policies were run from are paired, whatever their order."""
    before = rows_of(row, 'before', [1.0, 2.0, 3.0, 4.0])
    after = rows_of(row, 'after', [1.0, 2.0, 3.0, 4.0])[:1:-1]
    names = [pair.name.scene_seed for pair in pair_rows(before, after).pairs]
    assert sorted(names) == [100_002, 100_003]


def test_repeated_scenes_are_averaged_first(row: EpisodeRow) -> None:
    """With several sampled episodes of a scene a pair is the scene, not the episode."""
    sampled = {'greedy': False, 'temperature': 1.0}
    before = rows_of(row, 'before', [2.0, 4.0], **sampled)
    repeats = [
        dataclasses.replace(item, episode_id=f'{item.episode_id}-r', jerk=item.jerk + 2.0)
        for item in before
    ]
    failed = dataclasses.replace(before[0], episode_id='f', jerk=1e6, success=False)
    after = rows_of(row, 'after', [1.0, 1.0], **sampled)
    pairing = pair_rows([*before, *repeats, failed], after)
    first, second = pairing.measured('jerk')
    assert (sorted(first), list(second)) == ([3.0, 5.0], [1.0, 1.0])
    success = pairing.success_change(seed=0)
    assert success is not None
    assert success.mean == pytest.approx((1 / 3) / 2)


def test_rollouts_of_one_scene_are_not_counted_as_scenes(row: EpisodeRow) -> None:
    """Eight rollouts of each of six scenes: intervals as of six, not as of forty-eight."""
    scenes = rows_of(row, 'before', [1.0, 1.2, 1.4, 1.6, 1.8, 2.0], failures=(5,))
    again = [
        dataclasses.replace(scene, episode_id=f'{scene.episode_id}-{number}')
        for scene in scenes
        for number in range(8)
    ]
    once, repeated = describe(scenes), describe(again)
    assert repeated['jerk']['mean'] == pytest.approx(once['jerk']['mean'])
    for figure in ('jerk', 'success'):
        widths = [found[figure]['high'] - found[figure]['low'] for found in (once, repeated)]
        assert widths[1] > 0.7 * widths[0]
    wide = describe([dataclasses.replace(item, success=True) for item in again])['success']
    assert (wide['mean'], wide['high']) == (1.0, 1.0)
    assert wide['low'] < 0.95


def rollouts_of(row: EpisodeRow, policy: str, failed: int) -> list[EpisodeRow]:
    """Return eight sampled rollouts of each of five scenes, of which so many of the first fail."""
    return [
        dataclasses.replace(
            scene, episode_id=f'{scene.episode_id}-{number}', success=index > 0 or number >= failed
        )
        for index, scene in enumerate(
            rows_of(row, policy, [1.0] * 5, greedy=False, temperature=1.0)
        )
        for number in range(8)
    ]


@pytest.mark.parametrize('failed', [0, 1])
def test_success_of_repeated_scenes_is_no_surer_than_newcombe(row: EpisodeRow, failed: int) -> None:
    """No or one failure of forty: a bootstrap over scenes alone shows no loss, or none at all."""
    pairing = pair_rows(rollouts_of(row, 'before', failed), rollouts_of(row, 'after', 0))
    change = pairing.success_change(seed=0)
    newcombe = success_difference(PairedCounts(40 - failed, 0, failed, 0))
    assert change is not None
    assert change.mean == pytest.approx(failed / 40)
    assert change.low < newcombe.low < -0.05
    assert change.high > max(newcombe.high, 0.1 * failed)


def test_rollouts_of_a_scene_are_paired_by_their_ids(row: EpisodeRow) -> None:
    """Whichever order they were read in: the same pairs, and so the same interval."""
    before, after = rollouts_of(row, 'before', 4), rollouts_of(row, 'after', 3)
    expected = pair_rows(before, after).success_change(seed=0)
    assert pair_rows(before[::-1], after).success_change(seed=0) == expected
    assert pair_rows(before, after[::-1]).pairs == pair_rows(before, after).pairs


def test_success_of_repeated_scenes_that_differ_keeps_the_wider_bootstrap(row: EpisodeRow) -> None:
    """Where one scene of five is lost whole, Newcombe's forty independent pairs are too sure."""
    pairing = pair_rows(rollouts_of(row, 'before', 8), rollouts_of(row, 'after', 0))
    change = pairing.success_change(seed=0)
    assert change is not None
    assert change.high > success_difference(PairedCounts(32, 0, 8, 0)).high


def test_what_does_not_compare_is_refused(row: EpisodeRow) -> None:
    """Mixed estimator settings and mixed temperatures raise instead of becoming a number."""
    before = rows_of(row, 'before', [1.0, 2.0])
    with pytest.raises(UserError, match='different estimators'):
        pair_rows(before, rows_of(row, 'after', [1.0, 2.0], window_s=0.4))
    with pytest.raises(UserError, match='temperatures'):
        pair_rows(before, rows_of(row, 'after', [1.0], greedy=False, temperature=1.0))
    alone = [
        sampled
        for temperature in (0.3, 1.0)
        for sampled in rows_of(row, 'after', [1.0], greedy=False, temperature=temperature)
    ]
    with pytest.raises(UserError, match=r'temperatures \[0.3, 1.0\]'):
        summarise_run(alone, CONTEXT)


def test_summary_holds_what_the_files_promise(row: EpisodeRow, tmp_path: Path) -> None:
    """summary.json has every promised key, its figures are those of the rows, and it reads back."""
    rng = np.random.default_rng(0)
    jerks = rng.lognormal(1.0, 0.3, 40)
    rows = rows_of(row, 'before', list(jerks), failures=(0, 1, 2))
    rows += rows_of(row, 'after', list(0.6 * jerks), failures=(0, 5))
    hot = {'greedy': False, 'temperature': 1.0}
    rows += rows_of(row, 'before', list(3 * jerks), **hot) + rows_of(
        row, 'after', list(2 * jerks), **hot
    )
    summary = summarise_run(rows, CONTEXT)
    write_summary(tmp_path, summary)
    assert read_summary(tmp_path) == json.loads(json.dumps(summary))
    for figures in (summary, summary['sampled']):
        for side in ('before', 'after'):
            assert {'mean', 'low', 'high', 'episodes'} <= figures[side]['success'].keys()
            assert {'mean', 'low', 'high', 'unit'} <= figures[side]['jerk'].keys()
        assert {'jerk_change_percent', 'low', 'high', 'pairs'} <= figures['paired'].keys()
        assert [task['task'] for task in figures['tasks']] == [0, 1, 2, 3]
    assert {key: summary[key] for key in ('suite', 'reward', 'seed', 'iterations')} == {
        'suite': 'libero_spatial',
        'reward': 'decoupled',
        'seed': 3,
        'iterations': 12,
    }
    assert summary['estimator'] == {'rate_hz': 20.0, 'window_s': 0.3, 'order': 4}
    assert summary['before']['success']['low'] == wilson(37, 40).low
    assert summary['paired']['pairs'] == 36
    assert summary['paired']['jerk_change_percent'] == pytest.approx(-40.0)
    solved = np.delete(jerks, [0, 1, 2, 5])
    assert summary['before']['jerk']['mean'] == pytest.approx(solved.mean())
    assert summary['after']['jerk']['mean'] == pytest.approx(0.6 * solved.mean())
    assert summary['sampled']['paired']['jerk_change_percent'] == pytest.approx(-100 / 3)
    assert summary == summarise_run(rows[::-1], CONTEXT)


def test_numbers_that_do_not_exist_are_null(row: EpisodeRow, tmp_path: Path) -> None:
    """No pair, no success or no second policy gives null, valid JSON and a printable table."""
    nothing_solved = rows_of(row, 'before', [1.0, 1.0], failures=(0, 1))
    nothing_solved += rows_of(row, 'after', [1.0, 1.0], failures=(0,))
    summary = summarise_run(nothing_solved, CONTEXT)
    assert summary['paired']['jerk_change_percent'] is None
    assert summary['paired']['pairs'] == 0
    assert summary['before']['jerk']['mean'] is None
    assert summary['sampled'] is None
    json.loads(write_summary(tmp_path, summary).read_text())
    assert 'mean jerk' not in format_comparison('greedy', summary)
    alone = summarise_run(
        rows_of(row, 'policy', [1.0, 2.0]),
        RunContext('libero_spatial', 0, before=None, after='policy'),
    )
    assert (alone['before'], alone['paired']) == (None, None)
    assert alone['after']['jerk']['mean'] == pytest.approx(1.5)
    assert 'before' not in format_comparison('policy', alone)
    with pytest.raises(UserError, match='no episode'):
        summarise_run([], CONTEXT)


def test_every_measure_is_a_column(row: EpisodeRow) -> None:
    """Each measure of the report exists in the table, once, and is described with its unit."""
    columns = [measure.column for measure in MEASURES]
    assert len(set(columns)) == len(columns)
    described = describe([row])
    for measure in MEASURES:
        assert described[measure.column]['mean'] == pytest.approx(getattr(row, measure.column))
        assert described[measure.column]['unit'] == measure.unit


def test_printed_table_shows_figures_and_intervals(row: EpisodeRow) -> None:
    """The printed line of jerk holds both means and the paired change, and says over how many."""
    before = [2.0, 4.0, 3.0, 2.0, 4.0]
    rows = rows_of(row, 'before', before)
    rows += rows_of(row, 'after', [jerk / 2.0 for jerk in before])
    table = format_comparison('libero_spatial', summarise_run(rows, CONTEXT))
    line = next(line for line in table.splitlines() if line.startswith('mean jerk, m/s^3'))
    for figure in ('3.00 [', '1.50 [', '-50.0 % [-50.0, -50.0]'):
        assert figure in line
    assert 'the 5 of 5 scenes (100 %) that both solve' in table
    assert 'too few' not in table


def test_four_scenes_have_means_and_no_intervals(row: EpisodeRow, tmp_path: Path) -> None:
    """Of a measure over fewer than five scenes the ends are null, however often each was played."""
    rows = []
    for policy, jerks in (('before', [2.0, 4.0, 3.0, 2.5]), ('after', [1.0, 2.0, 1.5, 1.25])):
        rows += rows_of(row, policy, jerks)
        hot = rows_of(row, policy, jerks, greedy=False, temperature=1.0)
        rows += [
            dataclasses.replace(item, episode_id=f'{item.episode_id}-{number}')
            for item in hot
            for number in range(8)
        ]
    summary = json.loads(write_summary(tmp_path, summarise_run(rows, CONTEXT)).read_text())
    for figures in (summary, summary['sampled']):
        paired = figures['paired']
        assert paired['jerk_change_percent'] == pytest.approx(-50.0)
        assert (paired['low'], paired['high']) == (None, None)
        for found in (figures['before']['jerk'], paired['changes']['ldlj']):
            assert found['mean'] is not None
            assert (found['low'], found['high']) == (None, None)
        assert paired['success_change_points']['low'] < 0.0
    table = format_comparison('libero_spatial', summary)
    (line,) = [line for line in table.splitlines() if line.startswith('mean jerk, m/s^3')]
    assert line.split()[3:] == ['2.88', '1.44', '-50.0', '%']
    assert 'that both solve: too few init states for intervals of these' in table
