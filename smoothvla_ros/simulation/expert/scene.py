"""What the expert knows of a scene: measured poses, contacts and surfaces, robot base frame."""

from __future__ import annotations

from collections.abc import Iterable

import mujoco
import numpy as np

from smoothvla_ros.simulation.environment import Environment
from smoothvla_ros.simulation.expert.geometry import BodyGeometry, body_subtree, find_body
from smoothvla_ros.simulation.expert.goal import Goal, Problem

FINGER_BODIES = ('gripper0_leftfinger', 'gripper0_rightfinger')
FINGER_JOINTS = ('gripper0_finger_joint1', 'gripper0_finger_joint2')


class ExpertScene:
    """Read-only view of one environment; every length in m, every position in the base frame."""

    def __init__(self, environment: Environment, problem: Problem):
        self.problem = problem
        self._environment = environment
        self._model, self._data = environment.model, environment.data
        self._base_position, self._base_rotation = environment.base_pose()
        self._geometries: dict[str, BodyGeometry] = {}
        self._fingers = [
            frozenset(
                int(geom)
                for geom in np.flatnonzero(
                    np.isin(
                        self._model.geom_bodyid,
                        body_subtree(self._model, find_body(self._model, name)),
                    )
                )
            )
            for name in FINGER_BODIES
        ]
        self._finger_joints = [int(self._model.joint(name).id) for name in FINGER_JOINTS]

    # ---- the robot

    @property
    def tool_position(self) -> np.ndarray:
        """Position of the point between the fingertips, [3]."""
        return self._environment.tool_pose()[0]

    @property
    def tool_rotation(self) -> np.ndarray:
        """Orientation of the tool, [3, 3]; its z axis points out of the hand."""
        return self._environment.tool_pose()[1]

    @property
    def opening(self) -> float:
        """Distance between the finger pads, 0 to 0.08 m."""
        addresses = self._model.jnt_qposadr[self._finger_joints]
        return float(np.abs(self._data.qpos[addresses]).sum())

    @property
    def opening_rate(self) -> float:
        """Speed at which the fingers close or open, m/s, not signed."""
        addresses = self._model.jnt_dofadr[self._finger_joints]
        return float(np.abs(self._data.qvel[addresses]).max())

    def finger_contacts(self, name: str) -> int:
        """Return how many of the two fingers touch an object."""
        touched = self.geometry(name).geoms
        pairs = self._data.contact.geom[: self._data.ncon]
        return sum(
            any(
                (int(a) in finger and int(b) in touched) or (int(b) in finger and int(a) in touched)
                for a, b in pairs
            )
            for finger in self._fingers
        )

    # ---- the scene

    def satisfied(self, goal: Goal) -> bool:
        """Whether the simulator counts a goal predicate as reached."""
        return bool(self._environment.libero._eval_predicate(goal.expression))

    def geometry(self, name: str) -> BodyGeometry:
        """The geometry of an object, fixture or body, by name."""
        if name not in self._geometries:
            self._geometries[name] = BodyGeometry(self._model, find_body(self._model, name))
        return self._geometries[name]

    def position(self, name: str) -> np.ndarray:
        """Position of an object, fixture or body, [3]."""
        return self._to_base(self._data.xpos[self.geometry(name).root])

    def rotation(self, name: str) -> np.ndarray:
        """Orientation of an object, fixture or body, [3, 3]."""
        body = self.geometry(name).root
        return self._base_rotation.T @ self._data.xmat[body].reshape(3, 3)

    def points(self, name: str) -> np.ndarray:
        """Surface points of an object, fixture or body, [n, 3]."""
        return self._to_base(self.geometry(name).points(self._data))

    def radius(self, name: str) -> float:
        """Largest horizontal distance of an object's surface from its origin, m."""
        return float(np.linalg.norm((self.points(name) - self.position(name))[:, :2], axis=1).max())

    def site(self, name: str) -> np.ndarray:
        """Position of a site, [3]."""
        return self._to_base(self._data.site(name).xpos)

    def site_half_size(self, name: str) -> np.ndarray:
        """Half extents of a box site along the base axes, [3]."""
        site = self._data.site(name)
        return np.abs(site.xmat.reshape(3, 3) @ self._model.site(name).size)

    def joint(self, name: str) -> float:
        """Position of a one-dimensional joint, rad or m."""
        return float(self._data.qpos[int(self._model.jnt_qposadr[self._model.joint(name).id])])

    def has_joint(self, name: str) -> bool:
        """Whether the scene has a joint of this name."""
        return mujoco.mj_name2id(self._model, mujoco.mjtObj.mjOBJ_JOINT, name) >= 0

    def joint_axis(self, name: str) -> np.ndarray:
        """Direction of a hinge or slide, unit vector [3]."""
        return self._base_rotation.T @ self._data.xaxis[int(self._model.joint(name).id)]

    def joint_range(self, name: str) -> tuple[float, float]:
        """Limits of a one-dimensional joint, rad or m."""
        low, high = self._model.joint(name).range
        return float(low), float(high)

    def joint_body(self, name: str) -> str:
        """Name of the body that a joint moves."""
        return str(self._model.body(int(self._model.joint(name).bodyid[0])).name)

    def joints_of(self, name: str) -> list[str]:
        """Names of the hinges and slides of a fixture."""
        return [
            joint
            for joint in (self._model.joint(i).name for i in range(self._model.njnt))
            if joint.startswith(f'{name}_') and not joint.endswith('_joint0')
        ]

    def obstacles(self, exclude: Iterable[str] = ()) -> np.ndarray:
        """Surface points of everything that stands in the scene but the excluded, [n, 3]."""
        excluded = set(exclude)
        parts = [
            self.points(name)
            for name in self.problem.objects + self.problem.fixtures
            if name not in excluded
        ]
        return np.concatenate(parts) if parts else np.zeros((0, 3))

    def _to_base(self, position: np.ndarray) -> np.ndarray:
        return (np.asarray(position) - self._base_position) @ self._base_rotation
