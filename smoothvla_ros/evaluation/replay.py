"""Stored episodes run again in the simulator, to be looked at: actions in, images out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from smoothvla_ros.evaluation.stored_episode import StoredEpisode
from smoothvla_ros.simulation.environment import Environment
from smoothvla_ros.simulation.rendering import RenderSettings
from smoothvla_ros.simulation.tasks import task

CAMERA = 'agentview'


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
    episode: StoredEpisode,
    *,
    size: int = 256,
    every: int = 1,
    camera: str = CAMERA,
    progress: Callable[[int], None] | None = None,
) -> Replay:
    """Run the stored actions from the stored scene, drawn as LIBERO draws.

    size: pixels of the square images.  every: control steps a frame; the last step has one too.
    progress: called with 1 after every frame.
    """
    name, actions = episode.request.name, episode.trajectory.actions
    environment = Environment(
        task(name.suite, name.task), RenderSettings(profile='stock', size=size, cameras=(camera,))
    )
    steps, frames = [], []

    def take(step: int) -> None:
        steps.append(step)
        frames.append(environment.render(camera))
        if progress is not None:
            progress(1)

    try:
        environment.reset(name)
        take(0)
        success = False
        for step, action in enumerate(actions, start=1):
            success = bool(environment.step(action))
            if step % every == 0 or step == len(actions):
                take(step)
        replayed = environment.trajectory().joint_positions
    finally:
        environment.close()
    recorded = episode.trajectory.joint_positions
    common = min(len(replayed), len(recorded))
    return Replay(
        steps=np.array(steps),
        frames=np.array(frames, np.uint8),
        success=success,
        deviation=float(np.abs(replayed[:common] - recorded[:common]).max()),
    )
