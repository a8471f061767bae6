"""Init states of a task of one's own, drawn as LIBERO places its objects and tried as episodes are.

LIBERO brings the init states of its tasks; a task of one's own has only the regions of its scene's
file, out of which each state is one draw.
"""

from __future__ import annotations

import zlib
from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np

from smoothvla_ros.errors import UserError
from smoothvla_ros.simulation.physics.control_step import ControlStep
from smoothvla_ros.simulation.scenes import libero_scene
from smoothvla_ros.simulation.scenes.compiled_scene import SceneLibrary
from smoothvla_ros.simulation.scenes.scene_file import user_errors
from smoothvla_ros.simulation.scenes.scene_reset import NoPlaceFoundError, SceneReset
from smoothvla_ros.simulation.splits import DRAWING_SEEDS, INIT_STATES, Split, scene_seeds
from smoothvla_ros.simulation.suites.task import Task

# LIBERO lets objects fall up to 0.17 m into their places; one that gets further missed its own, or
# was put into something that threw it out.
_LOST_M = 0.3
# Each state is tried under so many placements of the fixtures.
_TRIALS = 2
_DRAWS_A_STATE = 10
# Where none of the first ones does, there is no use in going on.
_HOPELESS_DRAWS = 50
# Of the arm's joints, rad: what LIBERO's own init states were drawn with.
_JOINT_NOISE = 0.02
_NO_PLACE = 'the objects find no place beside each other'


@dataclass(frozen=True)
class DrawnInitStates:
    """states: float64 [50, 1 + nq + nv], as LIBERO stores them.

    rejected: why draws were left out -> how many.
    slide_m: the furthest that an object slid sideways before it lay, in all the trials.
    """

    states: np.ndarray
    rejected: dict[str, int]
    slide_m: float


def draw_init_states(task: Task) -> DrawnInitStates:
    """Draw as many init states as every task has, the same ones for the same name and scene file.

    A state counts if, under either of two placements of the fixtures, everything stays where it was
    put and the goal is not reached while the objects settle.
    Raises UserError for a scene that LIBERO cannot build, or in which too few draws count.
    """
    with user_errors(task.bddl_file):
        trials = _Trials(libero_scene.build(task, SceneLibrary()))
    states: list[np.ndarray] = []
    rejected: Counter[str] = Counter()
    # By name, or all tasks of a suite would have the same places and the same joints.
    seeds = np.random.default_rng(zlib.crc32(task.name.encode()))
    for draw in range(_DRAWS_A_STATE * INIT_STATES):
        seed = DRAWING_SEEDS[int(seeds.integers(len(DRAWING_SEEDS)))]
        try:
            with user_errors(task.bddl_file):
                state = trials.draw(seed)
                trials.try_out(state, [_seed(draw, trial) for trial in range(_TRIALS)])
        except (_Unusable, NoPlaceFoundError) as error:
            rejected[str(error) if isinstance(error, _Unusable) else _NO_PLACE] += 1
            if not states and rejected.total() >= _HOPELESS_DRAWS:
                break
            continue
        states.append(state)
        if len(states) == INIT_STATES:
            return DrawnInitStates(np.array(states), dict(rejected), trials.slide_m)
    counts = '; '.join(f'{why}: {count}' for why, count in rejected.most_common())
    raise UserError(
        f'{task.bddl_file}: an episode can begin from {len(states)} of '
        f'{len(states) + rejected.total()} draws, and {INIT_STATES} are needed ({counts}); change '
        'its regions or its goal'
    )


class _Unusable(Exception):
    """Why no episode can begin from a state."""


class _Trials:
    """One built scene in which states are drawn, and begun as an episode would."""

    def __init__(self, env: Any) -> None:
        self._env = env
        self._reset = SceneReset(env)
        self._control = ControlStep(env)
        self._movable = {name: env.obj_body_id[name] for name in env.objects_dict}
        self.slide_m = 0.0

    def draw(self, seed: int) -> np.ndarray:
        """Return the state [1 + nq + nv] that LIBERO draws under a seed."""
        noise = self._env.robots[0].initialization_noise
        before = noise['magnitude']
        noise['magnitude'] = _JOINT_NOISE
        try:
            self._reset.place_fixtures(seed)
        finally:
            noise['magnitude'] = before
        return np.array(self._env.sim.get_state().flatten(), dtype=np.float64)

    def try_out(self, state: np.ndarray, scene_seeds: list[int]) -> None:
        """Begin an episode from a state under each seed.  Raises _Unusable, NoPlaceFoundError."""
        slides = [self.slide_m]
        for seed in scene_seeds:
            self._reset.place_fixtures(seed)
            self._reset.set_init_state(state)
            before = self._positions()
            self._control.settle()
            if not np.isfinite(self._control.data.qpos).all():
                raise _Unusable('the simulation breaks')
            moved = self._positions() - before
            for name, way in zip(self._movable, moved, strict=True):
                if np.linalg.norm(way) > _LOST_M:
                    raise _Unusable(f'{name} falls or is thrown out')
            if self._control.succeeded():
                raise _Unusable('the goal is reached already')
            slides += [float(np.linalg.norm(way[:2])) for way in moved]
        self.slide_m = max(slides)

    def _positions(self) -> np.ndarray:
        """Return where the movable objects are, [objects, 3] m."""
        return np.array([self._env.sim.data.body_xpos[body] for body in self._movable.values()])


def _seed(draw: int, trial: int) -> int:
    """Return a seed of training: what is held out is not to decide which states there are."""
    return scene_seeds(Split.TRAIN)[_TRIALS * draw + trial]
