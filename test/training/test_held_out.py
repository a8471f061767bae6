"""No path to a gradient leads through a held-out scene."""

from __future__ import annotations

import ast
import dataclasses
from pathlib import Path

import numpy as np
import pytest
from sft_data import episode as demonstration
from sft_data import own_file
from toy_world import HORIZON, ToyPolicy, ToyRobot

import smoothvla_ros
from smoothvla_ros.errors import UserError
from smoothvla_ros.records import EpisodeName, EpisodeRequest
from smoothvla_ros.simulation.splits import Split, init_state_indices, scene_seeds
from smoothvla_ros.training.learning.chunk_batch import chunk_batch
from smoothvla_ros.training.rollouts.robot_loop import run_episode
from smoothvla_ros.training.sft.lerobot_dataset import LeRobotNames
from smoothvla_ros.training.sft.read_demonstrations import read_episodes

STATES = {split: init_state_indices('libero_goal', split)[0] for split in Split}
SEEDS = {split: scene_seeds(split)[0] for split in Split}
NOT_TRAIN = [pair for pair in ((a, b) for a in Split for b in Split) if set(pair) != {Split.TRAIN}]
PACKAGE = Path(smoothvla_ros.__file__).parent


@pytest.mark.parametrize(('state', 'seed'), NOT_TRAIN)
def test_rollouts_of_a_held_out_scene_are_no_batch(state, seed):
    """Whoever collected them: a scene that is held out in any part is refused by its name."""
    policy = ToyPolicy()
    name = EpisodeName('libero_goal', 0, STATES[Split.TRAIN], SEEDS[Split.TRAIN])
    request = EpisodeRequest(
        episode_id='r',
        name=name,
        group=0,
        temperature=1.0,
        seed=0,
        policy_version=0,
        horizon=HORIZON,
    )

    def act(observation, temperature, seed):
        return policy.act([observation], temperature=temperature, seeds=[seed])

    rollout = run_episode(ToyRobot(), act, request, 1.0, 1.0)
    advantages = [np.ones(rollout.steps)]
    assert len(chunk_batch([rollout], advantages, 1.0))
    name = EpisodeName('libero_goal', 0, STATES[state], SEEDS[seed])
    other = dataclasses.replace(rollout, request=dataclasses.replace(request, name=name))
    with pytest.raises(UserError, match=r'held.out'):
        chunk_batch([other], advantages, 1.0)


@pytest.mark.parametrize(('state', 'seed'), NOT_TRAIN)
def test_demonstrations_of_a_held_out_scene_are_no_data(tmp_path, state, seed):
    """A file that says it began there is refused by its path, whatever its name."""
    own_file(tmp_path / 'good.npz', demonstration(), STATES[Split.TRAIN], SEEDS[Split.TRAIN])
    assert len(list(read_episodes([tmp_path], LeRobotNames(), 4))) == 1
    bad = own_file(tmp_path / 'bad.npz', demonstration(), STATES[state], SEEDS[seed])
    with pytest.raises(UserError, match=rf'^data={bad}: .*held.out.*; take it out$'):
        list(read_episodes([tmp_path], LeRobotNames(), 4))


def test_there_are_no_other_paths_to_a_gradient():
    """One optimiser behind `chunk_batch`, one behind `read_episodes`: a third needs a guard too."""
    optimisers, batches, frames = set(), set(), set()
    for path in PACKAGE.rglob('*.py'):
        place = path.relative_to(PACKAGE).as_posix()
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Attribute) and node.attr in ('optim', 'backward'):
                optimisers.add(place)
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                if node.func.id == 'ChunkBatch':
                    batches.add(place)
                if node.func.id == 'FrameSet':
                    frames.add(place)
    assert optimisers == {'training/learning/learner.py', 'training/sft/trainer.py'}
    assert batches == {'training/learning/chunk_batch.py'}
    assert frames == {'workflows/sft.py'}
