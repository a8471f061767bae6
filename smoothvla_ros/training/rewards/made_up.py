"""A group of rollouts that nobody ran, for a reward to be tried on."""

from __future__ import annotations

import numpy as np

from smoothvla_ros.kinematics import Arm
from smoothvla_ros.kinematics.rotations import rotation_vector
from smoothvla_ros.libero import CONTROL_PERIOD_S, ROTATION_SCALE_RAD, TRANSLATION_SCALE_M
from smoothvla_ros.records import Trajectory
from smoothvla_ros.training.rewards.outcomes import GroupOutcome, RolloutOutcome, TaskReference

_CHUNK = 8
_SUBSTEPS = 25

# rad: a posture in the middle of the arm's workspace, and how far each joint sways about it.
_POSTURE = np.array([-0.8, 0.1, 0.0, -2.0, 0.0, 2.1, 0.8])
_SWAY = np.array([0.05, 0.05, 0.08, 0.06, 0.1, 0.07, 0.15])


def made_up_group() -> GroupOutcome:
    """Return successes and failures of different lengths, as a task of LIBERO has them.

    The arm moves all the time, and no two rollouts are alike in anything: a reward that divides by
    a path, an action or its spread over the group finds no zero.
    """
    arm = Arm.panda()
    rollouts = tuple(_rollout(arm, *each) for each in enumerate((83, 90, 101, 219)))
    reference = TaskReference(jerk=1.5, angular_jerk=6.0, steps=95.0, episodes=8)
    return GroupOutcome(rollouts, reference)


def _rollout(arm: Arm, number: int, steps: int) -> RolloutOutcome:
    jerk = (1.0 + 0.05 * number) * (1.0 + np.linspace(0.0, 1.0, steps))
    full, rest = divmod(steps, _CHUNK)
    trajectory = _motion(arm, number, steps)
    moved = np.diff(trajectory.tool_positions, axis=0)
    return RolloutOutcome(
        success=steps < 200,
        mean_jerk=float(jerk.mean()),
        step_jerk=jerk,
        step_angular_jerk=4.0 * jerk,
        step_speed=np.linalg.norm(moved, axis=1) / CONTROL_PERIOD_S,
        chunk_steps=(_CHUNK,) * full + (rest,),
        trajectory=trajectory,
    )


def _motion(arm: Arm, number: int, steps: int) -> Trajectory:
    """Return a turn about the base during which every joint sways."""
    times = CONTROL_PERIOD_S * np.arange(steps + 1)
    fine = CONTROL_PERIOD_S / _SUBSTEPS * np.arange(steps * _SUBSTEPS + 1)
    joints = _joints(times, number)
    poses = [arm.tool_pose(positions) for positions in joints]
    positions = np.array([position for position, _ in poses])
    rotations = np.array([rotation for _, rotation in poses])
    turned = rotations[1:] @ rotations[:-1].transpose(0, 2, 1)
    closes = np.where(np.arange(steps) < steps // 2, -1.0, 1.0)
    return Trajectory(
        actions=np.column_stack(
            [
                np.diff(positions, axis=0) / TRANSLATION_SCALE_M,
                np.array([rotation_vector(turn) for turn in turned]) / ROTATION_SCALE_RAD,
                closes,
            ]
        ),
        joint_positions=joints,
        joint_velocities=_joints(times, number, rates=True),
        tool_positions=positions,
        tool_rotations=rotations,
        substep_joint_positions=_joints(fine, number).astype(np.float32),
        control_period_s=CONTROL_PERIOD_S,
        substep_period_s=CONTROL_PERIOD_S / _SUBSTEPS,
    )


def _joints(times: np.ndarray, number: int, *, rates: bool = False) -> np.ndarray:
    """Return positions [N, 7] rad at times [N] s, or their rates in rad/s."""
    turn = np.zeros(len(_SWAY))
    turn[0] = 0.15 + 0.01 * number  # rad/s
    frequencies = 1.0 + 0.2 * np.arange(len(_SWAY)) + 0.05 * number  # rad/s
    angles = times[:, None] * frequencies + number
    if rates:
        return turn + _SWAY * frequencies * np.cos(angles)
    return _POSTURE + times[:, None] * turn + _SWAY * np.sin(angles)
