"""The start of an episode, kept so that the same episode begins again without settling again."""

from __future__ import annotations

from typing import Any

import mujoco
import numpy as np

from smoothvla_ros.records import EpisodeName

# What steps change in robosuite's controller. What a reset alone changes is as it was, since the
# episode that is kept is that of the last reset.
_CONTROLLER_STATE = ('goal_pos', 'goal_ori', 'ee_pos', 'ee_ori_mat', 'new_update')


class SettledState:
    """Keeps the start of the last episode that an environment reset to.

    A group of rollouts begins alike, and drawing the placements and letting the scene settle is a
    twelfth of a rollout's work.  The state that comes back is the same to the bit.
    """

    def __init__(self, env: Any) -> None:
        """env: what `libero_scene.build` returned; nothing is kept yet."""
        self._env = env
        self._model: mujoco.MjModel = env.sim.model._model
        self._data: mujoco.MjData = env.sim.data._data
        self._kept_data: mujoco.MjData | None = None
        self._kept_model: dict[str, np.ndarray] = {}
        self._kept_controller: dict[str, Any] = {}
        self._kept_fingers = np.zeros(0)
        self._name: EpisodeName | None = None

    def keep(self, name: EpisodeName) -> None:
        """Keep the state that the environment is in as the start of this episode."""
        robot = self._env.robots[0]
        self._kept_data = self._kept_data or mujoco.MjData(self._model)
        mujoco.mj_copyData(self._kept_data, self._model, self._data)
        self._kept_model = self._env.compiled_scene.episode_arrays()
        self._kept_controller = {
            attribute: np.copy(getattr(robot.controller, attribute))
            for attribute in _CONTROLLER_STATE
        }
        self._kept_fingers = robot.gripper.current_action.copy()
        self._name = name

    def forget(self) -> None:
        """Keep nothing, as when a reset begins that may fail."""
        self._name = None

    def restore(self, name: EpisodeName) -> bool:
        """Put the environment at the start of this episode; return False if it is not kept."""
        if name != self._name:
            return False
        robot = self._env.robots[0]
        mujoco.mj_copyData(self._data, self._model, self._kept_data)
        self._env.compiled_scene.set_episode_arrays(self._kept_model)
        for attribute, value in self._kept_controller.items():
            setattr(robot.controller, attribute, np.copy(value))
        robot.gripper.current_action = self._kept_fingers.copy()
        return True
