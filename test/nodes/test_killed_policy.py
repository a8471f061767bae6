"""The policy's process is killed while the arm moves fast; twin and guard are processes too."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from sensor_msgs.msg import JointState
from std_srvs.srv import Trigger
from waiting import wait_until

from benchmarks.controller_model import sampled_jerk
from smoothvla_ros import msg
from smoothvla_ros.control.motion_guard.watchdogs import Trip, WatchdogLimits
from smoothvla_ros.kinematics.robot import RobotDescription, panda_description
from smoothvla_ros.nanoseconds import to_nanoseconds
from smoothvla_ros.nodes.topics.quality_of_service import profiles

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

CONFIG = Path(__file__).parents[2] / 'config'
LIMITS = RobotDescription.from_file(CONFIG / 'robots' / 'panda.yaml').limits('comfort')
PATIENCE_S = 300.0
# Of the limits: as fast as the shipped policy makes a joint on its way to the object.
FAST = 0.6
# The twin's time, in which everything here is measured: a busy machine is not late in it.
SPEED = 0.25
AFTERWARDS_NS = 1_500_000_000
# What a kill is noticed late by, here: a clock that was heard a moment ago, and a beat on its way.
SLACK_S = 0.1


class Cell:
    """What `deploy.launch.py hardware:=twin` starts, without a launch that would end all of it."""

    def __init__(self, motions: Path) -> None:
        clocked = {'use_sim_time': True}
        twin = {'suite': 'libero_object', 'task': 0, 'speed': SPEED, 'motions': motions}
        self.processes = {
            'twin': _start('twin', twin),
            'motion_guard': _start(
                'motion_guard', clocked | {'auto_arm': True}, 'motion_guard.yaml', '/robot_0'
            ),
            'policy': _start('policy', clocked | {'graph': 'real_arm'}, 'policy.yaml'),
        }
        self.node = Node('beside_the_cell')
        quality = profiles('real_arm')
        self.velocities, self.stamp_ns = np.zeros(7), 0
        self.phases: list[tuple[int, msg.GuardState]] = []
        self.levels: list[tuple[bytes, str]] = []
        self.episode: msg.EpisodeState | None = None
        for kind, topic, heard, profile in (
            (JointState, 'robot_0/joint_states', self._on_joints, quality.joint_states),
            (msg.GuardState, 'robot_0/motion_guard/state', self._on_guard, quality.status),
            (msg.EpisodeState, 'robot_0/episode_state', self._on_episode, quality.state),
            (DiagnosticArray, '/diagnostics', self._on_diagnostics, 10),
        ):
            self.node.create_subscription(kind, topic, heard, profile)
        self.reset = self.node.create_client(Trigger, 'robot_0/reset')
        self.executor = SingleThreadedExecutor()
        self.executor.add_node(self.node)

    def until(self, condition, what: str) -> None:
        def turn() -> None:
            ended = [name for name, process in self.processes.items() if process.poll() is not None]
            assert set(ended) <= {'policy'}, f'{ended} ended before {what}'
            self.executor.spin_once(timeout_sec=0.1)

        wait_until(condition, PATIENCE_S, turn, lambda: f'for {what}')

    def close(self) -> None:
        for process in self.processes.values():
            process.terminate()
        for process in self.processes.values():
            process.wait()
        self.executor.shutdown()
        self.node.destroy_node()

    def _on_joints(self, message: JointState) -> None:
        index = [message.name.index(joint) for joint in panda_description().joints]
        self.velocities = np.array(message.velocity)[index]
        self.stamp_ns = to_nanoseconds(message.header.stamp)

    def _on_guard(self, message: msg.GuardState) -> None:
        self.phases.append((to_nanoseconds(message.header.stamp), message))

    def _on_episode(self, message: msg.EpisodeState) -> None:
        self.episode = message

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        self.levels += [
            (status.level, status.message)
            for status in message.status
            if 'motion_guard' in status.name
        ]


def _start(name: str, values: dict, file: str = '', namespace: str = '/') -> subprocess.Popen:
    words = [word for key, value in values.items() for word in ('-p', f'{key}:={value}')]
    for path in filter(None, (file, 'deploy.yaml')):
        words += ['--params-file', str(CONFIG / path)]
    command = [sys.executable, '-m', f'smoothvla_ros.nodes.{name}', '--ros-args']
    return subprocess.Popen([*command, '-r', f'__ns:={namespace}', *words])


def test_arm_rests_in_the_time_that_the_limits_allow_and_the_guard_says_why(ros, tmp_path):
    """SIGKILL at speed: the time-out, the brake inside of the limits, a fault that latches."""
    cell = Cell(tmp_path)
    try:
        cell.until(
            lambda: (np.abs(cell.velocities) / LIMITS.velocity).max() > FAST, 'an arm that moves'
        )
        first_ns = to_nanoseconds(cell.episode.first_stamp)
        killed_ns, speeds = cell.stamp_ns, np.abs(cell.velocities)
        cell.processes['policy'].kill()
        running = cell.phases[-1][1]
        cell.until(lambda: cell.stamp_ns > killed_ns + AFTERWARDS_NS, 'what the guard does')
        assert np.abs(cell.velocities).max() < 1e-3
        cell.until(lambda: cell.phases[-1][0] > killed_ns + AFTERWARDS_NS / 2, "the guard's state")
        assert cell.reset.wait_for_service(PATIENCE_S)
        cell.reset.call_async(Trigger.Request())
        cell.until(lambda: list(tmp_path.glob('*.npz')), 'the motion')
    finally:
        cell.close()

    assert running.phase == msg.GuardState.PHASE_RUNNING
    said = cell.phases[-1][1]
    assert said.phase == msg.GuardState.PHASE_FAULTED
    assert said.reason.startswith(str(Trip.NO_HEARTBEAT))
    assert said.fault_latched
    assert (DiagnosticStatus.ERROR, f'faulted: {said.reason}') in cell.levels

    with np.load(next(tmp_path.glob('*.npz')), allow_pickle=False) as archive:
        commanded, measured = archive['commanded_positions'], archive['joint_positions']
        period_s = float(archive['period_s'])
    killed = round((killed_ns - first_ns) * 1e-9 / period_s)
    moving = np.flatnonzero(np.abs(np.diff(commanded, axis=0)).max(axis=1) > 1e-12)
    brake_s = float((speeds / LIMITS.acceleration).max()) + 0.1
    rest_s = (moving[-1] - killed) * period_s
    print(f'at rest {rest_s:.3f} s after the kill, at {(speeds / LIMITS.velocity).max():.2f}')
    assert 0.0 < rest_s < WatchdogLimits().heartbeat_timeout_s + brake_s + SLACK_S
    assert np.abs(measured[-1] - commanded[-1]).max() < 0.01
    jerk = np.abs(sampled_jerk(commanded[moving[0] :], period_s))
    assert np.all(jerk <= LIMITS.jerk * (1 + 1e-6) + 1e-4)
