"""One LIBERO task as an environment that is reset by name and renders only when asked."""

from __future__ import annotations

from typing import Any

import mujoco
import numpy as np

from smoothvla_ros.errors import UserError
from smoothvla_ros.libero import ACTION_DIMENSION
from smoothvla_ros.records import EpisodeName, Observation, Trajectory
from smoothvla_ros.simulation import tasks
from smoothvla_ros.simulation.episode_recording import EpisodeRecording
from smoothvla_ros.simulation.physics.control_step import ControlStep
from smoothvla_ros.simulation.rendering.settings import RenderSettings
from smoothvla_ros.simulation.scenes import libero_scene
from smoothvla_ros.simulation.scenes.compiled_scene import SceneLibrary
from smoothvla_ros.simulation.scenes.scene_reset import SceneReset
from smoothvla_ros.simulation.scenes.settled_state import SettledState
from smoothvla_ros.simulation.suites.task import Task

_LARGEST_SEED = 2**32 - 1


class Environment:
    """A task's scene, one robot, one episode at a time.

    The physics is stock LIBERO's to the bit: the same name and the same actions give the same
    states as ``OffScreenRenderEnv`` would.  An environment belongs to the thread that made it.
    """

    def __init__(
        self, task: Task, render: RenderSettings, library: SceneLibrary | None = None
    ) -> None:
        """Build the scene, which takes seconds; the first image takes a second or two more.

        library: share compiled scenes with other environments that are never used in turns
        within an episode; None shares nothing.  Raises UserError if LIBERO is not installed.
        """
        self.task = task
        self.render_settings = render
        self.horizon = task.horizon
        self._env = libero_scene.build(task, library or SceneLibrary())
        self._reset = SceneReset(self._env)
        self._control = ControlStep(self._env)
        self._settled = SettledState(self._env)
        self._recording: EpisodeRecording | None = None
        self._succeeded = False

    @property
    def model(self) -> mujoco.MjModel:
        """The compiled model: physics only, without textures."""
        return self._control.model

    @property
    def data(self) -> mujoco.MjData:
        """The state; body and site poses are those of the last substep's start, as in robosuite."""
        return self._control.data

    @property
    def libero(self) -> Any:
        """LIBERO's own environment object, for privileged questions such as goal predicates."""
        return self._env

    def reset(self, name: EpisodeName) -> None:
        """Begin the episode of this name: place the fixtures, set the init state, let it settle.

        Raises UserError if the name is of another task, its init state or seed do not exist, the
        scene's file is no longer what it was, or its objects find no place under the seed.
        """
        self._require_known(name)
        if not self._settled.restore(name):
            self._settle(name)
        self._succeeded = False
        self._recording = EpisodeRecording(
            ACTION_DIMENSION, self._control.control_period_s, self._control.substep_period_s
        )
        self._record_state(self._recording)

    def step(self, action: np.ndarray) -> bool:
        """Execute one control step and return whether the goal is reached.

        action: [7], tool-pose delta in units of LIBERO's scale and the gripper (-1 opens, 1
        closes); values beyond [-1, 1] are clipped.
        Raises UserError for a wrong shape or a value that is not finite (nothing is executed),
        RuntimeError before the first reset.
        """
        recording = self._current_recording()
        action = self.checked_actions(np.asarray(action)[None])[0]
        joints = self._control.run(action)
        success = self._control.succeeded()
        if not self._succeeded:
            recording.add_step(action, joints)
            self._record_state(recording)
        self._succeeded = self._succeeded or success
        return success

    def succeeded(self) -> bool:
        """Return whether the goal is reached now, and update what the scene shows of it."""
        return self._control.succeeded()

    def checked_actions(self, actions: np.ndarray) -> np.ndarray:
        """Return actions [k, 7] as float64, clipped to [-1, 1].

        Raises UserError for a wrong shape or a value that is not finite.
        """
        actions = np.asarray(actions, dtype=np.float64)
        place = f'actions for {self.task.suite} task {self.task.index}'
        if actions.ndim != 2 or actions.shape[1] != ACTION_DIMENSION:
            raise UserError(f'{place} have shape {actions.shape}; give [steps, {ACTION_DIMENSION}]')
        if not np.isfinite(actions).all():
            step = int(np.flatnonzero(~np.isfinite(actions).all(axis=1))[0])
            raise UserError(f'{place}: {actions[step].tolist()} in row {step} is not finite')
        return np.clip(actions, -1.0, 1.0)

    def observe(self) -> Observation:
        """Render the cameras of the settings and return what a policy sees now."""
        images = {camera: self.render(camera) for camera in self.render_settings.cameras}
        return Observation(
            images=images,
            joint_positions=self._control.joint_positions(),
            joint_velocities=self._control.joint_velocities(),
            gripper_positions=self._control.gripper_positions(),
            instruction=self.task.language,
        )

    def render(self, camera: str) -> np.ndarray:
        """Return an image of one camera, uint8 [size, size, 3], RGB, upright.

        Raises UserError for an unknown camera or if this machine cannot render.
        """
        return self.draw(self._control.data, camera)

    def draw(self, data: mujoco.MjData, camera: str) -> np.ndarray:
        """Return an image as `render` does, of a copy of the state.

        All drawing of a process belongs to one thread, which need not be the environment's.
        """
        renderer = self._env.compiled_scene.renderer(self.render_settings)
        return renderer.render(data, camera)

    def prepare_rendering(self) -> None:
        """Do now what the first image would have to wait for.

        Raises UserError if this machine cannot render.
        """
        self._env.compiled_scene.renderer(self.render_settings)

    def trajectory(self) -> Trajectory:
        """Return the motion since the reset, cut at the first success.

        Raises RuntimeError before the first reset.
        """
        return self._current_recording().trajectory()

    def tool_pose(self) -> tuple[np.ndarray, np.ndarray]:
        """Return where the tool is: position [3] m and rotation [3, 3] in the robot base frame.

        The point between the fingertips, 0.0965 m along z from ``panda_hand``, with the axes of
        ``panda_hand``: z leaves the palm, the fingers open along y.
        """
        return self._control.tool_pose()

    def base_pose(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the robot base (``panda_link0``) in the world: position [3] m, rotation [3, 3]."""
        return self._control.base_pose()

    def joint_positions(self) -> np.ndarray:
        """Return the arm's joints now [7], rad."""
        return self._control.joint_positions()

    def joint_velocities(self) -> np.ndarray:
        """Return the arm's joint velocities now [7], rad/s."""
        return self._control.joint_velocities()

    def gripper_positions(self) -> np.ndarray:
        """Return the two finger joints now [2], m."""
        return self._control.gripper_positions()

    def close(self) -> None:
        """Let go of the scene and its renderer; the environment cannot be used any more."""
        del self._env, self._reset, self._control, self._settled

    def _settle(self, name: EpisodeName) -> None:
        self._settled.forget()
        self._reset.place_fixtures(name.scene_seed)
        self._reset.set_init_state(tasks.init_states(self.task)[name.init_state])
        self._control.settle()
        self._control.succeeded()  # the indicators that the first image shows
        self._settled.keep(name)

    def _record_state(self, recording: EpisodeRecording) -> None:
        recording.add_state(
            self._control.joint_positions(),
            self._control.joint_velocities(),
            self._control.tool_pose(),
        )

    def _current_recording(self) -> EpisodeRecording:
        if self._recording is None:
            raise RuntimeError('the environment was used before its first reset')
        return self._recording

    def _require_known(self, name: EpisodeName) -> None:
        if (name.suite, name.task) != (self.task.suite, self.task.index):
            raise UserError(
                f'{name} was given to an environment of {self.task.suite} task {self.task.index}'
            )
        tasks.require_unchanged(self.task)
        states, width = tasks.init_states(self.task).shape
        if width != 1 + self.model.nq + self.model.nv:
            raise UserError(
                f'init states {self.task.init_states_file} have {width} numbers each, but the '
                f'scene has {1 + self.model.nq + self.model.nv}; {self.task.remedy}'
            )
        if not 0 <= name.init_state < states:
            raise UserError(f'{name}: init state {name.init_state}; choose from 0 to {states - 1}')
        if not 0 <= name.scene_seed <= _LARGEST_SEED:
            raise UserError(
                f'{name}: scene seed {name.scene_seed}; choose from 0 to {_LARGEST_SEED}'
            )
