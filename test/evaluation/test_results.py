"""The benchmark's page and its bars: what is met, what is missed, what is not known yet."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from matrix_world import made_row

from smoothvla_ros.evaluation.benchmark import scene_bootstrap
from smoothvla_ros.evaluation.benchmark.bars import BarVerdict, bars
from smoothvla_ros.evaluation.benchmark.cell_record import CellName, CellRecord
from smoothvla_ros.evaluation.benchmark.matrix import (
    PERTURBATIONS,
    WRONG_INSTRUCTION,
    CellEvaluation,
    Matrix,
    PlannedCell,
    Role,
)
from smoothvla_ros.evaluation.benchmark.page import page
from smoothvla_ros.evaluation.benchmark.page_rows import NOT_YET
from smoothvla_ros.evaluation.benchmark.results import POOLED_SUITES, REWARDS, Results

SAMPLED = 0.5
TASKS, EPISODES, SEEDS = 10, 10, (0, 1, 2)
FAILING = {'sft': 3, 'binary': 1, 'smooth': 1, 'decoupled': 1}


@pytest.fixture(autouse=True, scope='module')
def few_replicates() -> Iterator[None]:
    """Draw few resamples: what is tested does not rest on the third digit."""
    monkeypatch = pytest.MonkeyPatch()
    original = scene_bootstrap.SceneBootstrap.__init__

    def quick(self: scene_bootstrap.SceneBootstrap, scenes: Any) -> None:
        original(self, scenes, replicates=100)

    monkeypatch.setattr(scene_bootstrap.SceneBootstrap, '__init__', quick)
    yield
    monkeypatch.undo()


def parts_of(suite: str) -> dict[CellEvaluation, int]:
    """Return the evaluations of a cell and their episodes."""
    every = TASKS * EPISODES
    return {
        CellEvaluation('policy', suite, 0.0): every,
        CellEvaluation('policy', suite, SAMPLED): every,
        CellEvaluation(WRONG_INSTRUCTION, suite, 0.0): TASKS,
        **{CellEvaluation('policy', f'{suite}_{kind}', 0.0): TASKS for kind in PERTURBATIONS},
    }


def record_of(name: CellName, roughness: float, failing: int) -> CellRecord:
    """Measure a cell: of every ten episodes of a task the first `failing` fail."""
    rows = [
        made_row(
            task,
            index,
            roughness,
            suite=part.suite,
            temperature=part.temperature,
            label=part.label,
            seed=name.seed,
            success=index >= failing and part.label == 'policy',
            surprise=2.0 if name.method == 'sft' else 0.5,
        )
        for part, count in parts_of(name.suite).items()
        for task in range(TASKS)
        # Scenes of single episodes a task are drawn from the end, where no method fails.
        for index in (range(EPISODES) if count > TASKS else [9])
    ]
    return CellRecord(name, {}, 'ab' * 32, {}, {'entropy': [2.0, math.nan]}, tuple(rows))


def content_of(roughness: Mapping[str, float], without: tuple[CellName, ...] = ()) -> dict:
    """Return the results of a matrix whose methods have a given roughness."""
    names = [
        CellName(suite, method, seed)
        for suite in POOLED_SUITES
        for method in ('sft', *REWARDS)
        for seed in SEEDS
    ]
    planned = [PlannedCell(name, Role.REWARD, parts_of(name.suite)) for name in names]
    records = {
        name: record_of(name, roughness.get(name.method, 1.0), FAILING[name.method])
        for name in names
        if name not in without
    }
    return Results(Matrix(planned, records), SAMPLED).content()


def verdicts(content: dict) -> list[BarVerdict]:
    """Return the bars' verdicts in order."""
    return [bar.verdict for bar in bars(content)]


@pytest.fixture(scope='module')
def smooth_matrix() -> dict:
    """A matrix in which `decoupled` has 40 % less jerk than all others."""
    return content_of({'decoupled': 0.6})


def test_bars_that_are_met(smooth_matrix: dict) -> None:
    """Smoother, not worse, better than SFT on each suite; LIBERO-PRO without a gain is missed."""
    found = verdicts(smooth_matrix)
    met = BarVerdict.MET
    assert found == [met, met, met, met, met, BarVerdict.MISSED, met, met]
    versus = smooth_matrix['decoupled_vs_binary']
    assert versus['jerk_change_percent']['mean'] == pytest.approx(-40.0)
    assert versus['episodes'] == 900
    assert versus['success_change_points']['mean'] == pytest.approx(0.0)
    gain = smooth_matrix['rl_vs_sft']['decoupled']['success_change_points']
    assert gain['mean'] == pytest.approx(20.0)


def test_bars_that_are_missed() -> None:
    """A fall of 25 % misses the bar of 30; a rise misses the signs too."""
    assert verdicts(content_of({'decoupled': 0.75}))[0] is BarVerdict.MISSED
    rougher = verdicts(content_of({'decoupled': 1.1}))
    assert [rougher[index] for index in (0, 6, 7)] == [BarVerdict.MISSED] * 3


@pytest.fixture(scope='module')
def one_missing() -> dict:
    """The same without one cell."""
    return content_of({'decoupled': 0.6}, (CellName('libero_goal', 'binary', 2),))


