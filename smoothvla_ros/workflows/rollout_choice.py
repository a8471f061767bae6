"""Where a job's rollouts run, as its command line says: in this process or on a Ray cluster."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path

from smoothvla_ros.configuration import load
from smoothvla_ros.policies.policy import Policy
from smoothvla_ros.simulation.rendering.settings import RenderSettings
from smoothvla_ros.simulation.workers.robot_count import AUTOMATIC, robots_that_fit
from smoothvla_ros.training.rollouts.process import ProcessRolloutSource
from smoothvla_ros.training.rollouts.ray_rollouts import RayRolloutSource
from smoothvla_ros.training.rollouts.ray_settings import RaySettings
from smoothvla_ros.training.rollouts.source import RolloutSource
from smoothvla_ros.workflows.options import add_settings, given_settings

PROCESS, RAY = 'process', 'ray'
OTHERWISE = {'robots': f'{AUTOMATIC}; of an actor of a cluster 2'}
"""Settings whose default the machine decides, and how."""

_PREFIX = 'ray_'


def add_rollout_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare `--rollouts`, and every setting of `RaySettings` as `--ray-...`."""
    parser.add_argument(
        '--rollouts',
        choices=(PROCESS, RAY),
        default=PROCESS,
        help='where episodes run: on workers of this process, or on actors of a Ray cluster, which '
        'changes no bit of them (docs/scale.md) (default: process)',
    )
    add_settings(parser, RaySettings, _PREFIX)


def robots_unless_given(arguments: argparse.Namespace) -> dict[str, int]:
    """Return how many robots this process simulates; a cluster's actors have their own default."""
    return {'robots': robots_that_fit()} if arguments.rollouts == PROCESS else {}


def given_rollout_arguments(arguments: argparse.Namespace) -> list[str]:
    """Return the names of those of `add_rollout_arguments` that were given."""
    given = [_PREFIX + name for name in given_settings(arguments, RaySettings, _PREFIX)]
    return given if arguments.rollouts == PROCESS else ['rollouts', *given]


def ray_settings(arguments: argparse.Namespace) -> RaySettings:
    """Return what the command line says of Ray.  Raises UserError for a bad value."""
    return load(RaySettings, None, given_settings(arguments, RaySettings, _PREFIX))


def open_rollouts(
    arguments: argparse.Namespace,
    device: str,
    robots: int,
    load_policy: Callable[[Path, str], Policy],
    render: RenderSettings,
    deterministic: bool = True,
) -> AbstractContextManager[RolloutSource]:
    """Return a source to be entered.

    device: of the inference in this process.  robots: of this process, or of every rollout actor.
    load_policy: folder and device to a policy.  deterministic: one request an inference; else all
    robots that wait for the same policy are answered together.
    """
    if arguments.rollouts == PROCESS:
        rows = 1 if deterministic else robots
        return ProcessRolloutSource(partial(_on, load_policy, device), robots, render, rows=rows)
    settings = ray_settings(arguments)
    return RayRolloutSource(load_policy, robots, render, settings, deterministic=deterministic)


def _on(load_policy: Callable[[Path, str], Policy], device: str, folder: Path) -> Policy:
    return load_policy(folder, device)
