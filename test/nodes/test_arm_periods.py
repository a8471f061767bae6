"""Arms whose policy decides an action less often than LIBERO's 20 Hz are measured as well."""

from __future__ import annotations

import dataclasses

import arm_bags
import numpy as np
import pytest
from arm_bags import Played, arm_bag

from smoothvla_ros.errors import UserError
from smoothvla_ros.kinematics import Arm
from smoothvla_ros.training.rewards.motion import rollout_outcome
from smoothvla_ros.workflows.training.arm_recordings import read_recordings
from smoothvla_ros.workflows.training.arm_training import ArmRolloutSource

SHA256 = 'a' * 64
ARM = Arm.panda()


def recorded(path, *periods_s):
    """Two episodes, success and failure, of these control periods in s."""
    names = zip('ab', ('success', 'failure'), periods_s, strict=True)
    episodes = [Played(name, outcome, period_s=period) for name, outcome, period in names]
    return read_recordings([arm_bag(path, SHA256, episodes)], SHA256, ARM)


def outcomes(recordings):
    """What a reward is told of each episode."""
    source = ArmRolloutSource(recordings, 0)
    (plan,) = source.groups(1)
    episodes = source.collect(plan.requests)
    return [rollout_outcome(episode, ARM.jacobian, source.estimator) for episode in episodes]


def test_a_slower_policy_has_the_jerk_of_its_motion(tmp_path):
    """The same swaying at 10 Hz and at 20 Hz: read between the control steps it is as jerky."""
    slow = outcomes(recorded(tmp_path / 'slow', 0.1, 0.1))
    usual = outcomes(recorded(tmp_path / 'usual', 0.05, 0.05))
    assert [len(outcome.step_jerk) for outcome in slow] == [32, 32]
    assert np.isfinite(slow[0].step_jerk).all()
    assert np.ptp(slow[0].step_jerk) > 0.0
    assert slow[0].mean_jerk == pytest.approx(usual[0].mean_jerk, rel=0.1)


def test_two_periods_are_refused(tmp_path):
    """Their steps cannot be compared; an episode of each is named."""
    with pytest.raises(UserError, match=r'0\.05 s \(episode a\), 0\.1 s \(episode b\)'):
        outcomes(recorded(tmp_path / 'bag', 0.05, 0.1))


def test_joints_that_are_too_slow_are_refused(tmp_path):
    """Between two samples of a control step each there is nothing to read."""
    recordings = recorded(tmp_path / 'bag', 0.1, 0.1)
    first = recordings.rollouts[0]
    recordings.rollouts[0] = dataclasses.replace(first, joint_rate_hz=10.0)
    with pytest.raises(UserError, match=r'episode a .* 10 times a second.*20 times.*commands'):
        outcomes(recordings)
    assert ArmRolloutSource(recordings, 0, of_joints=False).groups(1)


def test_the_rate_that_is_refused_is_the_recorded_one(tmp_path, monkeypatch):
    """A policy at 15 Hz needs 30; joints at 20 Hz were said to come 15 times a second."""
    monkeypatch.setattr(arm_bags, 'RATE_HZ', 20.0)
    recordings = recorded(tmp_path / 'bag', 1 / 15, 1 / 15)
    with pytest.raises(UserError, match=r'episode a has joint states 20 times a second.*30 times'):
        outcomes(recordings)
