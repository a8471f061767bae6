"""Which labelled episodes of an arm are learnt from, and what of a recording is kept for them."""

from __future__ import annotations

import pytest
from arm_bags import START_NS, ArmBag, Played, arm_bag

from smoothvla_ros.errors import UserError
from smoothvla_ros.kinematics import Arm
from smoothvla_ros.msg import EpisodeLabel
from smoothvla_ros.nodes.topics.stamps import to_stamp
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


@pytest.mark.parametrize(
    ('outcome', 'line'),
    [
        ('success', '3 episodes: 3 success, 0 failure'),
        ('discard', '2 episodes: 2 success, 0 failure; left out: 1 discarded'),
    ],
)
@pytest.mark.parametrize('turned', [False, True])
def test_a_label_that_comes_again_counts_in_the_next_recording(tmp_path, outcome, line, turned):
    """The recorder began anew before it was corrected: the later label, in any order of bags."""
    first = [Played('a', 'failure'), Played('c', 'success')]
    bags = [arm_bag(tmp_path / 'first', SHA256, first)]
    second = ArmBag(SHA256)
    span = (START_NS + 10**9, START_NS + 26 * 10**8)
    label = EpisodeLabel(
        robot='robot_0',
        episode_id='a',
        first_stamp=to_stamp(span[0]),
        last_stamp=to_stamp(span[1]),
        outcome=outcome,
    )
    second.add(START_NS + 20 * 10**9, '/robot_0/episode_label', label)
    second.play(21.0, Played('d', 'success'))
    bags.append(second.write(tmp_path / 'second'))
    found = read_recordings(bags[::-1] if turned else bags, SHA256, Arm.panda())
    assert found.line() == line
    assert found.places.get('a', bags[0]) == bags[0]


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
