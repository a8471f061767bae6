"""LIBERO's numbers and names: what policies, simulation and demonstrations of it have in common."""

from __future__ import annotations

CONTROL_RATE_HZ = 20.0
"""Control steps a second of an episode, and so actions of a policy."""

CONTROL_PERIOD_S = 1.0 / CONTROL_RATE_HZ
"""Time between two control steps, s."""

SETTLE_STEPS = 10
"""Control steps that a scene is left to itself before an episode's first observation."""

ARM_JOINTS = 7
"""Joints of its arm, a Panda, without the fingers."""

ACTION_DIMENSION = 7
"""Numbers in an action: the tool's translation (3) and rotation (3), and the gripper."""

TRANSLATION, ROTATION, GRIPPER = slice(0, 3), slice(3, 6), 6
"""Where an action holds them; the gripper's command is -1 (open) to 1 (close)."""

POSE_DIMENSION = 6
POSE = slice(0, POSE_DIMENSION)
"""Where an action holds translation and rotation, its tool-pose delta."""

TRANSLATION_SCALE_M = 0.05
"""What a translation of 1 asks for in one control step, m: robosuite's OSC_POSE."""

ROTATION_SCALE_RAD = 0.5
"""What a rotation of 1 asks for in one control step, rad: robosuite's OSC_POSE."""

ACTION_SPACE = 'libero_osc_pose'
"""What such actions are called, in a policy's `PolicySpec` and in config/action_spaces."""

JOINT_SPACE = 'joint_positions'
"""Another meaning of actions, of policies for real arms: n joints, rad, then the gripper."""

FINGER_SIGNS = (1.0, -1.0)
"""Its finger positions for each unit of opening; a driver counts both fingers positive."""

AGENTVIEW, WRIST = 'agentview', 'wrist'
CAMERAS = (AGENTVIEW, WRIST)
"""Our names of its cameras: one looks at the scene, one is on the hand."""

STOCK, FAST = 'stock', 'fast'
RENDER_PROFILES = (STOCK, FAST)
"""How its images are drawn: as robosuite draws them, or several times faster, other pixels."""
