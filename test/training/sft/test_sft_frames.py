"""Rows of training: the right actions, labels and masks for each image."""

from dataclasses import replace

import numpy as np
import pytest
from sft_data import episode

from smoothvla_ros.errors import UserError
from smoothvla_ros.kinematics.arm import Arm
from smoothvla_ros.training.sft.augmentation import augment
from smoothvla_ros.training.sft.config import SFTConfig
from smoothvla_ros.training.sft.demonstration_episode import DemonstrationEpisode
from smoothvla_ros.training.sft.frames import FrameSet
from smoothvla_ros.training.sft.goal_labels import LENGTH_UNIT_M, next_gripper_change
from smoothvla_ros.training.sft.validation import held_out_rows


def frame_set(episodes) -> FrameSet:
    """Return rows of both cameras at 32 pixels."""
    return FrameSet(
        episodes, arm=Arm.panda(), cameras=('agentview', 'wrist'), image_size=32, chunk=8
    )


def test_rows_hold_the_actions_that_follow_their_image():
    """A chunk starts at its image's step; what lies beyond the end is masked."""
    demonstration = episode(steps=20)
    batch = frame_set([demonstration]).batch(np.arange(5))
    assert np.array_equal(batch.actions[1], demonstration.actions[4:12])
    assert batch.valid.sum(dim=1).tolist() == [8, 8, 8, 8, 4]
    assert np.array_equal(batch.images[2, 1], demonstration.images['wrist'][2])


def test_goal_labels_are_relative_to_the_tool():
    """Label plus tool position is the labelled point; without labels only the key pose counts."""
    demonstration = episode()
    arm = Arm.panda()
    batch = frame_set([demonstration]).batch(np.array([2]))
    tool, _ = arm.tool_pose(demonstration.joint_positions[8])
    point = batch.goal[0, 3:6].numpy() * LENGTH_UNIT_M + tool
    assert np.allclose(point, demonstration.labels['object_position'][8], atol=1e-6)
    key, _ = arm.tool_pose(demonstration.joint_positions[10])
    assert np.allclose(batch.goal[0, -6:-3].numpy() * LENGTH_UNIT_M + tool, key, atol=1e-6)
    bare = frame_set([episode(labelled=False)]).batch(np.array([2]))
    assert bare.goal_valid[0].tolist() == [False] * 9 + [True] * 6


def test_a_half_turn_to_the_key_pose_is_no_rest():
    """A hand turned by pi until the next grasp has pi to go, and not nothing."""
    demonstration = episode()
    joints = np.tile(demonstration.joint_positions[:1], (len(demonstration.joint_positions), 1))
    joints[:, 6] = 0.8
    joints[10:, 6] -= np.pi
    batch = frame_set([replace(demonstration, joint_positions=joints)]).batch(np.array([0]))
    assert np.linalg.norm(batch.goal[0, -3:].numpy()) == pytest.approx(np.pi, abs=1e-5)


def test_next_gripper_change_is_always_ahead():
    """Open, closed, open: each step points to the next change, the last ones to the end."""
    actions = np.zeros((6, 7))
    actions[:, 6] = [-1, -1, 1, 1, -1, -1]
    assert next_gripper_change(actions).tolist() == [2, 2, 4, 4, 5, 5]


def test_augmentation_keeps_labels_and_source():
    """Images and body change; actions, goals and the frames in memory do not."""
    frames = frame_set([episode()])
    before = frames.batch(np.arange(5))
    images = before.images.clone()
    body = before.body.clone()
    after = augment(before, SFTConfig(steps=1, shift_pixels=2), np.random.default_rng(0))
    assert np.array_equal(before.images, images)
    assert np.array_equal(before.body, body)
    assert not np.array_equal(after.images, images)
    assert after.images.shape == images.shape
    assert np.array_equal(after.actions, before.actions)
    assert np.array_equal(after.goal, before.goal)
    assert (after.body - body).abs().max() < 0.5


def test_validation_never_shares_an_episode():
    """A row of a held-out episode is no training row."""
    numbers = np.repeat(np.arange(20), 7)
    kept, held_out = held_out_rows(numbers, 0.1, seed=0)
    assert len(held_out) == 14
    assert not set(numbers[kept]) & set(numbers[held_out])


@pytest.mark.parametrize(
    ('episodes', 'share', 'expected'),
    [
        (1, 0.03, 0),
        (2, 0.03, 1),
        (3, 0.5, 2),
        (16, 0.03, 1),
        (17, 0.03, 1),
        (50, 0.03, 2),
        (1160, 0.03, 35),
        (16, 0.0, 0),
    ],
)
def test_a_share_holds_out_at_least_one_of_two_episodes(episodes: int, share: float, expected: int):
    """Without one there would be no held-out figure and no word of it; with a share of 0, none."""
    numbers = np.repeat(np.arange(episodes), 3)
    kept, held_out = held_out_rows(numbers, share, seed=0)
    assert len(held_out) == 3 * expected
    assert len(kept) == 3 * (episodes - expected)


