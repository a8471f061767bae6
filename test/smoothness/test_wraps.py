"""A joint reported within one turn passes the seam: that is no motion, live and offline."""

from __future__ import annotations

import numpy as np
import pytest

from smoothvla_ros.smoothness import EstimatorSettings, JerkEstimator, MotionStream
from smoothvla_ros.smoothness.wraps import Unwrapping

TURN = 2 * np.pi


def within(angles: np.ndarray, lowest: float) -> np.ndarray:
    """Return angles as a driver reports them, in [lowest, lowest + 2 pi)."""
    return (angles - lowest) % TURN + lowest


@pytest.mark.parametrize('lowest', [-np.pi, 0.0])
@pytest.mark.parametrize('block', [1, 7, 1000])
def test_turns_in_both_directions_are_undone(lowest, block):
    """Three turns forth and five back at 3 rad/s and 20 Hz, however the stream is cut."""
    time = np.arange(0.0, 40.0, 0.05)
    angles = np.column_stack([18.0 - 3.0 * np.abs(time - 6.0), np.cos(time)])
    reported = angles.copy()
    reported[:, 0] = within(angles[:, 0], lowest)
    unwrapping = Unwrapping()
    read = [unwrapping.add(reported[first : first + block]) for first in range(0, len(time), block)]
    found = np.concatenate(read)
    np.testing.assert_allclose(found - found[0], angles - angles[0], atol=1e-9)
    expected = np.count_nonzero(np.abs(np.diff(reported[:, 0])) > 3.0)
    assert expected > 8
    assert unwrapping.wraps.tolist() == [expected, 0]


def test_only_a_whole_turn_of_a_joint_that_turns_is_a_wrap():
    """Half a turn in a step is a fault of the stream, and a metre is no angle: both stay."""
    steps = np.array([[0.0, 0.0, 0.0], [3.2, 6.2, 6.2], [0.0, 6.3, 6.3]])
    found = Unwrapping(np.array([True, True, False])).add(steps)
    np.testing.assert_allclose(found[:, [0, 2]], steps[:, [0, 2]])
    np.testing.assert_allclose(found[:, 1], [0.0, 6.2 - TURN, 6.3 - TURN])


def test_what_was_given_is_not_changed():
    """The caller's samples stay as they were reported."""
    reported = np.array([[3.1], [-3.1], [-3.0]])
    kept = reported.copy()
    Unwrapping().add(reported)
    np.testing.assert_array_equal(reported, kept)


def test_live_and_offline_read_the_jerk_of_the_motion():
    """A sine of 0.2 Hz across pi: its own jerk, where the seam gave ten thousand rad/s^3."""
    settings = EstimatorSettings(rate_hz=100.0)
    time = np.arange(1500) * 0.01
    rate = TURN * 0.2
    angles = np.pi + 0.8 * np.cos(rate * time)[:, None]
    reported = within(angles, -np.pi)
    assert np.abs(np.diff(reported, axis=0)).max() > 6.0
    stream = MotionStream(settings)
    offline = stream.add(time, reported).motions[:, 3]
    live = JerkEstimator(settings, None)
    estimates = [live.add(float(t), q) for t, q in zip(time, reported, strict=True)]
    found = np.array([each.joint_jerk for each in estimates if each is not None])
    truth = 0.8 * rate**3 * np.sin(rate * time)[15:-15, None]
    np.testing.assert_allclose(offline, truth, atol=0.01)
    np.testing.assert_allclose(found, truth, atol=0.01)
    assert stream.wraps.tolist() == [6]


def test_a_joint_that_slides_is_taken_at_its_word():
    """Live and offline, a step of 6.28 m is a jump and its jerk is there to see."""
    settings = EstimatorSettings(rate_hz=100.0)
    positions = np.where(np.arange(100) < 50, 0.0, 6.28)[:, None]
    slides = np.array([False])
    stream = MotionStream(settings, turning=slides)
    assert np.abs(stream.add(np.arange(100) * 0.01, positions).motions[:, 3]).max() > 1000.0
    live = JerkEstimator(settings, None, turning=slides)
    found = [live.add(0.01 * index, row) for index, row in enumerate(positions)]
    assert max(abs(each.joint_jerk[0]) for each in found if each is not None) > 1000.0
