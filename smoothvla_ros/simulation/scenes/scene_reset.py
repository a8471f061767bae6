"""Resetting a scene so that a name gives the same episode wherever and whenever it is run.

Stock LIBERO draws the poses of the fixtures (stove, cabinet, rack) when it loads a model, and
loads the model again on each reset: seconds. Here the model stays; what a hard reset would have
drawn under the seed is drawn and written into it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from smoothvla_ros.errors import UserError

# A hard reset appends the samplers of doors and switches to a list that the constructor already
# filled, so that the first reset after construction (what evaluations do) draws them twice.
_PROPERTY_SAMPLER_ROUNDS = 2

# Each is 5000 tries an object already, of robosuite's own.
_PLACEMENT_DRAWS = 20


class NoPlaceFoundError(UserError):
    """The objects of a scene find no place; what was in it before is lost."""


class SceneReset:
    """Puts one built environment into the state that stock LIBERO would give it.

    Equal, to the bit, to constructing the stock environment, ``seed(scene_seed)``, ``reset()``
    and ``set_init_state(init_state)``.
    """

    def __init__(self, env: Any) -> None:
        """env: what `libero_scene.build` returned."""
        self._env = env
        self._property_samplers = list(env.object_property_initializers)

    def place_fixtures(self, scene_seed: int) -> None:
        """Reset robot, controller and counters, and set the fixture poses of a scene seed.

        NumPy's global random state, from which LIBERO draws, is left as it was.
        Raises NoPlaceFoundError, a UserError, if the objects of the scene find no place.
        """
        env = self._env
        before = np.random.get_state()  # noqa: NPY002 (LIBERO knows no other generator)
        np.random.seed(scene_seed)  # noqa: NPY002
        try:
            self._reset_until_placed(scene_seed)
        finally:
            np.random.set_state(before)  # noqa: NPY002
        env.visualize(vis_settings=dict.fromkeys(env._visualizations, False))

    def set_init_state(self, init_state: np.ndarray) -> None:
        """Set time, joint positions and velocities [1 + nq + nv] as stock LIBERO does."""
        env = self._env
        env.sim.set_state_from_flattened(init_state)
        env.sim.forward()
        env._check_success()
        env._post_process()

    def _reset_until_placed(self, scene_seed: int) -> None:
        """Draw placements until the objects fit, as ``ControlEnv.reset`` does, but not for ever."""
        from robosuite.utils.errors import RandomizationError

        env = self._env
        for draw in range(_PLACEMENT_DRAWS):
            self._undo_last_episode()
            rounds = _PROPERTY_SAMPLER_ROUNDS + draw
            env.object_property_initializers = self._property_samplers * rounds
            try:
                env._reset_internal()
            except RandomizationError:
                continue
            return
        raise NoPlaceFoundError(
            f'scene_seed={scene_seed}: {_PLACEMENT_DRAWS} draws found no place for the objects of '
            f'{Path(env.bddl_file_name).stem}; use another scene seed'
        )

    def _undo_last_episode(self) -> None:
        """Give the model, the data and the gripper the values of a newly loaded scene."""
        env = self._env
        env.compiled_scene.restore()
        env.sim.reset()
        gripper = env.robots[0].gripper
        gripper.current_action = np.zeros(gripper.dof)
