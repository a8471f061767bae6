"""A guard, a controller that interpolates as the real one does, and an arm that follows it."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from benchmarks.controller_model import ControllerModel, sampled_jerk
from smoothvla_ros.control.motion_guard.guard import MotionGuard
from smoothvla_ros.control.motion_guard.guard_settings import GuardSettings
from smoothvla_ros.control.motion_guard.joint_positions import JointPositions
from smoothvla_ros.control.motion_guard.osc_reference import OscParameters, OscReference
from smoothvla_ros.control.motion_guard.phases import GuardPhase
from smoothvla_ros.control.motion_guard.refusals import Chunk
from smoothvla_ros.kinematics import InverseKinematics
from smoothvla_ros.kinematics.robot import RobotDescription

CONFIG = Path(__file__).parents[2] / 'config'
PANDA = RobotDescription.from_file(CONFIG / 'robots' / 'panda.yaml')
LIMITS = PANDA.limits('comfort')
READY = np.array(PANDA.posture)
START_NS = 1_790_000_000_000_000_000
MS = 1_000_000
SECOND_NS = 1000 * MS
RELATIVE = 1e-6
"""By how much of a limit a number may be above it."""


def osc_space(limited: bool = True) -> OscReference:
    """Of the Panda under the guard's limits, or of LIBERO's, which has none."""
    parameters = OscParameters.from_file(CONFIG / 'action_spaces' / 'libero_osc_pose.yaml')
    if limited:
        return OscReference.for_robot(parameters, PANDA, 'comfort', GuardSettings().rate_hz)
    arm = PANDA.arm()
    return OscReference(parameters, arm, InverseKinematics(arm, LIMITS.lower, LIMITS.upper, READY))


class World:
    """Time in whole milliseconds; `positions` is the 1 kHz signal that the arm received."""

    def __init__(self, space=None, settings=None, limits=LIMITS, start=READY, **arguments):
        self.settings = settings or GuardSettings()
        self.guard = MotionGuard(
            self.settings, limits, space or JointPositions(limits), **arguments
        )
        self.space = self.guard._space
        self.controller = ControllerModel(start)
        self.period_ms = round(1000 / self.settings.rate_hz)
        self.now = START_NS
        self.states = []
        self.commands = []
        self.transport_ms = 1
        self.hears_joints = self.hears_heartbeat = True
        self.offset = np.zeros(7)
        self.seq = 0
        self.arrived = 0
        self._listen()

    def _listen(self):
        if self.hears_joints:
            joints = self.controller.update(self.now)[0] + self.offset
            self.guard.hear_joints(self.now, self.now, joints)
        if self.hears_heartbeat:
            self.guard.hear_heartbeat(self.now)

    def armed(self):
        assert self.guard.arm(self.now) == ''
        self.run(0.05)
        while self.guard._is_taking_over:
            self.run(0.05)
        self.commands.clear()
        return self

    def cleared_and_armed(self):
        """What a person does after a fault."""
        assert self.guard.clear_fault(self.now) == ''
        assert self.guard.arm(self.now) == ''

    def chunk(self, actions, /, **changes):
        self.seq += 1
        actions = np.asarray(actions, dtype=np.float64)
        values = {
            'epoch': 1,
            'seq': self.seq,
            'stamp_ns': self.now,
            'observation_stamp_ns': self.now,
            'dt': 0.05,
            'action_space': self.space.name,
            'horizon': len(actions),
            'dimension': actions.shape[1],
            'actions': actions.ravel(),
        }
        return Chunk(**(values | changes))

    def offer(self, actions, /, **changes):
        return self.guard.offer(self.now, self.chunk(actions, **changes))

    def tick(self):
        command = self.guard.tick(self.now)
        if command.motion is not None:
            self.commands.append(command)
            # One publisher's messages overtake each other on no reliable link.
            arrives = max(self.now + self.transport_ms * MS, self.arrived)
            self.arrived = arrives
            self.controller.deliver(arrives, command.start_ns, command.motion)
        return command

    def pass_ms(self, milliseconds):
        """Let the controller go on without the guard."""
        for _ in range(milliseconds):
            self.now += MS
            self.states.append(self.controller.update(self.now).copy())

    def run(self, seconds):
        for _ in range(round(seconds * 1000 / self.period_ms)):
            self.pass_ms(self.period_ms)
            self._listen()
            self.tick()

    def signal(self):
        """Positions, velocities, accelerations [T, n] at 1 kHz, as the arm received them."""
        return np.array(self.states).transpose(1, 0, 2)

    def moving(self):
        return bool(np.abs(self.states[-1][1]).max() > 1e-9)


def to_joints(*positions):
    """Actions of joint_positions: the joints and an open gripper."""
    return np.column_stack([np.array(positions), -np.ones(len(positions))])


def swing(step_rad=0.02, steps=8, joint=0):
    """A chunk of joint positions that moves one joint away from READY at a steady pace."""
    targets = np.tile(READY, (steps, 1))
    targets[:, joint] += step_rad * np.arange(1, steps + 1)
    return to_joints(*targets)


def running(**arguments):
    """A world in which the arm moves, fast."""
    world = World(**arguments).armed()
    assert world.offer(swing(0.04, 40)) is None
    world.run(0.5)
    assert world.guard.phase is GuardPhase.RUNNING
    assert np.abs(world.states[-1][1]).max() > 0.5
    return world


def assert_stops(world, phase):
    """The arm comes to rest inside of the limits, stays there, and the guard says its phase."""
    world.run(0.6)
    assert world.guard.phase is phase
    assert not world.moving()
    assert_inside_of_the_limits(world.signal())
    rest = world.states[-1][0].copy()
    world.commands.clear()
    world.run(0.2)
    assert world.commands == []
    np.testing.assert_array_equal(world.states[-1][0], rest)


def swing_back(world):
    targets = np.tile(world.states[-1][0], (8, 1))
    targets[:, 0] -= 0.02 * np.arange(1, 9)
    return to_joints(*targets)


def assert_inside_of_the_limits(states):
    """Of every sample; the jerk is the third difference of what the arm was told, at 1 kHz."""
    positions, velocities, accelerations = states
    assert np.isfinite(states).all()
    assert np.all(positions >= LIMITS.lower - RELATIVE)
    assert np.all(positions <= LIMITS.upper + RELATIVE)
    assert np.all(np.abs(velocities) <= LIMITS.velocity * (1 + RELATIVE))
    assert np.all(np.abs(accelerations) <= LIMITS.acceleration * (1 + RELATIVE))
    jerks = sampled_jerk(positions, 1e-3)
    # Positions of 3 rad are rounded to 4e-16, which the third difference makes 4e-6 rad/s^3.
    assert np.all(np.abs(jerks) <= LIMITS.jerk * (1 + RELATIVE) + 1e-5)
    shares = (np.abs(velocities) / LIMITS.velocity, np.abs(accelerations) / LIMITS.acceleration)
    shares = [float(share.max()) for share in (*shares, np.abs(jerks) / LIMITS.jerk)]
    print('largest shares of the limits of velocity, acceleration, jerk:', shares)
