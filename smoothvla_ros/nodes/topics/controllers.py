"""The controllers that may move an arm and its gripper, and where each usually takes commands."""

from __future__ import annotations

TRAJECTORY_CONTROLLER = 'joint_trajectory_controller'
POSITION_CONTROLLER = 'forward_position_controller'
CONTROLLERS = (TRAJECTORY_CONTROLLER, POSITION_CONTROLLER)
COMMAND_TOPICS = {
    TRAJECTORY_CONTROLLER: f'{TRAJECTORY_CONTROLLER}/joint_trajectory',
    POSITION_CONTROLLER: f'{POSITION_CONTROLLER}/commands',
}

GRIPPER_NONE, GRIPPER_TRAJECTORY = 'none', 'joint_trajectory'
GRIPPER_POSITIONS, GRIPPER_ACTION = 'positions', 'gripper_command'
# Of parallel_gripper_action_controller, which has taken the place of the one before it since Jazzy.
GRIPPER_PARALLEL_ACTION = 'parallel_gripper_command'
GRIPPERS = (
    GRIPPER_NONE,
    GRIPPER_TRAJECTORY,
    GRIPPER_POSITIONS,
    GRIPPER_ACTION,
    GRIPPER_PARALLEL_ACTION,
)
GRIPPER_TOPICS = {
    GRIPPER_NONE: '',
    GRIPPER_TRAJECTORY: 'gripper_controller/joint_trajectory',
    GRIPPER_POSITIONS: 'gripper_controller/commands',
    GRIPPER_ACTION: 'gripper_controller/gripper_cmd',
    GRIPPER_PARALLEL_ACTION: 'gripper_controller/gripper_cmd',
}
