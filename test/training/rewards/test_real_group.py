"""Slowness tried on a group of real rollouts: what a gradient would be told of it.

data/rollout_group.npz: joint positions [T + 1, 7], rad, of the eight rollouts of one group of
libero_spatial task 0, the shipped policy at temperature 0.5; all succeeded.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.interpolate import CubicSpline

from smoothvla_ros.kinematics import Arm
from smoothvla_ros.records import Trajectory
from smoothvla_ros.smoothness import EstimatorSettings, mean_jerk, tool_jerk
from smoothvla_ros.training.rewards.functions import CREDIT, RewardSettings, decoupled
from smoothvla_ros.training.rewards.outcomes import GroupOutcome, RolloutOutcome, TaskReference

CHUNK, PERIOD_S = 8, 0.05
ARM = Arm.panda()


def outcome(joints: np.ndarray) -> RolloutOutcome:
    """A success that moved like this; joints [T + 1, 7] rad."""
    jerk = tool_jerk(joints, ARM.jacobian, PERIOD_S, EstimatorSettings())
    norms = np.linalg.norm(jerk[:, :3], axis=1)
    measured = np.flatnonzero(~np.isnan(norms))
    tool = np.stack([ARM.tool_pose(position)[0] for position in joints])
    steps = len(joints) - 1
    full, rest = divmod(steps, CHUNK)
    return RolloutOutcome(
        True,
        mean_jerk(jerk),
        np.interp(np.arange(len(norms)), measured, norms[measured])[1:],
        np.nan_to_num(np.linalg.norm(jerk[:, 3:], axis=1))[1:],
        np.linalg.norm(np.diff(tool, axis=0), axis=1) / PERIOD_S,
        (CHUNK,) * full + ((rest,) if rest else ()),
        Trajectory.at_rest(steps),
    )


def slowed(joints: np.ndarray, factor: float) -> np.ndarray:
    """The same path in `factor` times the time."""
    samples = round((len(joints) - 1) * factor) + 1
    return CubicSpline(np.arange(len(joints)), joints)(np.linspace(0, len(joints) - 1, samples))


@pytest.fixture(scope='module')
def group() -> list[np.ndarray]:
    """The joints of the group's rollouts."""
    with np.load(Path(__file__).parent / 'data' / 'rollout_group.npz') as stored:
        return [stored[name].astype(np.float64) for name in sorted(stored.files)]


def advantages(rollouts: list[RolloutOutcome], **settings) -> list[np.ndarray]:
    """The advantages of a group whose own mean is the reference."""
    reference = TaskReference(
        float(np.mean([r.mean_jerk for r in rollouts])),
        float(np.mean([r.mean_angular_jerk for r in rollouts])),
        float(np.mean([r.steps for r in rollouts])),
        8,
    )
    group = GroupOutcome(tuple(rollouts), reference)
    return list(decoupled(group, RewardSettings(**settings)).advantages)


def gains(group: list[np.ndarray], change, **settings) -> list[float]:
    """What each rollout's mean advantage gains if its motion alone is changed."""
    natural = [outcome(joints) for joints in group]
    before = advantages(natural, **settings)
    gained = []
    for index, joints in enumerate(group):
        changed = list(natural)
        changed[index] = outcome(change(joints))
        gained.append(advantages(changed, **settings)[index].mean() - before[index].mean())
    return gained


@pytest.mark.parametrize(('credited', 'least'), [('episode', 0.1), ('chunk', 0.1), ('step', 0.05)])
@pytest.mark.parametrize('factor', [1.03, 1.06, 1.1, 1.15])
def test_slowing_a_real_rollout_gains_nothing(group, factor, credited, least):
    """The same path a little slower, within what `slow_limit` lets pass."""

    def gained(**settings) -> float:
        change = gains(
            group, lambda joints: slowed(joints, factor), smoothness_credit=credited, **settings
        )
        return float(np.mean(change))

    assert gained(pace_exponent=0.0) > least
    assert gained() < 0.0


@pytest.mark.parametrize('credited', CREDIT)
@pytest.mark.parametrize('factor', [1.3, 1.6])
@pytest.mark.parametrize('start', [0.0, 0.3, 0.6])
def test_slowing_a_part_of_a_real_rollout_gains_nothing(group, start, factor, credited):
    """A quarter of the path more slowly: less jerk there, and more than that is charged to all."""

    def slow_part(joints: np.ndarray) -> np.ndarray:
        share = np.linspace(0.0, 1.0, len(joints))
        pace = np.where((share >= start) & (share < start + 0.25), 1.0 / factor, 1.0)
        path = np.interp(np.linspace(0.0, 1.0, 20 * len(joints)), share, pace)
        time = np.concatenate([[0.0], np.cumsum(1.0 / path[:-1])]) / 20.0
        at = np.interp(
            np.arange(int(time[-1]) + 1), time, np.linspace(0, len(joints) - 1, len(path))
        )
        return CubicSpline(np.arange(len(joints)), joints)(at)

    paid = gains(group, slow_part, smoothness_credit=credited, pace_exponent=0.0)
    assert np.mean(paid) > 0.0
    assert np.mean(gains(group, slow_part, smoothness_credit=credited)) < 0.0


@pytest.mark.parametrize(
    ('factor', 'credited', 'gained'),
    [(0.95, 'step', 0.06), (0.9, 'step', 0.11), (1.1, 'step', -0.10), (0.9, 'episode', 0.64)],
)
def test_haste_gains_what_docs_training_says(group, factor, credited, gained):
    """The exponent that lets no slowness pay pays haste; the course anchor is what forbids it."""
    change = gains(group, lambda joints: slowed(joints, factor), smoothness_credit=credited)
    assert np.mean(change) == pytest.approx(gained, abs=0.02)
