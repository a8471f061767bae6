"""`smoothvla analyze` of topics that several publishers share, or that change their order."""

from __future__ import annotations

import numpy as np
import pytest
from bags import write_bag, write_messages
from known_motion import NAMES, analysed, motion

from smoothvla_ros.cli import main


def test_joints_of_several_publishers(tmp_path, capsys):
    """An arm that speaks long after a gripper is found; joints that never come together are not."""
    finger = [(0.01 * i, ['finger'], np.zeros(1)) for i in range(9000)]
    time = 90.0 + np.arange(400) * 0.01
    moving = motion(time - 90.0)[:, :2]
    arm = [(t, ['shoulder', 'elbow'], p) for t, p in zip(time.tolist(), moving, strict=True)]
    bag = str(write_messages(tmp_path / 'bag', [*finger, *arm]))
    (found,) = analysed(tmp_path, bag, '--joints', 'elbow')['bags']
    assert list(found['joints']) == ['elbow']
    assert found['samples'] == 400
    assert found['notes'] == ['9000 messages have other joints than elbow: ignored']
    assert main(['analyze', bag, '--joints', 'elbow,finger', '--no-report']) == 2
    assert 'they come from several publishers' in capsys.readouterr().err


def in_orders(time: np.ndarray, taken: np.ndarray) -> list[tuple[float, list[str], np.ndarray]]:
    """Return the messages of one driver that names its joints in order taken[i] in message i."""
    orders = np.random.default_rng(0).permuted(np.tile(np.arange(7), (5, 1)), axis=1)
    return [
        (t, [NAMES[k] for k in order], row[order])
        for t, row, order in zip(time.tolist(), motion(time), orders[taken], strict=True)
    ]


@pytest.mark.parametrize(
    'shares',
    [(0.5, 0.5), (0.2, 0.2, 0.2, 0.2, 0.2), (0.95, 0.05), (0.7, 0.3)],
    ids=['two', 'five', 'one of them seldom', 'one of them less often'],
)
def test_joints_in_an_order_that_changes_at_random(tmp_path, shares):
    """One driver whose names come in several orders, each in the gaps of the others, is read whole.

    With an order that is regular but for where the other one stands, too.
    """
    time = np.arange(1200) * 0.01
    plain = write_bag(tmp_path / 'plain', time, motion(time), NAMES)
    taken = np.random.default_rng(0).choice(len(shares), len(time), p=shares)
    mixed = write_messages(tmp_path / 'mixed', in_orders(time, taken))
    found = analysed(tmp_path, str(plain), str(mixed), '--robot', 'panda')['bags']
    for key in ('rate_hz', 'samples', 'notes', 'tool', 'segments', 'worst'):
        assert found[1][key] == found[0][key]


def test_orders_of_one_driver_count_together_against_a_second_publisher(tmp_path):
    """A relay that says more than each order of the driver, but less than the driver, is left out.

    The driver's samples all count.
    """
    time, other = np.arange(1200) * 0.01, 0.0037 + np.arange(720) / 60
    plain = write_bag(tmp_path / 'plain', time, motion(time), NAMES)
    fingers = [
        (t, [*NAMES, 'finger'], np.append(row, 0.0))
        for t, row in zip(other.tolist(), motion(other - 0.02), strict=True)
    ]
    messages = [*in_orders(time, np.random.default_rng(0).choice(2, len(time))), *fingers]
    both = write_messages(tmp_path / 'both', sorted(messages, key=lambda message: message[0]))
    found = analysed(tmp_path, str(plain), str(both), '--robot', 'panda')['bags']
    assert found[1]['samples'] == 1200
    assert found[1]['tool'] == found[0]['tool']
    assert found[1]['notes'][0].startswith('720 messages are of another publisher')


def test_two_orders_in_turns_are_read_as_two_publishers(tmp_path):
    """Nothing tells one driver from two of half its rate: one order counts, with a note."""
    time = np.arange(1200) * 0.01
    half = write_bag(tmp_path / 'half', time[::2], motion(time)[::2], NAMES)
    turns = write_messages(tmp_path / 'turns', in_orders(time, np.arange(1200) % 2))
    found = analysed(tmp_path, str(half), str(turns), '--robot', 'panda')['bags']
    assert found[1]['rate_hz'] == 50.0
    assert found[1]['notes'][-1].startswith('600 messages are of another publisher')
    assert found[1]['tool'] == found[0]['tool']