def test_which_episodes_are_held_out_follows_from_the_seed_as_ever():
    """The shipped weights were trained without these of their 1160 demonstrations."""
    _, held_out = held_out_rows(np.arange(1160), 0.03, seed=0)
    expected = np.random.default_rng((0, 7)).permutation(np.arange(1160))[:35]
    assert held_out.tolist() == sorted(expected)


def test_no_demonstrations_is_one_clear_line():
    """An empty folder must not become an empty policy."""
    with pytest.raises(UserError, match='no demonstrations'):
        frame_set([])


@pytest.mark.parametrize(
    'field', ['actions', 'joint_positions', 'joint_velocities', 'gripper_positions']
)
@pytest.mark.parametrize('value', [np.nan, np.inf])
def test_a_demonstration_that_is_not_finite_is_named(field: str, value: float):
    """One bad sample between two images: the file, what it is and where, instead of a NaN loss."""
    good = episode(1)
    values = np.array(getattr(good, field))
    values[5, 1] = value
    with pytest.raises(UserError, match=rf'^episode 1: {field}=.* at step 5 is not finite'):
        frame_set([episode(0), replace(good, **{field: values})])


def with_action(value: float):
    """Return a demonstration with one number of one action replaced."""
    good = episode(1)
    actions = np.array(good.actions)
    actions[5, 2] = value
    return replace(good, actions=actions)


@pytest.mark.parametrize('value', [1.01, -1.01, 15.0])
def test_actions_beyond_the_range_are_refused_with_their_values(value: float):
    """In other units, or unclipped: learnt clamped, they would be another motion."""
    named = rf'^episode 1: actions=\[.*{value:g}.* at step 5 \(and 0 more\) leave \[-1, 1\]'
    with pytest.raises(UserError, match=named):
        frame_set([episode(0), with_action(value)])


@pytest.mark.parametrize('value', [1.0, -1.0, 1.0 + 1e-6, -1.0005])
def test_actions_at_the_end_of_the_range_are_taken(value: float):
    """A rounding beyond it is no other motion."""
    assert len(frame_set([with_action(value)])) == 5


@pytest.mark.parametrize(
    ('change', 'found'),
    [
        (lambda images: images.astype(np.float32) / 255, r'float32 \[5, 32, 32, 3\]'),
        (lambda images: images.astype(np.uint16) * 257, r'uint16 \[5, 32, 32, 3\]'),
        (lambda images: np.concatenate([images, images[..., :1]], -1), r'uint8 \[5, 32, 32, 4\]'),
        (lambda images: images[..., 0], r'uint8 \[5, 32, 32\]'),
        (lambda images: images[..., :1], r'uint8 \[5, 32, 32, 1\]'),
        (lambda images: images.transpose(0, 3, 1, 2), r'uint8 \[5, 3, 32, 32\]'),
        (lambda images: images[:, :0], r'uint8 \[5, 0, 32, 3\]'),
    ],
)
def test_images_that_are_not_rgb_bytes_are_refused(change, found: str):
    """Cast to bytes they would be black or scrambled: whose, of which camera, and what they are."""
    good = episode(1)
    images = {**good.images, 'wrist': change(good.images['wrist'])}
    named = rf'^episode 1: images of wrist are {found}, training needs uint8 .*; convert'
    with pytest.raises(UserError, match=named):
        frame_set([episode(0), replace(good, images=images)])


@pytest.mark.parametrize('count', [0, 4])
def test_images_for_some_of_the_steps_are_refused(count: int):
    """Fewer images than steps that should have one: counted, with the camera and whose they are."""
    good = episode(1)
    images = {**good.images, 'wrist': good.images['wrist'][:count]}
    with pytest.raises(UserError, match=rf'^episode 1: {count} images of wrist for 5 steps; '):
        frame_set([replace(good, images=images)])


