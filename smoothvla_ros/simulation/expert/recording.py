"""One episode of the expert, recorded as a demonstration."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from smoothvla_ros.libero import AGENTVIEW, CAMERAS, WRIST
from smoothvla_ros.records import EpisodeName
from smoothvla_ros.simulation.demonstrations import Demonstration
from smoothvla_ros.simulation.environment import Environment
from smoothvla_ros.simulation.expert.expert import Expert, ExpertStep
from smoothvla_ros.simulation.expert.goal import read_problem
from smoothvla_ros.simulation.expert.noise import ActionNoise
from smoothvla_ros.simulation.splits import require_train


@dataclass
class _Record:
    """What is gathered step by step."""

    images: dict[str, list[np.ndarray]]
    image_steps: list[int]
    joints: list[tuple[np.ndarray, np.ndarray, np.ndarray]]
    steps: list[ExpertStep]
    executed: list[np.ndarray]


def record(
    environment: Environment, name: EpisodeName, noise: ActionNoise, image_stride: int = 0
) -> Demonstration:
    """Let the expert solve an episode, up to its success or the suite's horizon.

    image_stride: control steps from one pair of images to the next; 0 renders none.
    Raises UserError for a held-out episode.
    """
    require_train(name)
    environment.reset(name)
    expert = Expert(environment, read_problem(environment.task.bddl_file))
    kept = _Record({camera: [] for camera in CAMERAS}, [], [_joints(environment)], [], [])
    success = False
    while not success and len(kept.steps) < environment.horizon:
        if image_stride and len(kept.steps) % image_stride == 0:
            for camera, images in kept.images.items():
                images.append(environment.render(camera))
            kept.image_steps.append(len(kept.steps))
        step = expert.step()
        executed = noise.disturb(step.action, step.noise)
        success = environment.step(executed)
        kept.steps.append(step)
        kept.executed.append(executed)
        kept.joints.append(_joints(environment))
    return _demonstration(environment, name, kept, success)


def _joints(environment: Environment) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return (
        environment.joint_positions(),
        environment.joint_velocities(),
        environment.gripper_positions(),
    )


def _demonstration(
    environment: Environment, name: EpisodeName, kept: _Record, success: bool
) -> Demonstration:
    size = environment.render_settings.size
    no_images = np.zeros((0, size, size, 3), dtype=np.uint8)
    images = {
        camera: np.stack(frames) if frames else no_images for camera, frames in kept.images.items()
    }
    positions, velocities, grippers = (
        np.stack(values) for values in zip(*kept.joints, strict=True)
    )
    return Demonstration(
        suite=name.suite,
        task=name.task,
        init_state=name.init_state,
        scene_seed=name.scene_seed,
        instruction=environment.task.language,
        success=success,
        images_agentview=images[AGENTVIEW],
        images_wrist=images[WRIST],
        image_steps=np.array(kept.image_steps, dtype=np.int64),
        joint_positions=positions,
        joint_velocities=velocities,
        gripper_positions=grippers,
        actions=np.array([step.action for step in kept.steps], dtype=np.float32),
        executed_actions=np.array(kept.executed, dtype=np.float32),
        waypoint=np.array([step.waypoint for step in kept.steps], dtype=np.float32),
        object_position=np.array([step.object_position for step in kept.steps], dtype=np.float32),
        target_position=np.array([step.target_position for step in kept.steps], dtype=np.float32),
    )
