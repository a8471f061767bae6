"""Built environments of one process, kept as long as memory allows."""

from __future__ import annotations

import functools
import re
from collections import OrderedDict

from smoothvla_ros.simulation import tasks
from smoothvla_ros.simulation.environment import Environment
from smoothvla_ros.simulation.rendering.settings import RenderSettings
from smoothvla_ros.simulation.scenes.compiled_scene import SceneLibrary
from smoothvla_ros.simulation.suites.task import Task
from smoothvla_ros.simulation.workers.memory import proportional_mb, release_free_memory

# What a scene with its renderer takes in profile `fast`, until a larger one is seen, and what
# another environment of a scene that is there already takes.
_USUAL_SCENE_MB = 190.0
_SHARED_SCENE_MB = 20.0


class EnvironmentCache:
    """Hands out environments by task; the least recently used give way when memory is short.

    Only one of them may have an episode under way: tasks with one scene share its memory.
    """

    def __init__(self, render: RenderSettings, memory_limit_mb: float) -> None:
        """memory_limit_mb: that this process should stay below, its libraries included."""
        self._render = render
        self._memory_limit_mb = memory_limit_mb
        self._environments: OrderedDict[tuple[str, int], Environment] = OrderedDict()
        self._library = SceneLibrary()
        self._largest_scene_mb = _USUAL_SCENE_MB

    def __len__(self) -> int:
        """Return the number of environments that are built."""
        return len(self._environments)

    def get(self, suite: str, task: int) -> Environment:
        """Return the environment of a task, built if need be, ready to render.

        Raises UserError for an unknown suite or task, or if this machine cannot render.
        """
        key = (suite, task)
        if key not in self._environments:
            found = tasks.task(suite, task)
            self._make_room(found)
            self._environments[key] = self._build(found)
        self._environments.move_to_end(key)
        return self._environments[key]

    def _make_room(self, task: Task) -> None:
        while (
            self._environments
            and proportional_mb() + self._expected_mb(task) > self._memory_limit_mb
        ):
            self._environments.popitem(last=False)[1].close()
            release_free_memory()

    def _expected_mb(self, task: Task) -> float:
        built = {_objects_of(environment.task) for environment in self._environments.values()}
        return _SHARED_SCENE_MB if _objects_of(task) in built else self._largest_scene_mb

    def _build(self, task: Task) -> Environment:
        before_mb = proportional_mb()
        environment = Environment(task, self._render, self._library)
        environment.prepare_rendering()
        release_free_memory()
        if self._environments:  # the first one also brought the libraries
            self._largest_scene_mb = max(self._largest_scene_mb, proportional_mb() - before_mb)
        return environment


@functools.cache
def _objects_of(task: Task) -> tuple[str, ...]:
    """Return what stands in a task's scene; tasks with the same objects share a compiled scene."""
    return tuple(re.findall(r'\(:(?:fixtures|objects)([^)]*)\)', task.bddl_file.read_text()))
