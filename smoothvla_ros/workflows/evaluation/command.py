"""The command line of `smoothvla eval`."""

from __future__ import annotations

import argparse
from functools import partial

from smoothvla_ros.configuration import load
from smoothvla_ros.evaluation.report.comparison_table import print_comparison
from smoothvla_ros.evaluation.report.run_report import REPORT
from smoothvla_ros.policies.loading import warn_unused_gpu
from smoothvla_ros.user_path import user_path
from smoothvla_ros.workflows.evaluation.config import EvaluationConfig
from smoothvla_ros.workflows.evaluation.run import run_evaluation
from smoothvla_ros.workflows.options import add_settings, given_settings
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
    add_settings(parser, EvaluationConfig, defaults=OTHERWISE)


def run(arguments: argparse.Namespace) -> int:
    """Evaluate, print the table and say where the report is."""
    given = given_settings(arguments, EvaluationConfig)
    config = load(EvaluationConfig, arguments.config, given, robots_unless_given(arguments))
    if arguments.rollouts == PROCESS:
        warn_unused_gpu(config.device)
    opener = partial(
        open_rollouts,
        arguments,
        config.device,
        config.robots,
        deterministic=config.deterministic,
    )
    summary = run_evaluation(config, open_source=opener)
    print_comparison(summary)
    print(f'\nreport: {config.out / REPORT}')
    return 0
