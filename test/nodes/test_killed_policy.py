"""The policy's process is killed while the arm moves at full speed; the guard has its own."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import numpy as np
from guard_graph import GuardGraph
from sensor_msgs.msg import Image

from smoothvla_ros import msg
from smoothvla_ros.control.motion_guard.robot import RobotDescription
from smoothvla_ros.control.motion_guard.watchdogs import Trip
from smoothvla_ros.nodes.image_conversion import to_image_message
from smoothvla_ros.nodes.quality_of_service import profiles
from smoothvla_ros.nodes.stamps import to_stamp

HERE = Path(__file__).parent
LIMITS = RobotDescription.from_file(HERE.parents[1] / 'config/robots/panda.yaml').limits('comfort')
SPEED = 0.9 * LIMITS.velocity[0]
HEARTBEAT_TIMEOUT_S, HEARTBEAT_PERIOD_S, TRANSPORT_S = 0.5, 0.1, 0.2
# What two processes on a machine that does other things as well may be late by.
LATE_S = 0.5
POLICY = {
    'graph': 'real_arm',
    'robots': 1,
    'policy': 'x',
    'instruction': 'swing',
    'trigger': 'every_observation',
    'max_age_s': 2.0,
    'max_skew_s': 0.5,
    'record_rollouts': False,
    'heartbeat_period_s': HEARTBEAT_PERIOD_S,
}
GUARD = {
    'rate_hz': 100.0,
    'transport_s': TRANSPORT_S,
    'follow_ticks': 10,
    'heartbeat_timeout_s': HEARTBEAT_TIMEOUT_S,
    # The arm of this test is always late, and so is the machine.
    'max_start_distance_rad': 3.0,
    'max_late_s': 5.0,
    'max_chunk_age_s': 5.0,
    'max_observation_age_s': 5.0,
    'joint_states_timeout_s': 1.0,
    'max_lag_rad': 100.0,
    'chunk_timeout_s': 5.0,
}


class Cell(GuardGraph):
    """The arm's side, with cameras that see something and a policy that is a process."""

    def __init__(self):
        self._cameras, self._imaged_s, self.policy = [], 0.0, None
        super().__init__(own_process=True, **GUARD)
        self.hears_heartbeat = False
        quality = profiles('real_arm').image
        self._cameras = [
            self.world.create_publisher(Image, f'camera/{camera}/image_raw', quality)
            for camera in ('agentview', 'wrist')
        ]
        words = [f'{name}:={value}' for name, value in POLICY.items()]
        parameters = [word for value in words for word in ('-p', value)]
        command = [sys.executable, str(HERE / 'swinging_policy.py'), str(SPEED)]
        self.policy = subprocess.Popen([*command, '--ros-args', *parameters])

    def spin_once(self):
        super().spin_once()
        if time.monotonic() - self._imaged_s > 0.05:
            self._imaged_s = time.monotonic()
            for publisher in self._cameras:
                image = to_image_message(np.zeros((16, 16, 3), np.uint8))
                image.header.stamp = to_stamp(self.now_ns())
                publisher.publish(image)

    def close(self):
        if self.policy is not None:
            self.policy.kill()
            self.policy.wait()
        super().close()


def test_arm_rests_in_the_time_that_the_limits_allow_and_the_guard_says_why(ros):
    """SIGKILL at full speed: the heartbeat's time-out, the transport, the brake; then a fault."""
    cell = Cell()
    try:
        cell.until(lambda: cell.world.count_publishers('heartbeat') > 1, timeout_s=60.0)
        cell.armed()
        cell.until(lambda: abs(cell.signal[-1][1][0]) > 0.97 * SPEED, timeout_s=60.0)
        cell.policy.kill()
        killed = len(cell.signal)
        killed_ns = cell.now_ns() - cell._simulated_ns
        cell.phase(msg.GuardState.PHASE_FAULTED)
        cell.run(0.6)
    finally:
        cell.close()
    assert cell.states[-1].reason == str(Trip.NO_HEARTBEAT)
    assert cell.states[-1].fault_latched
    positions, velocities, _ = np.array(cell.signal[killed:]).transpose(1, 0, 2)
    rest_s = np.flatnonzero(np.abs(velocities).max(axis=1))[-1] * 1e-3 - killed_ns * 1e-9
    brake_s = SPEED / (0.8 * LIMITS.acceleration[0]) + 0.05
    assert rest_s < HEARTBEAT_TIMEOUT_S + HEARTBEAT_PERIOD_S + TRANSPORT_S + brake_s + LATE_S
    assert np.abs(velocities[-1]).max() == 0.0
    jerk = np.abs(np.diff(positions, n=3, axis=0)) / 1e-9
    assert np.all(jerk <= LIMITS.jerk * (1 + 1e-6) + 1e-5)
