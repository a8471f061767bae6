"""Several episodes of one init state: intervals as of the init states, not of the episodes."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable

import numpy as np
import pytest

from smoothvla_ros.evaluation.episodes.episode_table import EpisodeRow, row_from_stored
from smoothvla_ros.evaluation.episodes.stored_episode import StoredEpisode
from smoothvla_ros.evaluation.intervals.bootstrap import (
    mean_interval,
    paired_change_percent,
    paired_difference,
)
from smoothvla_ros.evaluation.intervals.init_states import design_effect, drawn_levels
from smoothvla_ros.evaluation.intervals.pairing import pair_rows
from smoothvla_ros.evaluation.intervals.rates import (
    PairedCounts,
    mcnemar,
    mcnemar_of_groups,
    success_difference,
    wilson,
)
from smoothvla_ros.evaluation.report.comparison_table import caption
from smoothvla_ros.evaluation.report.summary import RunContext, describe, summarise_run
from smoothvla_ros.kinematics import Arm
from smoothvla_ros.records import Episode, EpisodeName

STATES, EACH = 40, 3


def names_of(states: int, each: int) -> list[EpisodeName]:
    """Return so many scenes of each of so many init states, ten a task."""
    return [
        EpisodeName('libero_goal', state // 10, 5 * (state % 10) + 4, 100_000 + each * state + one)
        for state in range(states)
        for one in range(each)
    ]


def alike(
    rng: np.random.Generator, share: float, correlation: float, each: int = EACH
) -> np.ndarray:
    """Return outcomes [STATES * each]: rates of init states are beta distributed about `share`."""
    strength = 1.0 / correlation - 1.0
    rates = rng.beta(share * strength, (1.0 - share) * strength, STATES)
    return (rng.random((STATES, each)) < rates[:, None]).ravel()


@pytest.fixture(scope='module')
def row(arm: Arm, make_episode: Callable[..., Episode]) -> EpisodeRow:
    """One measured row, to be varied."""
    return row_from_stored(StoredEpisode.of(make_episode(), 'before'), arm)


def rows_of(
    row: EpisodeRow, policy: str, each: int, states: int = STATES, seed: int = 0
) -> list[EpisodeRow]:
    """Return rows whose jerk and success are nearly the init state's alone."""
    rng = np.random.default_rng([seed, each, len(policy)])
    jerk = np.repeat(rng.lognormal(1.0, 0.4, states), each)
    jerk *= rng.lognormal(0.0, 0.02, states * each)
    solved = np.repeat(rng.random(states) < 0.9, each)
    return [
        dataclasses.replace(
            row,
            policy=policy,
            episode_id=f'{policy}-{index:03d}',
            suite=name.suite,
            task=name.task,
            init_state=name.init_state,
            scene_seed=name.scene_seed,
            jerk=float(jerk[index]),
            success=bool(solved[index]),
        )
        for index, name in enumerate(names_of(states, each))
    ]


def test_init_states_that_come_once_give_what_independent_episodes_give(row: EpisodeRow) -> None:
    """Bit for bit Wilson, Newcombe, McNemar and the plain bootstrap, as `make train` reports."""
    before, after = rows_of(row, 'before', 1), rows_of(row, 'after', 1)
    names = [item.name for item in before]
    assert drawn_levels(names) is None
    assert design_effect([item.success for item in before], names) == 1.0
    described = describe(before)
    alone = wilson(sum(item.success for item in before), STATES)
    assert (described['success']['low'], described['success']['high']) == (alone.low, alone.high)
    jerk = mean_interval([item.jerk for item in before if item.success], seed=0)
    assert (described['jerk']['low'], described['jerk']['high']) == (jerk.low, jerk.high)
    pairing = pair_rows(before, after)
    counts = PairedCounts.of([r.success for r in before], [r.success for r in after])
    assert pairing.success_change(seed=0) == success_difference(counts)
    assert pairing.mcnemar() == mcnemar(counts)
    measured = pairing.measured('jerk')
    assert pairing.change_percent('jerk', 0) == paired_change_percent(*measured, seed=0)
    assert pairing.difference('jerk', 0) == paired_difference(*measured, seed=0)


def test_rollouts_of_one_scene_an_init_state_are_drawn_as_scenes() -> None:
    """Sampled rollouts of a training, a scene an init state: the bits of drawing scenes."""
    scenes = [name for name in names_of(6, 1) for _ in range(8)]
    values = np.random.default_rng(3).lognormal(size=len(scenes))
    by_scene = mean_interval(values, seed=0, levels=[(name,) for name in scenes])
    assert mean_interval(values, seed=0, levels=drawn_levels(scenes)) == by_scene


@pytest.mark.parametrize('share', [0.7, 0.9])
@pytest.mark.parametrize('correlation', [0.5, 0.9, 0.99])
def test_rates_cover_the_truth_where_episodes_are_alike(share: float, correlation: float) -> None:
    """Of simulated evaluations 90 to 99 % hold the true rate; as independent far fewer did."""
    rng, names, held = np.random.default_rng(1), names_of(STATES, EACH), [0, 0]
    for _ in range(400):
        outcomes = alike(rng, share, correlation)
        effect = design_effect(outcomes, names)
        for index, of in enumerate((effect, 1.0)):
            found = wilson(int(outcomes.sum()), len(outcomes), design_effect=of)
            held[index] += found.low <= share <= found.high
    assert 0.90 < held[0] / 400 < 0.99
    assert held[1] / 400 < 0.88