def test_a_missing_cell_opens_the_bars_that_rest_on_it(one_missing: dict) -> None:
    """What is there is shown as so far, and the verdict waits; other bars stand."""
    content = one_missing
    judged = bars(content)
    assert [bar.verdict for bar in judged][:3] == [BarVerdict.OPEN] * 3
    assert judged[0].measured.startswith('so far −40.0 %')
    assert judged[4].verdict is BarVerdict.MET
    pooled = {
        (row['suite'], row['method'], *row['against'])
        for row in content['rows']
        if row['seed'] == 'pooled' and row['sampling'] == 'greedy'
    }
    assert ('libero_goal', 'decoupled', 'sft') in pooled
    assert ('libero_spatial', 'decoupled', 'sft', 'binary') in pooled
    assert ('libero_spatial', 'binary', 'sft') in pooled
    assert not {('libero_goal', 'binary', 'sft'), ('pooled', 'binary', 'sft')} & pooled
    assert content['libero_pro']['sft']['complete']
    rows = [row for row in content['rows'] if row['figures'] is None]
    assert {(row['suite'], row['method'], row['seed']) for row in rows} == {
        ('libero_goal', 'binary', 2)
    }


def test_the_page_says_what_the_figures_say(smooth_matrix: dict) -> None:
    """Rows, the paper's numbers, the kind that is not installed, collapse, and notes by hand."""
    text = page(smooth_matrix, bars(smooth_matrix), 'Tried a thing.', 'make results')
    assert '36 of 36 cells are complete' in text
    assert '| libero_goal | decoupled | pooled | 270 of 300 | 90.0 [' in text
    assert '| libero_spatial | 0.337 | 0.360 |' in text
    assert 'has no files of it' in text
    assert '| 2.00 to 0.50 (−1.50 [−1.50, −1.50]), **collapsed** |' in text
    assert text.endswith('Tried a thing.\n')
    lines = [line for line in text.splitlines() if line.startswith('|')]
    assert all('nan' not in line.lower() and 'None' not in line for line in lines)
    tables = [line for line in lines if set(line) <= set('| −-')]
    assert tables
    assert all(set(line) == set('| -') for line in tables)


def test_a_change_over_too_few_scenes_stands_without_an_interval(smooth_matrix: dict) -> None:
    """It is read as it is, meets no bar that asks for an interval, and is not called slower."""
    content = copy.deepcopy(smooth_matrix)
    for versus in (content['decoupled_vs_binary'], content['sampled_vs_sft']):
        versus['jerk_change_percent'] |= {'low': None, 'high': None}
    for item in content['honesty']:
        item['against_sft']['steps'] |= {'mean': 1.0, 'low': None, 'high': None}
    content['libero_pro']['sft']['kinds']['libero_goal']['swap']['jerk'] |= {
        'mean': 2.0,
        'low': None,
        'high': None,
    }
    judged = bars(content)
    assert [judged[0].verdict, judged[6].verdict] == [BarVerdict.MISSED] * 2
    assert judged[0].measured.startswith('−40.0 % on ')
    text = page(content, judged, '', '')
    assert 'None' not in text
    assert '| libero_goal | swap | sft | 100.0 [' in text
    (line,) = [line for line in text.splitlines() if '| libero_goal | swap | sft |' in line]
    assert '| 2.00 |' in line
    assert '**slower**' not in text


def test_the_page_without_any_episode_is_open_everywhere() -> None:
    """No figure is invented: every bar and every table reads as not yet measured."""
    planned = [
        PlannedCell(CellName('libero_spatial', method, 0), Role.REWARD, parts_of('libero_spatial'))
        for method in ('sft', *REWARDS)
    ]
    content = Results(Matrix(planned, {}), SAMPLED).content()
    text = page(content, bars(content), '', 'make results')
    assert set(verdicts(content)) == {BarVerdict.OPEN}
    assert '0 of 4 cells are complete' in text
    assert '- libero_spatial: `sft` 0; `binary` 0; `smooth` 0; `decoupled` 0' in text.splitlines()
    rows = [line for line in text.splitlines() if line.startswith('| libero_spatial |')]
    assert len(rows) == 1, "the paper's"
    assert NOT_YET in rows[0]
    assert text.count('Not yet measured.') == 7


def test_the_page_names_what_is_missing_once(smooth_matrix: dict, one_missing: dict) -> None:
    """A cell that is not there has no row; begun ones say how far they are."""
    assert 'Not complete' not in page(smooth_matrix, bars(smooth_matrix), '', '')
    content = copy.deepcopy(one_missing)
    content['cells']['libero_goal/smooth/seed1']['episodes'] -= 1
    begun = content['cells']['libero_goal/smooth/seed1']
    text = page(content, bars(content), '', '')
    missing = f'- libero_goal: `binary` 2; `smooth` 1 ({begun["episodes"]} of {begun["planned"]})'
    assert missing in text.splitlines()
    assert '| libero_goal | smooth | 1 |' in text
    assert '| libero_goal | binary | 1 |' in text
    assert '| libero_goal | binary | 2 |' not in text
