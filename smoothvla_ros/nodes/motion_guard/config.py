"""The motion guard's parameters, and what is made of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from smoothvla_ros.configuration import setting, validate
from smoothvla_ros.control.motion_guard.action_space import ActionSpace
from smoothvla_ros.control.motion_guard.gripper import GripperSettings
from smoothvla_ros.control.motion_guard.guard import MotionGuard
from smoothvla_ros.control.motion_guard.guard_settings import GuardSettings
from smoothvla_ros.control.motion_guard.joint_positions import JointPositions
from smoothvla_ros.control.motion_guard.osc_reference import OscParameters, OscReference
from smoothvla_ros.control.motion_guard.refusals import ChunkLimits
from smoothvla_ros.control.motion_guard.timeline import require_streamable
from smoothvla_ros.control.motion_guard.watchdogs import WatchdogLimits
from smoothvla_ros.errors import UserError
from smoothvla_ros.kinematics.robot import COMFORT, LIMIT_SETS, RobotDescription
from smoothvla_ros.libero import ACTION_SPACE
from smoothvla_ros.nodes.topics.controllers import (
    CONTROLLERS,
    GRIPPER_TRAJECTORY,
    GRIPPERS,
    POSITION_CONTROLLER,
    TRAJECTORY_CONTROLLER,
)
from smoothvla_ros.nodes.topics.robot_names import MEASURED, PANDA_GRIPPER_JOINTS
from smoothvla_ros.shipped_files import file_or_shipped

# No stop takes longer; a simulated clock that stands still would let one last for ever.
STOP_TIMEOUT_S = 3.0


@dataclass(frozen=True)
class MotionGuardConfig(GuardSettings, ChunkLimits, WatchdogLimits, GripperSettings):
    """Which arm the guard moves, through which controller, and how carefully."""

    robot: str = setting('panda', 'Arm: a name in config/robots, or a file')
    urdf: str = setting('', "URDF of the arm; empty takes the robot file's")
    limits: str = setting(COMFORT, 'Which limits of the robot file hold', choices=LIMIT_SETS)
    action_space: str = setting(
        ACTION_SPACE,
        'What actions mean: joint_positions, a name in config/action_spaces, or a file',
    )
    controller: str = setting(
        TRAJECTORY_CONTROLLER, 'Kind of controller that moves the arm', choices=CONTROLLERS
    )
    controller_rate_hz: float = setting(
        1000.0, 'Rate of that controller, Hz', minimum=1.0, maximum=10000.0
    )
    joint_states: str = setting(
        MEASURED, "Topic with the joints, in the guard's namespace, or with a / before it, as it is"
    )
    command_topic: str = setting('', "Commands of the arm; empty is the controller's usual one")
    gripper: str = setting(GRIPPER_TRAJECTORY, 'How the gripper is commanded', choices=GRIPPERS)
    gripper_topic: str = setting('', 'Commands of the gripper; empty is the usual one')
    gripper_joints: tuple[str, ...] = setting(PANDA_GRIPPER_JOINTS, "The gripper's joints")
    gripper_open: tuple[float, ...] = setting(
        (0.04, 0.04), 'Positions of these joints when open, m, or rad of one that turns'
    )
    gripper_closed: tuple[float, ...] = setting(
        (0.0, 0.0), 'Positions of these joints when closed, m, or rad of one that turns'
    )
    gripper_travel_s: float = setting(
        0.4, 'Time from open to closed, s', minimum=0.01, maximum=10.0
    )
    gripper_effort: float = setting(
        20.0,
        'Largest force that gripper_command and parallel_gripper_command ask for, N, or torque of '
        'a joint that turns, N m; with the latter 0 leaves it to the controller',
        minimum=0.0,
    )
    auto_arm: bool = setting(False, 'Arm by itself when joint states come: simulated arms only')

    def __post_init__(self) -> None:
        validate(self, 'motion_guard node')
        if not len(self.gripper_open) == len(self.gripper_closed) == len(self.gripper_joints):
            raise UserError(
                'motion_guard node: gripper_joints, gripper_open and gripper_closed must be of '
                'one length'
            )
        if self.controller == POSITION_CONTROLLER:
            require_streamable(self.rate_hz, self.controller_rate_hz)


def make_guard(
    config: MotionGuardConfig, robot: RobotDescription, account: Callable[[], str] | None = None
) -> MotionGuard:
    """Return the guard of an arm; raises UserError where a file or a limit is missing.

    account: says where the time of a tick that is too late went.
    """
    limits = robot.limits(config.limits)
    return MotionGuard(
        config,
        limits,
        _action_space(config, robot),
        chunk_limits=config,
        watchdog_limits=config,
        gripper=config,
        streams_positions=config.controller == POSITION_CONTROLLER,
        account=account,
    )


def _action_space(config: MotionGuardConfig, robot: RobotDescription) -> ActionSpace:
    if config.action_space == JointPositions.name:
        if robot.urdf:
            # Such actions need no kinematics; the limits are held against the URDF all the same.
            robot.arm()
        return JointPositions(robot.limits(config.limits))
    file = file_or_shipped(config.action_space, 'action_spaces', 'action_space')
    parameters = OscParameters.from_file(file)
    return OscReference.for_robot(parameters, robot, config.limits, config.rate_hz)
