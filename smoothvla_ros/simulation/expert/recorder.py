"""What runs in a recording process: episodes of the expert, written to disk as they succeed."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from smoothvla_ros.records import EpisodeName
from smoothvla_ros.simulation.demonstrations import demonstration_path, write_demonstration
from smoothvla_ros.simulation.expert.noise import ActionNoise, NoiseSettings
from smoothvla_ros.simulation.expert.recording import record
from smoothvla_ros.simulation.rendering.settings import RenderSettings
from smoothvla_ros.simulation.workers.environment_cache import EnvironmentCache
from smoothvla_ros.simulation.workers.memory import keep_allocator_lean
from smoothvla_ros.simulation.workers.robot_count import MEMORY_LIMIT_MB


@dataclass(frozen=True)
class RecordingJob:
    """How episodes are recorded.

    folder: None writes nothing: success and motion are measured only.
    attempts: how often an episode is tried, with less noise each time, before it is given up.
    """

    folder: Path | None
    noise: NoiseSettings
    seed: int
    image_stride: int
    attempts: int


@dataclass(frozen=True)
class RecordingResult:
    """What became of one episode.

    attempts: that were run, the last one included.  clean: no noise in the last one.
    joint_positions: float32 [T + 1, 7] rad of the last attempt, for its jerk.
    """

    name: EpisodeName
    success: bool
    attempts: int
    clean: bool
    steps: int
    joint_positions: np.ndarray
    actions: np.ndarray
    seconds: float


class DemonstrationRecorder:
    """Records episodes in one process, which keeps its environments from one to the next."""

    def __init__(self, render: RenderSettings, job: RecordingJob):
        keep_allocator_lean()
        self._cache = EnvironmentCache(render, MEMORY_LIMIT_MB)
        self._job = job

    def run(self, name: EpisodeName) -> RecordingResult:
        """Record one episode; a failed attempt leaves no file."""
        job, start = self._job, time.monotonic()
        environment = self._cache.get(name.suite, name.task)
        seed = [job.seed, name.task, name.init_state, name.scene_seed]
        for attempt in range(job.attempts):
            noise = ActionNoise(job.noise.weaker(0.5**attempt), [*seed, attempt])
            demonstration = record(environment, name, noise, job.image_stride)
            if demonstration.success or noise.clean:
                break
        if demonstration.success and job.folder is not None:
            write_demonstration(demonstration, demonstration_path(job.folder, name, attempt))
        return RecordingResult(
            name=name,
            success=demonstration.success,
            attempts=attempt + 1,
            clean=noise.clean,
            steps=demonstration.steps,
            joint_positions=demonstration.joint_positions,
            actions=demonstration.actions,
            seconds=time.monotonic() - start,
        )
