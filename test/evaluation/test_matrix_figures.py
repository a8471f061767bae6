"""Cells in their files, and the benchmark's figures against answers known beforehand."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path

import numpy as np
import pytest
from matrix_world import made_row, made_rows

from smoothvla_ros.errors import UserError
from smoothvla_ros.evaluation.benchmark.cell_record import (
    CellName,
    CellRecord,
    read_record,
    read_records,
    rounded,
    write_record,
)
from smoothvla_ros.evaluation.benchmark.figures import compared, described
from smoothvla_ros.evaluation.benchmark.matrix import (
    CellEvaluation,
    Kinds,
    Matrix,
    PlannedCell,
    Role,
)
from smoothvla_ros.evaluation.benchmark.scene_bootstrap import SceneBootstrap
from smoothvla_ros.evaluation.episodes.episode_table import EpisodeRow
from smoothvla_ros.evaluation.intervals.bootstrap import paired_change_percent
from smoothvla_ros.evaluation.intervals.rates import wilson

NAME = CellName('libero_spatial', 'binary', 1)


def record_of(rows: list[EpisodeRow]) -> CellRecord:
    """Return a cell with two iterations of training."""
    return CellRecord(
        NAME,
        settings={'training': {'seed': 1}},
        policy_sha256='ab' * 32,
        versions={'numpy': '2'},
        training={'entropy': [2.0, math.nan]},
        rows=tuple(rows),
    )


def test_a_cell_comes_back_from_its_file(tmp_path: Path) -> None:
    """Everything is there again, numbers to six digits, and NaN stays NaN."""
    rows = [*made_rows(1.0), dataclasses.replace(made_row(2, 3, 1.0), success=False, jerk=math.nan)]
    path = write_record(tmp_path, record_of(rows))
    found = read_records(tmp_path)[NAME]
    assert found.settings == {'training': {'seed': 1}}
    assert found.policy_sha256 == 'ab' * 32
    assert found.training['entropy'][0] == 2.0
    assert math.isnan(found.training['entropy'][1])
    assert sorted(map(repr, found.rows)) == sorted(repr(rounded(row)) for row in rows)
    assert path == tmp_path / 'libero_spatial' / 'binary_seed1.json.xz'


def test_a_cells_file_has_one_content_whatever_the_order(tmp_path: Path) -> None:
    """Episodes in another order, and a cell that was read and written again: the same bytes."""
    rows = made_rows(1.0)
    first = write_record(tmp_path / 'a', record_of(rows)).read_bytes()
    assert write_record(tmp_path / 'b', record_of(rows[::-1])).read_bytes() == first
    again = read_record(NAME.path(tmp_path / 'a'))
    assert write_record(tmp_path / 'c', again).read_bytes() == first


def test_a_whole_matrix_fits_into_five_megabytes(tmp_path: Path) -> None:
    """An episode costs at most 110 bytes, so that 40,000 of them stay below 5 MB."""
    rng = np.random.default_rng(0)
    floats = [f.name for f in dataclasses.fields(EpisodeRow) if f.type == 'float']
    measured = [n for n in floats if n not in ('temperature', 'rate_hz', 'window_s', 'duration_s')]
    rows = [
        dataclasses.replace(row, **{name: float(rng.lognormal()) for name in measured})
        for row in made_rows(1.0, episodes=60)
    ]
    size = write_record(tmp_path, record_of(rows)).stat().st_size
    assert size / len(rows) < 110


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    """A file that was cut is one clear line with the remedy, not a traceback."""
    path = write_record(tmp_path, record_of(made_rows(1.0)))
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(UserError, match=r'binary_seed1\.json\.xz cannot be read'):
        read_records(tmp_path)


def test_weights_drawn_once_give_the_interval_of_the_bootstrap() -> None:
    """The shared resamples are those of `paired_change_percent` with the same levels."""
    before = {(0, row.name): row for row in made_rows(1.0)}
    after = {(0, row.name): row for row in made_rows(0.7)}
    scenes = sorted(before)
    first = np.array([before[scene].jerk for scene in scenes])
    second = np.array([after[scene].jerk for scene in scenes])
    levels = [
        (seed, (name.suite, name.task), name.init_state, name.scene_seed) for seed, name in scenes
    ]
    expected = paired_change_percent(first, second, seed=0, levels=levels, replicates=1000)
    columns = first[:, None], second[:, None]
    (found,) = SceneBootstrap(scenes, replicates=1000).changes_percent(*columns)
    assert found is not None
    assert (found.mean, found.low, found.high) == pytest.approx(
        (expected.mean, expected.low, expected.high)
    )


def test_tasks_of_two_suites_are_drawn_apart() -> None:
    """Task 3 of one suite is not task 3 of another: a pooled mean rests on all of both."""
    suites = ('libero_spatial', 'libero_object')
    scenes = [
        (0, made_row(task, 0, 1.0, suite=suite).name) for suite in suites for task in range(20)
    ]
    values = np.tile(np.random.default_rng(4).normal(size=20), 2)
    (found,) = SceneBootstrap(scenes).means(values[:, None])
    assert found is not None
    assert found.high - found.low == pytest.approx(2 * 1.96 * values.std() / np.sqrt(40), rel=0.1)


def test_seeds_that_teach_nothing_new_narrow_nothing() -> None:
    """The same episodes thrice, as of three seeds, have the interval of one."""
    rng = np.random.default_rng(0)
    rows = made_rows(1.0, tasks=10)
    factors = 0.6 + 0.2 * rng.uniform(size=10)
    smoother = [dataclasses.replace(row, jerk=factors[row.task] * row.jerk) for row in rows]

    def width(seeds: int) -> float:
        first, second = (
            {(seed, row.name): row for seed in range(seeds) for row in method}
            for method in (rows, smoother)
        )
        found = compared(first, second)
        assert found is not None
        return found['jerk_change_percent']['high'] - found['jerk_change_percent']['low']

    assert width(3) > 0.9 * width(1)


@pytest.mark.parametrize(('seeds', 'share'), [(2, 0.5), (3, 0.75)])
def test_an_interval_over_few_seeds_is_as_narrow_as_the_page_says(seeds: int, share: float) -> None:
    """Where seeds differ more than scenes, a half and three quarters of the intervals hold it."""
    scenes = [(seed, row.name) for seed in range(seeds) for row in made_rows(1.0, episodes=2)]
    rng = np.random.default_rng(0)
    factors = rng.normal(1.0, 0.1, (seeds, 1000))[[seed for seed, _ in scenes]]
    values = factors + rng.normal(0.0, 0.02, factors.shape)
    held = [
        found is not None and found.low <= 1.0 <= found.high
        for found in SceneBootstrap(scenes).means(values)
    ]
    assert np.mean(held) == pytest.approx(share, abs=0.05)


def test_a_success_that_does_not_differ_is_not_known_exactly() -> None:
    """All of 30 before and after: Newcombe's interval, where the bootstrap's has no width."""
    rows = {(0, row.name): row for row in made_rows(1.0)}
    found = compared(rows, rows)
    assert found is not None
    change = found['success_change_points']
    assert change['mean'] == 0.0
    assert change['low'] < -5.0
    assert change['high'] > 5.0


def test_jerk_is_compared_only_where_both_succeed() -> None:
    """A failure of either leaves the scene out of the jerk but not out of the success."""
    rows = made_rows(1.0)
    before = {(0, row.name): row for row in rows}
    halved = [dataclasses.replace(row, jerk=0.5 * row.jerk) for row in rows]
    halved[0] = dataclasses.replace(halved[0], success=False, jerk=1e9)
    after = {(0, row.name): row for row in halved}
    found = compared(before, after)
    assert found is not None
    assert found['jerk_change_percent']['mean'] == pytest.approx(-50.0)
    assert found['jerk_change_percent']['high'] == pytest.approx(-50.0)
    assert (found['episodes'], found['solved_by_both']) == (len(rows), len(rows) - 1)
    assert found['success_change_points']['mean'] == pytest.approx(-100.0 / len(rows))
    assert compared(before, {(1, name): row for (_, name), row in after.items()}) is None


@pytest.mark.parametrize(('solved', 'known'), [(1, False), (4, False), (5, True)])
def test_too_few_scenes_have_no_interval(solved: int, known: bool) -> None:
    """A jerk over fewer than five scenes has no ends, however many seeds ran these; success has."""
    rows = made_rows(1.0)
    solving = [
        dataclasses.replace(row, success=index < solved, jerk=0.5 * row.jerk)
        for index, row in enumerate(rows)
    ]
    before, after = (
        {(seed, row.name): row for seed in range(3) for row in method} for method in (rows, solving)
    )
    alone, change = described(after), compared(before, after)
    assert alone is not None
    assert change is not None
    assert change['jerk_change_percent']['mean'] == pytest.approx(-50.0)
    for found in (alone['jerk'], change['jerk_change_percent']):
        assert np.isfinite([found['low'], found['high']]).tolist() == [known, known]
    for found in (alone['success'], change['success_change_points']):
        assert found['low'] < found['mean'] < found['high']
    few = compared(dict(list(before.items())[:2]), dict(list(after.items())[:2]))
    assert few is not None
    assert few['success_change_points']['low'] < few['success_change_points']['high']


def test_a_method_is_described_over_its_successes() -> None:
    """Success over all; jerk over the successes alone."""
    rows = [
        dataclasses.replace(row, success=index % 4 > 0, jerk=1.0 if index % 4 else 99.0)
        for index, row in enumerate(made_rows(1.0))
    ]
    found = described({(0, row.name): row for row in rows})
    assert found is not None
    assert found['jerk']['mean'] == pytest.approx(1.0)
    assert found['success']['mean'] == found['solved'] / len(rows)
    assert described({}) is None


def test_a_rate_without_a_failure_has_wilsons_interval() -> None:
    """A bootstrap of nothing but successes has no width."""
    rows = made_rows(1.0)
    found = described({(0, row.name): row for row in rows})
    rate = wilson(len(rows), len(rows))
    assert found is not None
    assert found['success'] == {'mean': rate.mean, 'low': rate.low, 'high': rate.high}


def test_a_rate_that_tasks_decide_is_as_uncertain_as_the_tasks() -> None:
    """All or nothing by task: ten tasks are ten answers, however many episodes each has."""
    rows = [
        dataclasses.replace(row, success=row.task % 2 == 0)
        for row in made_rows(1.0, tasks=10, episodes=20)
    ]
    found = described({(0, row.name): row for row in rows})
    assert found is not None
    width = found['success']['high'] - found['success']['low']
    # Ten fair coins: 1.96 * sqrt(0.25 / 10) on either side.
    assert width == pytest.approx(0.62, abs=0.06)
    assert width > 4 * (wilson(100, 200).high - 0.5)


def test_a_matrix_knows_what_it_lacks() -> None:
    """Absent cells and absent episodes are missing; greedy, sampled and perturbed are apart."""
    greedy, sampled = (
        CellEvaluation('policy', NAME.suite, 0.0),
        CellEvaluation('policy', NAME.suite, 0.5),
    )
    rows = made_rows(1.0)
    planned = [
        PlannedCell(NAME, Role.REWARD, {greedy: len(rows), sampled: 5}),
        PlannedCell(dataclasses.replace(NAME, seed=2), Role.REWARD, {greedy: 5, sampled: 5}),
    ]
    matrix = Matrix(planned[:1], {NAME: record_of(rows)})
    assert planned[0].missing(matrix.records[NAME]) == {sampled: 5}
    assert matrix.complete(['binary'], [NAME.suite], Kinds())
    assert not matrix.complete(['binary'], [NAME.suite], Kinds(0.5))
    assert not matrix.complete(['smooth'], [NAME.suite], Kinds())
    assert not Matrix(planned, matrix.records).complete(['binary'], [NAME.suite], Kinds())
    assert len(matrix.scenes('binary', [NAME.suite], [0, 1], Kinds())) == len(rows)
    assert matrix.scenes('binary', [NAME.suite], [1], Kinds(0.5)) == {}
