"""What is said of a camera that is slow, silent or gone."""

from __future__ import annotations

import math

import pytest

from smoothvla_ros.cameras.capture import CaptureStatus
from smoothvla_ros.cameras.condition import Condition, condition_of


def status(rate_hz=20.0, age_s=0.05, problem=''):
    return CaptureStatus(rate_hz, age_s, 100, 0, problem)


@pytest.mark.parametrize(
    ('seen', 'wanted_hz', 'said'),
    [
        (status(), 20.0, (Condition.GOOD, 'images')),
        (status(rate_hz=16.0), 20.0, (Condition.GOOD, 'images')),
        (status(rate_hz=15.9), 20.0, (Condition.SLOW, '16 Hz of 20')),
        (status(rate_hz=math.nan), 20.0, (Condition.GOOD, 'images')),
        (status(age_s=0.5), 20.0, (Condition.GOOD, 'images')),
        (status(age_s=0.51), 20.0, (Condition.SILENT, 'no image for a while')),
        (status(rate_hz=2.0, age_s=1.5), 2.0, (Condition.GOOD, 'images')),
        (status(rate_hz=2.0, age_s=1.6), 2.0, (Condition.SILENT, 'no image for a while')),
        (status(rate_hz=5.0, age_s=math.inf), 20.0, (Condition.SILENT, 'no image for a while')),
        (status(age_s=9.0, problem='it is gone'), 20.0, (Condition.SILENT, 'it is gone')),
    ],
)
def test_a_camera_is_judged_by_its_rate_and_its_newest_image(seen, wanted_hz, said):
    """Each limit from both sides; the reason of a lost camera comes first, and NaN is not slow."""
    assert condition_of(seen, wanted_hz) == said
