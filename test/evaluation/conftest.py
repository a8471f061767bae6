"""Synthetic episodes: a reach of the real arm's joints, as rough as one likes."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from smoothvla_ros.kinematics import Arm
from smoothvla_ros.records import (
    ChunkRecord,
    Episode,
    EpisodeName,
    EpisodeRequest,
    Observation,
    Trajectory,
)

PERIOD_S, SUBSTEPS, CHUNK = 0.05, 25, 8
START = np.array([0.0, -0.4, 0.0, -2.2, 0.0, 1.9, 0.78])
REACH = np.array([0.5, 0.6, -0.3, 0.4, 0.2, -0.3, 0.1])

EpisodeFactory = Callable[..., Episode]


@pytest.fixture(scope='session')
def arm() -> Arm:
    """The arm of LIBERO."""
    return Arm.panda()


@pytest.fixture(scope='session')
def make_episode(arm: Arm) -> EpisodeFactory:
    """Return a maker of episodes: joints on a minimum-jerk reach plus a wobble of `roughness`."""

    def make(
        *,
        episode_id: str = 'e0',
        task: int = 0,
        init_state: int = 4,
        scene_seed: int = 100_000,
        temperature: float = 0.0,
        success: bool = True,
        steps: int = 60,
        roughness: float = 0.002,
        seed: int = 0,
    ) -> Episode:
        rng = np.random.default_rng([seed, task, init_state, scene_seed])
        times = np.arange(steps * SUBSTEPS + 1) * PERIOD_S / SUBSTEPS
        share = times / times[-1]
        reach = 10 * share**3 - 15 * share**4 + 6 * share**5
        phases, rates = rng.uniform(0, 2 * np.pi, 7), rng.uniform(1.5, 4.0, 7)
        wobble = roughness * np.sin(2 * np.pi * times[:, None] * rates + phases)
        substeps = START + reach[:, None] * REACH + wobble
        joints = substeps[::SUBSTEPS]
        poses = [arm.tool_pose(q) for q in joints]
        actions = np.clip(np.gradient(joints, axis=0)[:-1] * 20, -1, 1)
        actions[:, 6] = np.where(np.arange(steps) > steps / 2, 1.0, -1.0)
        trajectory = Trajectory(
            actions=actions,
            joint_positions=joints,
            joint_velocities=np.gradient(joints, PERIOD_S, axis=0),
            tool_positions=np.array([position for position, _ in poses]),
            tool_rotations=np.array([rotation for _, rotation in poses]),
            substep_joint_positions=substeps.astype(np.float32),
            control_period_s=PERIOD_S,
            substep_period_s=PERIOD_S / SUBSTEPS,
        )
        return Episode(
            EpisodeRequest(
                episode_id=episode_id,
                name=EpisodeName('libero_spatial', task, init_state, scene_seed),
                group=0,
                temperature=temperature,
                seed=7,
                policy_version=0,
            ),
            success,
            trajectory,
            _chunks(joints, steps, rng),
        )

    return make


def _chunks(joints: np.ndarray, steps: int, rng: np.random.Generator) -> list[ChunkRecord]:
    starts = range(0, steps, CHUNK)
    return [
        ChunkRecord(
            observation=Observation({}, joints[start], joints[start], np.zeros(2), 'reach'),
            tokens=rng.integers(0, 256, (CHUNK, 7)),
            log_probs=-rng.exponential(2.0, (CHUNK, 7)).astype(np.float32),
            executed=min(CHUNK, steps - start),
        )
        for start in starts
    ]
