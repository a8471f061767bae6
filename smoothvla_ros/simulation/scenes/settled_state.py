"""The start of an episode, kept so that the same episode begins again without settling again."""

from __future__ import annotations

from typing import Any

import mujoco
import numpy as np

from smoothvla_ros.records import EpisodeName


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
        self._kept_goal = np.zeros(0)
        self._kept_fingers = np.zeros(0)
        self._name: EpisodeName | None = None

    def keep(self, name: EpisodeName) -> None:
        """Keep the state that the environment is in as the start of this episode."""
        robot = self._env.robots[0]
        # A gigabyte of addresses, as much as the scene has itself, of which little is touched.
        self._kept_data = self._kept_data or mujoco.MjData(self._model)
        mujoco.mj_copyData(self._kept_data, self._model, self._data)
        self._kept_model = self._env.compiled_scene.episode_arrays()
        # All else of robosuite's controller the first action sets, or only a reset; the rotation
        # that is aimed at stays where the action does not turn.
        self._kept_goal = robot.controller.goal_ori.copy()
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
        robot.controller.goal_ori = self._kept_goal.copy()
        robot.gripper.current_action = self._kept_fingers.copy()
        return True
