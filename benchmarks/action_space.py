"""Identify what a LIBERO action moves: ``python -m benchmarks.action_space``.

Plays smooth random actions in LIBERO, fits config/action_spaces/libero_osc_pose.yaml to half of
the episodes, and prints the fit and what it is worth on the other half.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import yaml
from tqdm import tqdm

from benchmarks.identification import Recording, errors, identified
from smoothvla_ros.configuration import to_mapping
from smoothvla_ros.control.motion_guard.osc_reference import OscParameters
from smoothvla_ros.kinematics.inverse import InverseKinematics
from smoothvla_ros.kinematics.robot import COMFORT, RobotDescription
from smoothvla_ros.libero import CONTROL_PERIOD_S
from smoothvla_ros.records import EpisodeName
from smoothvla_ros.simulation import tasks
from smoothvla_ros.simulation.environment import Environment
from smoothvla_ros.simulation.rendering.settings import RenderSettings

CONFIG = Path(__file__).resolve().parents[1] / 'config'
SUITE = 'libero_spatial'
EPISODES = 12
CHUNKS, CHUNK = 4, 8


def recordings(environment: Environment, episode: int) -> list[Recording]:
    """Return the chunks of one episode, each from where the one before it ended."""
    environment.reset(EpisodeName(SUITE, 0, episode, 0))
    generator = np.random.default_rng(episode)
    wander = np.zeros(7)
    found = []
    for _ in range(CHUNKS):
        joints = environment.joint_positions().copy()
        velocities = environment.joint_velocities().copy()
        actions = []
        for _ in range(CHUNK):
            wander = 0.9 * wander + 0.25 * generator.normal(size=7)
            action = np.clip(wander, -1, 1) * [1, 1, 1, 0.4, 0.4, 0.4, 1]
            # Upwards: contact with the table is not the controller's.
            action[2] = 0.5 * abs(action[2])
            environment.step(action)
            actions.append(action)
        position, rotation = environment.tool_pose()
        found.append(
            Recording(
                joints,
                velocities,
                np.array(actions),
                CONTROL_PERIOD_S,
                position.copy(),
                rotation.copy(),
            )
        )
    return found


def main() -> None:
    """Record, fit, and print the parameters and both halves' errors."""
    robot = RobotDescription.from_file(CONFIG / 'robots' / 'panda.yaml')
    limits, arm = robot.limits(COMFORT), robot.arm()
    inverse = InverseKinematics(arm, limits.lower, limits.upper, np.array(robot.posture))
    before = OscParameters.from_file(CONFIG / 'action_spaces' / 'libero_osc_pose.yaml')
    environment = Environment(tasks.task(SUITE, 0), RenderSettings('fast', 128))
    episodes = [recordings(environment, episode) for episode in tqdm(range(EPISODES))]
    environment.close()
    fitted_on = [recording for episode in episodes[::2] for recording in episode]
    held_out = [recording for episode in episodes[1::2] for recording in episode]
    after = identified(before, fitted_on, arm, inverse)
    print(yaml.safe_dump(to_mapping(after), sort_keys=False))
    for name, parameters in (('file', before), ('fit', after)):
        for half, chosen in (('fitted on', fitted_on), ('held out', held_out)):
            off = errors(parameters, chosen, arm, inverse)
            metres = np.linalg.norm(off[:, :3], axis=1)
            degrees = np.degrees(np.linalg.norm(off[:, 3:], axis=1))
            print(
                f'{name}, {half}: {1e3 * np.median(metres):.1f} mm median, '
                f'{1e3 * metres.max():.1f} mm most; {np.median(degrees):.2f} and '
                f'{degrees.max():.2f} degrees'
            )


if __name__ == '__main__':
    main()
