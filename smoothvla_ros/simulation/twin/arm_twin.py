"""The Panda in a LIBERO scene, moved by joint positions as ros2_control moves a real one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import mujoco
import numpy as np
from numpy.typing import ArrayLike

from smoothvla_ros.errors import UserError
from smoothvla_ros.libero import CONTROL_PERIOD_S, FINGER_SIGNS
from smoothvla_ros.records import EpisodeName
from smoothvla_ros.simulation import tasks
from smoothvla_ros.simulation.environment import Environment
from smoothvla_ros.simulation.rendering.settings import RenderSettings
from smoothvla_ros.simulation.scenes.scene_reset import NoPlaceFoundError
from smoothvla_ros.simulation.twin.position_servo import PositionServo
from smoothvla_ros.simulation.twin.trajectory_controller import (
    TrajectoryController,
    TrajectoryPoint,
)

FINGER_RANGE_M = 0.04


@dataclass(frozen=True)
class TwinState:
    """What an arm's driver reports: rad, rad/s, and the finger joints from closed to open, m."""

    joint_positions: np.ndarray
    joint_velocities: np.ndarray
    finger_positions: np.ndarray


class SceneLostError(UserError):
    """A scene could not be built where the former one was; the former episode is over."""


class ArmTwin:
    """One episode at a time, advanced by substeps of the physics; belongs to one thread.

    A command stays until the next one, as it does in a controller.  The physics and what the
    goal is are LIBERO's; only the arm's controller is another.
    """

    def __init__(self, render: RenderSettings, environment: Environment | None = None) -> None:
        """render: how a scene is drawn.  environment: a scene that is built already."""
        self._render = render
        self._environment = environment
        self._name: EpisodeName | None = None

    @property
    def environment(self) -> Environment:
        """The scene.  Raises RuntimeError before the first reset."""
        if self._environment is None:
            raise RuntimeError('the twin was used before its first reset')
        return self._environment

    @property
    def period_s(self) -> float:
        """Duration of a substep, s."""
        return float(self.environment.model.opt.timestep)

    def reset(self, name: EpisodeName) -> None:
        """Begin an episode: the state that LIBERO's own controller would start from, at rest.

        Takes seconds for another task.  Raises UserError for an unknown name, and the former
        episode then goes on; SceneLostError where the objects of its scene find no place: the arm
        then stands where the former episode began.
        """
        task = tasks.task(name.suite, name.task)
        environment, former = self._environment, self._name
        if environment is None or environment.task != task:
            environment, former = Environment(task, self._render), None
        try:
            self._begin(environment, name)
        except NoPlaceFoundError as error:
            if former is None:
                raise
            self._begin(environment, former)
            raise SceneLostError(f'{error}; the former episode is over') from error

    def _begin(self, environment: Environment, name: EpisodeName) -> None:
        environment.reset(name)
        self._environment, self._name = environment, name
        self._servo = PositionServo(environment.libero)
        self._servo.reset()
        self._controller = TrajectoryController(environment.joint_positions())
        self._opening_m = float(np.mean(np.abs(environment.gripper_positions())))
        self._substeps = 0
        # As often as LIBERO asks whether its goal is reached.
        self._success_every = round(CONTROL_PERIOD_S / self.period_s)
        self.succeeded = False

    def follow(self, points: Sequence[TrajectoryPoint], delay_s: float | None = None) -> None:
        """Take a trajectory for the arm, as joint_trajectory_controller does.

        delay_s: when it begins, from now (negative: it began already); None is at once.
        Raises UserError where the controller would refuse.
        """
        if delay_s is not None and points and delay_s + points[-1].time_from_start_s < 0.0:
            raise UserError('joint trajectory ends in the past; stamp it with the clock of the arm')
        start_s = None if delay_s is None else self._time_s + delay_s
        self._controller.command(points, start_s)

    def forward(self, positions: ArrayLike) -> None:
        """Take joint positions [7] rad that hold from now on, as forward_position_controller does.

        Raises UserError for another number of joints or a value that is not finite.
        """
        point = TrajectoryPoint(0.0, np.asarray(positions, dtype=float))
        # With an end that has passed the controller emits it from its next cycle on, unsmoothed.
        self._controller.command([point], self._time_s - 1.0)

    def open_gripper(self, opening_m: float) -> None:
        """Take how far each finger is to open, m."""
        if not np.isfinite(opening_m):
            raise UserError(f'gripper opening {opening_m} is not finite')
        self._opening_m = float(np.clip(opening_m, 0.0, FINGER_RANGE_M))

    def advance(self) -> bool:
        """Run one substep of the physics; return whether the goal has been reached by now."""
        environment = self.environment
        mujoco.mj_step1(environment.model, environment.data)
        self._commanded = self._controller.sample(self._time_s)
        point = self._commanded
        still = np.zeros(len(point.positions))
        self._servo.command(
            point.positions,
            still if point.velocities is None else point.velocities,
            still if point.accelerations is None else point.accelerations,
            self._opening_m,
        )
        mujoco.mj_step2(environment.model, environment.data)
        self._substeps += 1
        if self._substeps % self._success_every == 0:
            self.succeeded = environment.succeeded() or self.succeeded
        return self.succeeded

    def state(self) -> TwinState:
        """Return what a driver would report now."""
        environment = self.environment
        # A driver counts both fingers from closed to open.
        return TwinState(
            environment.joint_positions().copy(),
            environment.joint_velocities().copy(),
            environment.gripper_positions() * FINGER_SIGNS,
        )

    def commanded_positions(self) -> np.ndarray:
        """Return what the controller emitted in the last substep, [7] rad."""
        return self._commanded.positions

    def snapshot(self, data: mujoco.MjData) -> None:
        """Copy the whole state into `data`, for drawing in another thread."""
        environment = self.environment
        mujoco.mj_copyData(data, environment.model, environment.data)

    @property
    def _time_s(self) -> float:
        return self._substeps * self.period_s
