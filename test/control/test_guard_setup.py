"""What a guard is not even made for: missing limits, a controller faster than its stream."""

from __future__ import annotations

import pytest
from guard_world import (
    CONFIG,
)

from smoothvla_ros.control.motion_guard.robot import RobotDescription
from smoothvla_ros.control.motion_guard.timeline import require_streamable
from smoothvla_ros.errors import UserError


def test_slow_guard_does_not_stream_to_a_fast_controller():
    """Held positions are steps; this is refused before anything moves."""
    with pytest.raises(UserError, match='below the controller rate'):
        require_streamable(250.0, 1000.0)
    require_streamable(500.0, 500.0)


@pytest.mark.parametrize('missing', ['comfort_jerk', 'vendor_velocity', 'position_upper'])
def test_robot_without_a_limit_is_refused(tmp_path, missing):
    """A missing limit is an error, never infinity."""
    lines = (CONFIG / 'robots' / 'panda.yaml').read_text().splitlines()
    path = tmp_path / 'arm.yaml'
    path.write_text('\n'.join(line for line in lines if not line.startswith(missing)))
    with pytest.raises(UserError, match=missing):
        RobotDescription.from_file(path)


def test_comfort_limits_never_exceed_the_vendors(tmp_path):
    """Both files that are shipped hold, and a slip in one of them is found."""
    for name in ('panda', 'fr3'):
        RobotDescription.from_file(CONFIG / 'robots' / f'{name}.yaml')
    text = (CONFIG / 'robots' / 'panda.yaml').read_text().replace('[1500.0,', '[9000.0,')
    (tmp_path / 'arm.yaml').write_text(text)
    with pytest.raises(UserError, match='comfort_jerk'):
        RobotDescription.from_file(tmp_path / 'arm.yaml')
