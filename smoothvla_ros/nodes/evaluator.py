"""Evaluation over the graph: the job of `workflows.evaluation`, its episodes over topics."""

from __future__ import annotations

import sys

from rclpy.node import Node

from smoothvla_ros.evaluation.report.comparison_table import print_comparison
from smoothvla_ros.evaluation.report.run_report import REPORT
from smoothvla_ros.nodes.jobs.job import run_job
from smoothvla_ros.nodes.jobs.topic_rollouts import TopicRolloutSource
from smoothvla_ros.policies.loading import warn_unused_gpu
from smoothvla_ros.workflows.evaluation.config import EvaluationConfig
from smoothvla_ros.workflows.evaluation.run import run_evaluation


def evaluate_over_topics(node: Node, config: EvaluationConfig, source: TopicRolloutSource) -> None:
    """Evaluate as configured, print the table and say where the report is."""
    warn_unused_gpu(config.device)
    print_comparison(run_evaluation(config, source))
    print(f'\nreport: {config.out / REPORT}')


def main() -> int:
    """Run the job; returns the exit status."""
    return run_job('evaluator', EvaluationConfig, evaluate_over_topics)


if __name__ == '__main__':
    sys.exit(main())
