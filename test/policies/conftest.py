"""A policy small enough to build in a test, and observations for it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny_openvla
import torch

from smoothvla_ros.kinematics.arm import Arm
from smoothvla_ros.policies.instructions import Vocabulary
from smoothvla_ros.policies.openvla.load import load_openvla
from smoothvla_ros.policies.openvla.policy import OpenVLAPolicy
from smoothvla_ros.policies.small_vla.configuration import SmallVLAConfig
from smoothvla_ros.policies.small_vla.modeling import SmallVLAModel
from smoothvla_ros.policies.small_vla.policy import SmallVLAPolicy
from smoothvla_ros.records import Observation

READY = np.array([0.0, -0.2, 0.0, -2.0, 0.0, 2.0, 0.8])
INSTRUCTION = 'pick up the black bowl and place it on the plate'


@pytest.fixture(scope='session')
def arm() -> Arm:
    """Return the Panda."""
    return Arm.panda()


@pytest.fixture
def policy(arm: Arm) -> SmallVLAPolicy:
    """Return a policy of random weights whose head is far from uniform."""
    torch.manual_seed(0)
    vocabulary = Vocabulary.of([INSTRUCTION])
    config = SmallVLAConfig(
        image_size=32,
        stem_channels=8,
        stage_channels=(8, 8),
        stage_depths=(1, 1),
        keypoints=4,
        hidden_size=16,
        feedforward_size=16,
        attention_heads=2,
        decoder_layers=1,
        vocabulary_size=len(vocabulary),
    )
    model = SmallVLAModel(config)
    torch.nn.init.normal_(model.head.weight, std=0.2)
    return SmallVLAPolicy(model, vocabulary, arm)


@pytest.fixture
def observe() -> Callable[..., Observation]:
    """Return a maker of different observations by number."""

    def make(number: int, instruction: str = INSTRUCTION, size: int = 32) -> Observation:
        rng = np.random.default_rng(number)
        shape = (size, size, 3)
        return Observation(
            images={c: rng.integers(0, 256, shape, dtype=np.uint8) for c in ('agentview', 'wrist')},
            joint_positions=READY + rng.normal(size=7) / 9,
            joint_velocities=rng.normal(size=7) / 9,
            gripper_positions=np.array([0.04, -0.04]),
            instruction=instruction,
        )

    return make


@pytest.fixture(scope='session')
def openvla_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a tiny checkpoint in the published layout, with a head and a projector."""
    folder = tmp_path_factory.mktemp('openvla') / 'checkpoint'
    return tiny_openvla.write(folder, heads=True, proprioception=True)


@pytest.fixture(scope='session')
def openvla_policy(
    openvla_folder: Path, arm: Arm, tmp_path_factory: pytest.TempPathFactory
) -> Callable[..., OpenVLAPolicy]:
    """Return a maker of policies of that checkpoint, by what `openvla.json` says."""

    def make(**settings: Any) -> OpenVLAPolicy:
        folder = tmp_path_factory.mktemp('policy')
        plain = {'answer': 'tokens', 'proprioception': False, 'cameras': ['agentview']}
        plain |= {'decoding': 'sequential', 'chunk': 1, 'checkpoint': str(openvla_folder)}
        (folder / 'openvla.json').write_text(json.dumps({**plain, **settings}))
        return load_openvla(folder, arm=arm)

    return make