def test_differences_cover_the_truth_where_episodes_are_alike() -> None:
    """The same of success after minus before."""
    rng, names, held = np.random.default_rng(2), names_of(STATES, EACH), [0, 0]
    for _ in range(400):
        before, after = alike(rng, 0.7, 0.9), alike(rng, 0.8, 0.9)
        counts = PairedCounts.of(before, after)
        effect = design_effect(after.astype(int) - before, names, (-1.0, 1.0))
        for index, of in enumerate((effect, 1.0)):
            found = success_difference(counts, of)
            held[index] += found.low <= 0.1 <= found.high
    assert 0.90 < held[0] / 400 < 0.99
    assert held[1] / 400 < 0.85


def test_changes_of_jerk_cover_the_truth_where_episodes_are_alike() -> None:
    """The same of the paired bootstrap."""
    rng, levels, held = np.random.default_rng(4), drawn_levels(names_of(STATES, EACH)), [0, 0]
    truth = 100.0 * (0.7 * np.exp(0.5 * (0.2**2 + 0.02**2)) - 1.0)
    for _ in range(150):
        before = np.repeat(rng.lognormal(1.0, 0.2, STATES), EACH)
        after = before * np.repeat(rng.lognormal(np.log(0.7), 0.2, STATES), EACH)
        after *= rng.lognormal(0.0, 0.02, STATES * EACH)
        for index, drawn in enumerate((levels, None)):
            found = paired_change_percent(before, after, seed=0, levels=drawn, replicates=1000)
            held[index] += found.low <= truth <= found.high
    assert 0.90 <= held[0] / 150 <= 0.99
    assert held[1] / 150 < 0.85


@pytest.mark.parametrize('correlation', [0.3, 0.6, 0.95])
def test_design_effect_is_kishs(correlation: float) -> None:
    """Of many equal init states it is 1 + (each - 1) * intraclass correlation (Kish 1965)."""
    rng, names = np.random.default_rng(5), names_of(STATES, 5)
    effects = [design_effect(alike(rng, 0.6, correlation, 5), names) for _ in range(200)]
    assert np.mean(effects) == pytest.approx(1.0 + 4.0 * correlation, rel=0.12)


def test_successes_alone_count_as_so_many_init_states() -> None:
    """Where nothing failed nothing shows how alike they are; one failure makes nothing surer."""
    names, outcomes = names_of(STATES, EACH), np.ones(STATES * EACH, bool)
    assert design_effect(outcomes, names) == EACH
    lows = []
    for failures in range(4):
        outcomes[:: 2 * EACH][:failures] = False
        effect = design_effect(outcomes, names)
        lows.append(wilson(int(outcomes.sum()), len(outcomes), design_effect=effect).low)
    assert lows == sorted(lows, reverse=True)
    assert wilson(STATES, STATES).low == pytest.approx(lows[0])


def test_wilson_of_an_effect_is_wilson_of_so_many_fewer() -> None:
    """Three times as many episodes that are worth a third each are as many as there were."""
    for successes in (0, 7, 20):
        single, worth = wilson(successes, 20), wilson(3 * successes, 60, design_effect=3.0)
        assert (worth.low, worth.high) == pytest.approx((single.low, single.high), abs=1e-12)


def test_mcnemar_of_groups_counts_the_flips_of_whole_groups() -> None:
    """All flips counted one by one; groups of one scene give McNemar's own p-value."""
    changes = [3, -1, 2, 0, 3, 1, -2, 2]
    sizes = [abs(change) for change in changes if change]
    flips = itertools.product((-1, 1), repeat=len(sizes))
    sums = [abs(np.dot(signs, sizes)) for signs in flips]
    assert mcnemar_of_groups(changes) == pytest.approx(np.mean([s >= sum(changes) for s in sums]))
    for only_before, only_after in ((0, 0), (3, 12), (9, 9), (0, 20)):
        single = [-1] * only_before + [1] * only_after + [0] * 5
        expected = mcnemar(PairedCounts(5, only_before, only_after, 0))
        assert mcnemar_of_groups(single) == pytest.approx(expected, rel=1e-12)


def test_three_scenes_of_an_init_state_narrow_nothing(row: EpisodeRow) -> None:
    """Of a whole summary: copies under other scene seeds leave every interval about as wide."""
    context, widths = RunContext('libero_goal', 0), []
    for each in (1, 3):
        rows = []
        for policy in ('before', 'after'):
            once = rows_of(row, policy, 1)
            rows += [
                dataclasses.replace(
                    item, episode_id=f'{item.episode_id}-{i}', scene_seed=item.scene_seed + 100 * i
                )
                for item in once
                for i in range(each)
            ]
        summary = summarise_run(rows, context)
        paired = summary['paired']
        assert paired['pairs'] == each * paired['init_states']
        assert ('of 40 init states' in caption(summary)) is (each > 1)
        found = (
            summary['before']['success'],
            summary['before']['jerk'],
            paired['success_change_points'],
            paired['changes']['jerk'],
        )
        widths.append([item['high'] - item['low'] for item in found])
        widths[-1].append(paired['outcomes']['mcnemar_p'])
    assert widths[1] == pytest.approx(widths[0], rel=0.15)
