"""How far one action reaches: the change of the tool's jerk, step by step, when it is changed.

``python -m benchmarks.action_response`` lets the shipped policy solve scenes of the training split,
executes the same actions again with one of them moved a little, and compares the jerk of the two.
What it prints is why `smoothness_credit` is a step and not a chunk (docs/training.md).
"""

from __future__ import annotations

import argparse

import numpy as np
from tqdm import tqdm

from smoothvla_ros.kinematics import Arm
from smoothvla_ros.policies import load_policy
from smoothvla_ros.records import EpisodeName
from smoothvla_ros.simulation import tasks
from smoothvla_ros.simulation.environment import Environment
from smoothvla_ros.simulation.rendering.settings import RenderSettings
from smoothvla_ros.simulation.splits import Split, episode_names
from smoothvla_ros.smoothness import EstimatorSettings, tool_jerk

SUITE = 'libero_spatial'
TASKS = (0, 1, 2, 3)
EPISODES = 2
CHANGES = 6
CHANGE = 0.15  # of the largest action, on each axis of the translation
REACH = 6  # steps before and after the changed one
SEED = 0


def jerk_after(environment: Environment, name: EpisodeName, actions: np.ndarray) -> np.ndarray:
    """Execute actions [T, 7] and return the tool's jerk after each [T, 3], m/s^3, NaN at the ends.

    Shorter where the goal is reached before.
    """
    environment.reset(name)
    for action in actions:
        environment.step(action)
    motion = environment.trajectory()
    jerk = tool_jerk(
        motion.joint_positions, Arm.panda().jacobian, motion.control_period_s, EstimatorSettings()
    )
    return jerk[1:, :3]


def solution(environment: Environment, name: EpisodeName) -> np.ndarray:
    """Return what the shipped policy does in a scene until it has solved it [T, 7].

    Raises RuntimeError where it does not.
    """
    policy = load_policy('default', 'cpu')
    environment.reset(name)
    actions: list[np.ndarray] = []
    while len(actions) < environment.horizon:
        chunks = policy.act([environment.observe()], temperature=0.0, seeds=[SEED])
        for action in chunks.actions[0]:
            actions.append(action)
            if environment.step(action):
                return np.array(actions)
    raise RuntimeError(f'the shipped policy did not solve {name}')


def response(environment: Environment, name: EpisodeName) -> list[np.ndarray]:
    """Return the squared change of jerk around each changed action, arrays [2 * REACH + 1]."""
    generator = np.random.default_rng([SEED, name.task, name.init_state])
    actions = solution(environment, name)
    unchanged = jerk_after(environment, name, actions)
    squares = []
    steps = np.arange(REACH + 4, len(actions) - 2 * REACH)
    for step in generator.choice(steps, CHANGES, replace=False):
        changed = actions[: step + 2 * REACH].copy()
        changed[step, :3] += CHANGE * generator.choice([-1.0, 1.0], 3)
        jerk = jerk_after(environment, name, changed)
        around = slice(step - REACH, step + REACH + 1)
        squares.append(((jerk[around] - unchanged[around]) ** 2).sum(axis=1))
    return squares


def main() -> None:
    """Print the share of the response that falls on each step."""
    argparse.ArgumentParser(description=__doc__).parse_args()
    names = [n for t in TASKS for n in episode_names(SUITE, t, Split.TRAIN, EPISODES, SEED)]
    squares = []
    for name in tqdm(names, desc='scenes', unit='scene'):
        environment = Environment(tasks.task(SUITE, name.task), RenderSettings('fast', 128))
        squares += response(environment, name)
        environment.close()
    total = np.mean(squares, axis=0)
    print('step  share of the squared change of jerk, %')
    for offset, share in zip(range(-REACH, REACH + 1), total / total.sum(), strict=True):
        print(f'{offset:+4d}  {100.0 * share:5.1f}')


if __name__ == '__main__':
    main()
