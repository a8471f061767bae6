"""Stored episodes run again in the simulator, to be looked at: actions in, images out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from smoothvla_ros.evaluation.episodes.stored_episode import StoredEpisode
from smoothvla_ros.libero import AGENTVIEW, STOCK
from smoothvla_ros.simulation.environment import Environment
from smoothvla_ros.simulation.rendering.settings import RenderSettings
from smoothvla_ros.simulation.tasks import task


@dataclass(frozen=True)
class Replay:
    """What a replay showed.

    steps: [F] control steps after which a frame was taken, from 0.  frames: uint8 [F, H, W, 3].
    success: whether the replay ended as recorded.
    deviation: rad, largest difference of any joint from the recording; 0.0 on the machine and
    versions that recorded it.
    """

    steps: np.ndarray
    frames: np.ndarray
    success: bool
    deviation: float


def replay(
    episodes: Sequence[StoredEpisode],
    *,
    size: int,
    every: int = 1,
    progress: Callable[[int], object] | None = None,
) -> list[Replay]:
    """Run the stored actions of episodes of one task from their scenes, drawn as LIBERO draws.

    size: pixels of the square images.  every: control steps a frame; the last step has one too.
    progress: called with 1 after every frame.
    Raises UserError if the task is unknown or this machine cannot render.
    """
    name = episodes[0].request.name
    environment = Environment(
        task(name.suite, name.task), RenderSettings(STOCK, size=size, cameras=(AGENTVIEW,))
    )
    try:
        return [_run(environment, episode, every, progress) for episode in episodes]
    finally:
        environment.close()


def frame_count(episode: StoredEpisode, every: int) -> int:
    """Return how many frames a replay of an episode takes."""
    return 1 + -(-episode.trajectory.steps // every)


def _run(
    environment: Environment,
    episode: StoredEpisode,
    every: int,
    progress: Callable[[int], object] | None,
) -> Replay:
    actions = episode.trajectory.actions
    steps: list[int] = []
    frames: list[np.ndarray] = []
    success = False
    environment.reset(episode.request.name)
    for step in range(len(actions) + 1):
        if step > 0:
            success = environment.step(actions[step - 1])
        if step % every == 0 or step == len(actions):
            steps.append(step)
            frames.append(environment.render(AGENTVIEW))
            if progress is not None:
                progress(1)
    replayed = environment.trajectory().joint_positions
    recorded = episode.trajectory.joint_positions
    common = min(len(replayed), len(recorded))
    return Replay(
        steps=np.array(steps),
        frames=np.array(frames, np.uint8),
        success=success,
        deviation=float(np.abs(replayed[:common] - recorded[:common]).max()),
    )
