"""The command line of `smoothvla eval`."""

from __future__ import annotations

import argparse
import dataclasses
from functools import partial
from typing import Any

from smoothvla_ros.configuration import load
from smoothvla_ros.evaluation.report.comparison_table import print_comparison
from smoothvla_ros.evaluation.report.run_report import REPORT
from smoothvla_ros.policies.loading import warn_unused_gpu
from smoothvla_ros.user_path import user_path
from smoothvla_ros.workflows.evaluation.config import EvaluationConfig
from smoothvla_ros.workflows.evaluation.run import run_evaluation
from smoothvla_ros.workflows.options import option
from smoothvla_ros.workflows.rollout_choice import (
    OTHERWISE,
    PROCESS,
    add_rollout_arguments,
    open_rollouts,
    robots_unless_given,
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments; every setting of `EvaluationConfig` is one."""
    add_rollout_arguments(parser)
    parser.add_argument('--config', type=user_path, help='YAML file of the settings below')
    for field in dataclasses.fields(EvaluationConfig):
        default = field.default
        if isinstance(default, tuple):
            default = ','.join(f'{item:g}' for item in default) or 'all'
        default = OTHERWISE.get(field.name, default)
        names = option(field.name)
        help_text = f'{field.metadata["description"]} (default: {default})'.replace('%', '%%')
        if field.type == 'bool':
            parser.add_argument(
                *names, action=argparse.BooleanOptionalAction, default=None, help=help_text
            )
        else:
            parser.add_argument(*names, dest=field.name, metavar=field.name.upper(), help=help_text)


def given_settings(arguments: argparse.Namespace) -> dict[str, Any]:
    """Return what the command line sets, by the name of the setting."""
    names = {field.name for field in dataclasses.fields(EvaluationConfig)}
    return {
        name: value
        for name, value in vars(arguments).items()
        if name in names and value is not None
    }


def run(arguments: argparse.Namespace) -> int:
    """Evaluate, print the table and say where the report is."""
    given = given_settings(arguments)
    config = load(EvaluationConfig, arguments.config, given, robots_unless_given(arguments))
    if arguments.rollouts == PROCESS:
        warn_unused_gpu(config.device)
    opener = partial(open_rollouts, arguments, config.device, config.robots)
    summary = run_evaluation(config, open_source=opener)
    print_comparison(summary)
    print(f'\nreport: {config.out / REPORT}')
    return 0
