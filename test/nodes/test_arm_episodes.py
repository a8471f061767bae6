"""Which labelled episodes of an arm are learnt from, and what of a recording is kept for them."""

from __future__ import annotations

import pytest
from arm_bags import Played, arm_bag

from smoothvla_ros.errors import UserError
from smoothvla_ros.kinematics import Arm
from smoothvla_ros.workflows.training import arm_recordings
from smoothvla_ros.workflows.training.arm_recordings import read_recordings

SHA256 = 'a' * 64


def test_an_episode_that_comes_again_is_refused(tmp_path):
    """A recording given twice, here as its folder and as the file in it: both are named."""
    bag = arm_bag(tmp_path / 'bag', SHA256, [Played('a', 'success'), Played('b', 'failure')])
    (file,) = bag.glob('*.mcap')
    with pytest.raises(UserError, match=rf'episode a is in {bag} and in {file}'):
        read_recordings([bag, file], SHA256, Arm.panda())


def test_an_episode_of_two_outcomes_is_refused(tmp_path):
    """A copy that was labelled otherwise: neither outcome is taken for the last one."""
    bag = arm_bag(tmp_path / 'bag', SHA256, [Played('a', 'success')])
    twin = arm_bag(tmp_path / 'twin', SHA256, [Played('a', 'discard')])
    with pytest.raises(UserError, match=rf'episode a .*success in {bag} and discard in {twin}'):
        read_recordings([bag, twin], SHA256, Arm.panda())


def test_images_are_kept_of_episodes_that_are_learnt_from(tmp_path, monkeypatch):
    """Those of discarded and unlabelled ones would fill the memory of a long session."""
    kept = []
    decision_of = arm_recordings.decision_of

    def counted(*arguments):
        kept.append(decision_of(*arguments))
        return kept[-1]

    monkeypatch.setattr(arm_recordings, 'decision_of', counted)
    episodes = [Played('a', 'success'), Played('b', 'discard'), Played('c', '')]
    found = read_recordings([arm_bag(tmp_path / 'bag', SHA256, episodes)], SHA256, Arm.panda())
    (rollout,) = found.rollouts
    assert len(kept) == len(rollout.decisions) == 4