@pytest.mark.parametrize(
    ('field', 'change', 'named'),
    [
        ('actions', lambda a: a[:, :6], r'actions is float32 \[20, 6\], .* \[steps, 7\]'),
        ('joint_positions', lambda a: a[:, :6], r'joint_positions .* \[21, 6\], .* \[steps, 7\]'),
        ('joint_velocities', lambda a: a[0], r'joint_velocities .* \[7\], .* \[steps, 7\]'),
        (
            'gripper_positions',
            lambda a: a[:, :1],
            r'gripper_positions .* \[21, 1\], .* one opening',
        ),
        ('gripper_positions', lambda a: a[:, 0], r'gripper_positions .* \[21\], .* \[steps, 2\]'),
        ('gripper_positions', lambda a: a.astype(str), r'gripper_positions is <U32 '),
        ('gripper_positions', lambda a: a[:-5], 'gripper_positions has 16 rows for 20 actions;'),
        ('joint_positions', lambda a: a[:-5], 'joint_positions has 16 rows for 20 actions;'),
        ('actions', lambda a: np.concatenate([a, a]), 'joint_positions has 21 rows for 40 actions'),
        ('actions', lambda a: a[:-6], 'joint_positions has 21 rows for 14 actions;'),
        ('actions', lambda a: a[:0], 'no actions;'),
        (
            'joint_positions',
            np.rad2deg,
            r'joint_positions has -11.46 for panda_joint2 at step 0, outside .*; give rad',
        ),
        ('gripper_positions', np.abs, 'gripper_positions has 0.04 for the second finger at step 0'),
        (
            'gripper_positions',
            lambda a: a / 0.08,
            r'gripper_positions has \[0\.5, -0\.5\] at step 0, .* 0\.1 m: .*metres.*'
            'gripper_feature=NAME',
        ),
        ('gripper_positions', lambda a: a * 100, r'gripper_positions has \[4, -4\] at step 0, '),
        (
            'gripper_positions',
            lambda a: a * -1000,
            r'gripper_positions has \[-40, 40\] at step 0, ',
        ),
    ],
)
def test_an_episode_of_another_shape_or_unit_is_named(field: str, change, named: str):
    """Short, flat, in degrees or with the other sign: one line that begins with whose it is."""
    good = episode(1)
    with pytest.raises(UserError, match=rf'^episode 1: {named}'):
        frame_set([episode(0), replace(good, **{field: change(getattr(good, field))})])


def test_labels_of_another_length_are_named():
    """A label a step, or none: what is missing would be another step's."""
    good = episode(1)
    labels = {**good.labels, 'waypoint': good.labels['waypoint'][:-1]}
    with pytest.raises(UserError, match=r'^episode 1: waypoint has 19 rows for 20 actions;'):
        frame_set([replace(good, labels=labels)])


def test_a_little_beyond_the_joint_range_is_taken():
    """A simulator's limits are soft, and fingers pushed aside, or wide ones, no other layout."""
    good = episode(1)
    joints, rows = np.array(good.joint_positions), len(good.gripper_positions)
    joints[5, 3] = -3.0718 - 0.05
    for both in ([0.004, 0.002], [0.1, -0.1]):
        fingers = np.tile(both, (rows, 1))
        changed = replace(good, joint_positions=joints, gripper_positions=fingers)
        assert len(frame_set([changed])) == 5


def moving_gripper(commands) -> list[DemonstrationEpisode]:
    """Return a demonstration whose fingers close in steps 11 to 15 and open again from 17 on.

    commands: of its actions' -1 and 1, what takes their place.
    """
    good = episode(steps=20)
    half = np.interp(np.arange(21), [11, 15, 17, 19], [0.04, 0.0, 0.0, 0.03])
    actions = good.actions.copy()
    actions[:, 6] = commands(np.where((np.arange(20) < 10) | (np.arange(20) > 15), -1.0, 1.0))
    fingers = np.stack([half, -half], axis=1)
    return [replace(good, gripper_positions=fingers, actions=actions)]


@pytest.mark.parametrize(
    ('commands', 'said'),
    [
        (np.negative, 'open by 0.06 m at gripper commands of 1 '),
        (lambda closes: (1 - closes) / 2, 'open by 0.06 m at gripper commands of 1 '),
        (lambda closes: (1 + closes) / 2, 'open by 0.06 m at gripper commands of 0 '),
        (lambda closes: np.minimum(closes, 0.0), 'close by 0.08 m at gripper commands of 0 '),
    ],
)
def test_gripper_commands_of_another_meaning_are_refused(commands, said: str):
    """1 to open, or 0 instead of -1, lies within [-1, 1] and had taught the opposite."""
    with pytest.raises(UserError, match=rf'^episode 0: the fingers {said}.*-1 to open'):
        frame_set(moving_gripper(commands))


def test_gripper_commands_that_the_fingers_follow_late_are_taken():
    """The fingers of a real gripper move a while after their command, here by a step or two."""
    assert len(frame_set(moving_gripper(lambda closes: closes))) == 5
    assert len(frame_set(moving_gripper(lambda closes: np.roll(closes, -1)))) == 5
