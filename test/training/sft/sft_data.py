"""Small demonstrations in memory, and small models, for the tests of supervised fine-tuning."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from smoothvla_ros.policies.small_vla.configuration import SmallVLAConfig
from smoothvla_ros.training.sft.demonstration_episode import LABEL_NAMES, DemonstrationEpisode

READY = np.array([0.0, -0.2, 0.0, -2.0, 0.0, 2.0, 0.8])


def tiny_shape() -> SmallVLAConfig:
    """Return the smallest model that still has every part."""
    return SmallVLAConfig(
        image_size=32,
        stem_channels=8,
        stage_channels=[8, 8],
        stage_depths=[1, 1],
        keypoints=4,
        hidden_size=32,
        feedforward_size=32,
        attention_heads=2,
        decoder_layers=1,
    )


def episode(number: int = 0, steps: int = 20, labelled: bool = True) -> DemonstrationEpisode:
    """Return a short smooth motion with random images; the gripper closes half way."""
    rng = np.random.default_rng(number)
    phase = np.linspace(0.0, np.pi, steps + 1)[:, None]
    joints = READY + 0.3 * rng.normal(size=7) * np.sin(phase)
    actions = np.tile(rng.uniform(-0.8, 0.8, 7), (steps, 1)).astype(np.float32)
    actions[:, 6] = np.where(np.arange(steps) < steps // 2, -1.0, 1.0)
    image_steps = np.arange(0, steps, 4)
    shape = (len(image_steps), 32, 32, 3)
    labels = {name: rng.normal(size=(steps, 3)).astype(np.float32) / 5 for name in LABEL_NAMES}
    return DemonstrationEpisode(
        source=f'episode {number}',
        instruction=f'pick up object {"abc"[number % 3]}',
        images={c: rng.integers(0, 256, shape, dtype=np.uint8) for c in ('agentview', 'wrist')},
        image_steps=image_steps,
        joint_positions=joints,
        joint_velocities=np.gradient(joints, 0.05, axis=0),
        gripper_positions=np.tile([0.04, -0.04], (steps + 1, 1)),
        actions=actions,
        labels=labels if labelled else {},
    )


def own_file(path: Path, source: DemonstrationEpisode, init_state: int, scene_seed: int) -> Path:
    """Write a demonstration as `smoothvla demos` does, of libero_goal task 0, and return `path`."""
    np.savez(
        path,
        images_agentview=source.images['agentview'],
        images_wrist=source.images['wrist'],
        image_steps=source.image_steps,
        joint_positions=source.joint_positions,
        joint_velocities=source.joint_velocities,
        gripper_positions=source.gripper_positions,
        actions=source.actions,
        executed_actions=source.actions,
        **source.labels,
        instruction=source.instruction,
        suite='libero_goal',
        task=0,
        init_state=init_state,
        scene_seed=scene_seed,
        success=True,
    )
    return path
