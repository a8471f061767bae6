"""What runs inside a worker process: environments, and answers to requests."""

from __future__ import annotations

import os
import traceback
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

import numpy as np

from smoothvla_ros.errors import UserError
from smoothvla_ros.libero import ARM_JOINTS
from smoothvla_ros.records import EpisodeName, Observation, Trajectory
from smoothvla_ros.simulation.environment import Environment
from smoothvla_ros.simulation.rendering.settings import RenderSettings
from smoothvla_ros.simulation.workers.environment_cache import EnvironmentCache
from smoothvla_ros.simulation.workers.memory import keep_allocator_lean
from smoothvla_ros.simulation.workers.owner import end_with_owner

_KINDS_SENT = (UserError, ValueError, RuntimeError, MemoryError)


@dataclass(frozen=True)
class StepResult:
    """What executing a chunk of actions led to.

    observation: after the last executed step; None if it was not asked for, or the goal is reached.
    executed: steps that were run, k'; fewer than given after a success.
    success: whether the episode has reached its goal.
    joint_positions, joint_velocities: [k', 7] rad, rad/s, after each executed step.
    gripper_positions: [k', 2] m.
    """

    observation: Observation | None
    executed: int
    success: bool
    joint_positions: np.ndarray
    joint_velocities: np.ndarray
    gripper_positions: np.ndarray


@dataclass(frozen=True)
class Request:
    """A method of `EpisodeRunner` to call; the reply carries the same number."""

    number: int
    method: str
    arguments: tuple[Any, ...]


@dataclass(frozen=True)
class Reply:
    """The answer to one request: a value, or the error that it raised."""

    number: int
    value: Any = None
    error: Exception | None = None


class EpisodeRunner:
    """Runs one episode at a time, of whichever task it is pointed at."""

    def __init__(self, cache: EnvironmentCache) -> None:
        """cache: where environments come from."""
        self._cache = cache
        self._environment: Environment | None = None
        self._success = False

    def reset(self, name: EpisodeName) -> Observation:
        """Begin the episode of this name and return the first observation."""
        self._environment = None
        environment = self._cache.get(name.suite, name.task)
        environment.reset(name)
        self._environment, self._success = environment, False
        return environment.observe()

    def execute(self, actions: np.ndarray, observe: bool) -> StepResult:
        """Execute actions [k, 7] until the first success; the horizon is the caller's.

        Raises UserError if any of them has a wrong shape or is not finite; none is executed then.
        """
        environment = self._current()
        actions = environment.checked_actions(actions)
        joints, velocities, fingers = [], [], []
        for action in actions:
            if self._success:
                break
            self._success = environment.step(action)
            joints.append(environment.joint_positions())
            velocities.append(environment.joint_velocities())
            fingers.append(environment.gripper_positions())
        return StepResult(
            observation=environment.observe() if observe and not self._success else None,
            executed=len(joints),
            success=self._success,
            joint_positions=np.array(joints).reshape(-1, ARM_JOINTS),
            joint_velocities=np.array(velocities).reshape(-1, ARM_JOINTS),
            gripper_positions=np.array(fingers).reshape(-1, 2),
        )

    def trajectory(self) -> Trajectory:
        """Return the motion since the reset."""
        return self._current().trajectory()

    def _current(self) -> Environment:
        if self._environment is None:
            raise RuntimeError('the worker was used before an episode was reset')
        return self._environment


def serve(connection: Connection, render: RenderSettings, memory_limit_mb: float) -> None:
    """Answer requests until the other end of the connection closes, as when its owner dies."""
    end_with_owner()
    # Threads draw small images no faster, and wait for each other on a busy machine (Mesa).
    os.environ.setdefault('LP_NUM_THREADS', '0')
    keep_allocator_lean()
    runner = EpisodeRunner(EnvironmentCache(render, memory_limit_mb))
    while True:
        try:
            request = connection.recv()
            connection.send(_answer(runner, request))
        except (EOFError, ConnectionError):
            return


def _answer(runner: EpisodeRunner, request: Request) -> Reply:
    try:
        value = getattr(runner, request.method)(*request.arguments)
    except Exception as error:  # noqa: BLE001 (handed to the caller, who raises it)
        return Reply(request.number, error=_sendable(error))
    return Reply(request.number, value=value)


def _sendable(error: Exception) -> Exception:
    """Return an error that survives the way to another process, with its traceback as a note."""
    kind = type(error)
    if kind in _KINDS_SENT:
        copy = kind(*map(str, error.args))
    else:
        copy = RuntimeError(f'{kind.__name__}: {error}')
    copy.add_note('in the worker:\n' + ''.join(traceback.format_exception(error)))
    return copy
