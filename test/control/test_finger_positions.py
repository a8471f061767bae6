"""Fingers as a driver counts them become those of the policy's training."""

from __future__ import annotations

import numpy as np

from smoothvla_ros.control.finger_positions import as_trained
from smoothvla_ros.libero import FINGER_SIGNS


def test_each_finger_has_its_scale_and_offset():
    """LIBERO counts the second finger negative; another hand may close where ours opens."""
    fingers = np.array([0.03, 0.02])
    assert as_trained(fingers, FINGER_SIGNS, (0.0, 0.0)).tolist() == [0.03, -0.02]
    assert as_trained(fingers, (-1.0, 0.5), (0.04, -0.01)).tolist() == [0.04 - 0.03, 0.0]
