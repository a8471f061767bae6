"""What runs on a cluster's machines: simulations with a policy, or a policy alone."""

from __future__ import annotations

import os
import tempfile
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from smoothvla_ros.policies.policy import ActionChunks
from smoothvla_ros.records import Episode, EpisodeRequest, Observation
from smoothvla_ros.training.rollouts.robot_crew import Pool, RobotCrew
from smoothvla_ros.training.rollouts.served_policy import PolicyLoader, ServedPolicy
from smoothvla_ros.training.rollouts.source import LostEpisode

PolicyFiles = Mapping[str, np.ndarray]
"""Contents, uint8, of a policy's files by their names below its folder."""


def read_files(folder: Path) -> PolicyFiles:
    """Return all files below a folder."""
    paths = sorted(path for path in folder.rglob('*') if path.is_file())
    return {
        path.relative_to(folder).as_posix(): np.fromfile(path, dtype=np.uint8) for path in paths
    }


class InferenceActor:
    """A policy on one device, for the robots of other actors."""

    def __init__(self, load: PolicyLoader, rows: int, deterministic: bool) -> None:
        """rows: most questions an inference."""
        torch.use_deterministic_algorithms(deterministic, warn_only=True)
        self._policy = ServedPolicy(load, rows)
        self._loading = threading.Lock()
        self._announcement = -1

    def update(self, announcement: int, version: int, sha256: str, files: PolicyFiles) -> None:
        """Load the policy that answers from now on.  Raises UserError if a file is another.

        announcement: rises; calls run side by side, and one that was overtaken changes nothing.
        """
        with self._loading, tempfile.TemporaryDirectory(prefix='policy-') as name:
            if announcement < self._announcement:
                return
            self._announcement = announcement
            for relative, content in files.items():
                path = Path(name) / relative
                path.parent.mkdir(parents=True, exist_ok=True)
                content.tofile(path)
            self._policy.update(version, Path(name), sha256)

    def act(self, request: EpisodeRequest, observation: Observation, seed: int) -> ActionChunks:
        """Decide one chunk of a requested episode."""
        self._policy.check(request)
        torch.set_num_threads(1)  # the other cores are busy simulating
        return self._policy.act(observation, request.temperature, seed)


class RolloutActor(InferenceActor):
    """Simulations with, unless other actors decide, a policy of their own."""

    def __init__(
        self,
        load: PolicyLoader,
        make_pool: Callable[[], Pool],
        attempts: int,
        deterministic: bool,
    ) -> None:
        """Start the simulations."""
        super().__init__(load, rows=1, deterministic=deterministic)
        self._crew = RobotCrew(make_pool(), attempts)

    def begin(self) -> int:
        """Return this process's id when the simulations have been started."""
        return os.getpid()

    def run(
        self, robot: int, request: EpisodeRequest, inference: Any | None
    ) -> Episode | LostEpisode:
        """Run one episode on one of this actor's robots.

        inference: handle of the inference actor that decides; None is this actor's own policy.
        """

        def decide(observation: Observation, temperature: float, seed: int) -> ActionChunks:
            if inference is None:
                return self.act(request, observation, seed)
            import ray

            answer: ActionChunks = ray.get(inference.act.remote(request, observation, seed))
            return answer

        return self._crew.run(robot, request, decide)
