"""`smoothvla sft`: train the small policy on demonstrations."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import torch

from smoothvla_ros.atomic_files import write_file
from smoothvla_ros.configuration import default_mapping, load, to_mapping
from smoothvla_ros.errors import UserError, disk_errors
from smoothvla_ros.folder_lock import FolderLock
from smoothvla_ros.kinematics import Arm
from smoothvla_ros.kinematics.robot import RobotDescription, load_robot_description
from smoothvla_ros.policies.folder import policy_folder
from smoothvla_ros.policies.instructions import Vocabulary
from smoothvla_ros.policies.small_vla.configuration import SmallVLAConfig
from smoothvla_ros.policies.small_vla.modeling import SmallVLAModel
from smoothvla_ros.policies.small_vla.policy import SmallVLAPolicy
from smoothvla_ros.policies.weights_folder import folder_sha256
from smoothvla_ros.training.sft.checkpoint import read_state
from smoothvla_ros.training.sft.config import SFTConfig
from smoothvla_ros.training.sft.frames import FrameSet
from smoothvla_ros.training.sft.lerobot_dataset import LeRobotNames
from smoothvla_ros.training.sft.metrics_log import SFTMetricsLog
from smoothvla_ros.training.sft.read_demonstrations import read_episodes
from smoothvla_ros.training.sft.trainer import SFTTrainer, set_body_statistics
from smoothvla_ros.user_path import user_path
from smoothvla_ros.workflows.options import add_settings, given_settings, option
from smoothvla_ros.writable_folder import check_writable

_SETTINGS = 'sft.json'
_PANDA = 'panda'

# What may differ when a training goes on: how long, and how the work is done.
_FREE = ('steps', 'minutes', 'checkpoint_minutes', 'threads')


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments; every setting of `SFTConfig` and `LeRobotNames` is one."""
    parser.add_argument(
        '--data',
        type=user_path,
        action='append',
        required=True,
        help='demonstrations: a folder of `smoothvla demos`, LIBERO HDF5 files, or a LeRobot '
        'dataset; may be given several times',
    )
    parser.add_argument(
        *option('out'), type=user_path, required=True, help='folder for policy, state and log'
    )
    parser.add_argument('--init', help='continue from these weights (a folder, or "default")')
    parser.add_argument(
        '--robot',
        default=_PANDA,
        help='arm of the demonstrations: panda, fr3 or ur5e (with --urdf), or a file',
    )
    parser.add_argument('--urdf', default='', help="its URDF, in place of the file's")
    parser.add_argument('--config', type=user_path, help='YAML file of the settings below')
    for owner in (SFTConfig, LeRobotNames):
        add_settings(parser, owner)


def run(arguments: argparse.Namespace) -> int:
    """Train, or go on where a run with the same output folder stopped."""
    config = load(SFTConfig, arguments.config, given_settings(arguments, SFTConfig))
    names = load(LeRobotNames, None, given_settings(arguments, LeRobotNames))
    robot = load_robot_description(arguments.robot, arguments.urdf)
    with disk_errors(f'--out {arguments.out}'), FolderLock(arguments.out, '--out '):
        policy = train_sft(
            arguments.data, arguments.out, config, arguments.init, names, robot=robot
        )
    print(f'policy: {policy}')
    return 0


def train_sft(
    data: list[Path],
    out: Path,
    config: SFTConfig,
    init: str | None = None,
    lerobot_names: LeRobotNames | None = None,
    model_config: SmallVLAConfig | None = None,
    robot: RobotDescription | None = None,
) -> Path:
    """Train a policy on `data` and return its folder, ``out/policy``.

    A state found in `out` is continued. init: weights to start from; words that the new
    demonstrations bring are added to their vocabulary. robot: the arm of the demonstrations; None
    is LIBERO's Panda. Raises UserError for bad data or folders, and for a state of other settings
    or demonstrations.
    """
    if config.threads:
        torch.set_num_threads(config.threads)
    check_writable(out, '--out ')
    robot = robot if robot is not None else load_robot_description(_PANDA)
    arm = robot.arm()
    origin = policy_folder(init) if init is not None else None
    start = SmallVLAPolicy.load(origin, arm=arm) if origin is not None else None
    shape = start.module.config if start is not None else model_config or SmallVLAConfig()
    frames = _frames(data, lerobot_names or LeRobotNames(), config, arm, shape)
    tasks = len(frames.instructions)
    print(f'{frames.episodes} demonstrations, {len(frames)} images, {tasks} tasks', flush=True)
    torch.manual_seed(config.seed)
    model, vocabulary = _model(start, shape, frames)
    state = out / 'state'
    saved = read_state(state)
    if saved is not None and saved.record['words'] != list(vocabulary.words):
        raise UserError(f'{state} was trained on other instructions; choose another --out')
    settings = {
        **to_mapping(config),
        'demonstrations': frames.episodes,
        'images': len(frames),
        'robot': robot.name,
        'data_sha256': frames.sha256(),
        'init_sha256': folder_sha256(origin) if origin is not None else '',
    }
    if saved is not None:
        _check_same(out / _SETTINGS, settings)
    trainer = SFTTrainer(model, vocabulary, frames, config, state)
    write_file(out / _SETTINGS, json.dumps(settings, indent=2) + '\n')
    with SFTMetricsLog(out, trainer.step) as log:
        trainer.run(log.add)
        log.add(trainer.step, trainer.validate())
    folder = out / 'policy'
    SmallVLAPolicy(trainer.averaged_model(), vocabulary, arm).save(folder)
    return folder


def _frames(
    data: list[Path], names: LeRobotNames, config: SFTConfig, arm: Arm, shape: SmallVLAConfig
) -> FrameSet:
    episodes = read_episodes(
        data, names, config.image_stride, len(arm.joint_names), config.image_moment
    )
    return FrameSet(
        episodes,
        arm=arm,
        cameras=tuple(shape.cameras),
        image_size=shape.image_size,
        chunk=shape.chunk,
    )


def _model(
    start: SmallVLAPolicy | None, shape: SmallVLAConfig, frames: FrameSet
) -> tuple[SmallVLAModel, Vocabulary]:
    if start is None:
        vocabulary = Vocabulary.of(frames.instructions)
        shape.vocabulary_size = len(vocabulary)
        model = SmallVLAModel(shape)
        set_body_statistics(model, frames)
        return model, vocabulary
    vocabulary = Vocabulary.of(frames.instructions, start.vocabulary.words)
    model = start.module
    model.resize_vocabulary(len(vocabulary))
    return model, vocabulary


def _check_same(path: Path, settings: dict[str, Any]) -> None:
    """Raise UserError if a training that is to go on was begun with other settings."""
    try:
        # Older trainings did not say which arm it was, there was one, what these two were, nor
        # settings that came later.
        unsaid = {name: settings[name] for name in ('data_sha256', 'init_sha256')}
        older = default_mapping(SFTConfig) | {'robot': _PANDA} | unsaid
        found = older | dict(json.loads(path.read_text()))
    except (OSError, ValueError, TypeError) as error:
        raise UserError(f'{path} cannot be read ({error}); choose another --out') from error
    for name, value in settings.items():
        if name not in _FREE and found.get(name) != value:
            raise UserError(
                f'--out {path.parent} holds a training with {name}={found.get(name)}, not {value}; '
                'choose another --out, or the same settings to go on with it'
            )