def test_a_driver_that_starts_again_with_another_order(tmp_path):
    """What follows the pause is the same arm, also where only a few messages follow."""
    time = np.r_[np.arange(1000), np.arange(1100, 1140)] * 0.01
    messages = [
        (t, NAMES if t < 10.5 else NAMES[::-1], row if t < 10.5 else row[::-1])
        for t, row in zip(time.tolist(), motion(time), strict=True)
    ]
    bag = write_messages(tmp_path / 'bag', messages)
    (found,) = analysed(tmp_path, str(bag), '--robot', 'panda')['bags']
    assert found['samples'] == 1040
    assert [note.split()[1] for note in found['notes']] == ['gaps', 'samples']


def test_a_driver_that_starts_again_and_again(tmp_path):
    """Orders that come back after others had their stretch are one arm's."""
    time = np.arange(1200) * 0.01
    messages = in_orders(time, np.repeat([0, 1, 0, 2, 1, 0], 200))
    bag = write_messages(tmp_path / 'bag', messages)
    (found,) = analysed(tmp_path, str(bag), '--robot', 'panda')['bags']
    assert (found['samples'], found['notes']) == (1200, [])


@pytest.mark.parametrize(
    ('rate_hz', 'other_hz', 'later_s', 'jitter_s'),
    [
        (100, 100, 0.001, 0.0),
        (100, 100, 0.003, 0.0),
        (100, 100, 0.004, 0.0),
        (100, 100, 0.005, 0.0),
        (100, 100, 0.006, 0.0),
        (100, 100, 0.001, 2e-4),
        (500, 500, 0.0006, 0.0),
        (100, 50, 0.005, 0.0),
        (100, 80, 0.0037, 0.0),
        (100, 99.9, 0.0037, 0.0),
    ],
)
def test_two_publishers_of_about_one_rate_are_not_merged(
    tmp_path, rate_hz, other_hz, later_s, jitter_s
):
    """Whatever the time between them: the figures are those of the arm alone, and a note."""
    time, other = np.arange(0.0, 12.0, 1 / rate_hz), np.arange(0.0, 12.0, 1 / other_hz)
    jitter = np.abs(np.random.default_rng(1).normal(0.0, jitter_s, len(other)))
    plain = write_bag(tmp_path / 'plain', time, motion(time)[:, :2], ['j1', 'j2'])
    rows = np.column_stack([motion(other)[:, :2], np.full(len(other), 0.04)])
    stamps = (other + later_s + jitter).tolist()
    messages = [
        *zip(time.tolist(), [['j1', 'j2']] * len(time), motion(time)[:, :2], strict=True),
        *zip(stamps, [['j1', 'j2', 'finger']] * len(other), rows, strict=True),
    ]
    both = write_messages(tmp_path / 'both', sorted(messages, key=lambda message: message[0]))
    found = analysed(tmp_path, str(plain), str(both), '--joints', 'j1,j2')['bags']
    assert found[1]['rate_hz'] == rate_hz
    assert found[1]['samples'] == len(time)
    for name in ('j1', 'j2'):
        assert found[1]['joints'][name] == pytest.approx(found[0]['joints'][name], rel=1e-9)
    assert found[1]['notes'] == [
        f'{len(other)} messages are of another publisher of the same joints, at times of its '
        'own: ignored'
    ]


@pytest.mark.parametrize(
    ('rate_hz', 'behind_s', 'late_s'),
    [(30.0, 0.0, 0.0), (100.0, 0.0, 0.004), (80.0, 0.05, 0.0), (80.0, -50.0, 0.0)],
    ids=['a relay that stamps anew', 'the same stamps', 'another clock', 'far another clock'],
)
def test_a_second_publisher_of_the_same_joints_is_left_out(tmp_path, rate_hz, behind_s, late_s):
    """An arm, and an arm with its finger, both on the topic: the one that says more counts."""
    time = np.arange(5000) * 0.01
    plain = write_bag(tmp_path / 'plain', time, motion(time), NAMES)
    other = np.arange(0.0 if late_s else 0.0037, 45.0, 1 / rate_hz)
    behind = motion(other - 0.02)
    arm = [(t, t, NAMES, row) for t, row in zip(time.tolist(), motion(time), strict=True)]
    fingers = [
        (t + late_s, t - behind_s, [*NAMES, 'finger'], np.append(row, 0.0))
        for t, row in zip(other.tolist(), behind, strict=True)
    ]
    mixed = sorted([*arm, *fingers], key=lambda message: message[0])
    messages = [message[1:] for message in mixed]
    received = np.array([message[0] for message in mixed])
    both = write_messages(tmp_path / 'both', messages, received)
    found = analysed(tmp_path, str(plain), str(both), '--robot', 'panda')['bags']
    for part in ('translation', 'rotation'):
        assert found[1]['tool'][part] == pytest.approx(found[0]['tool'][part], rel=1e-6)
    assert found[1]['samples'] == 5000
    assert found[1]['notes'] == [
        f'{len(fingers)} messages are of another publisher of the same joints, at times of its '
        'own: ignored'
    ]
