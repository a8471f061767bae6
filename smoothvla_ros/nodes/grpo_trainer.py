"""GRPO over the graph: the training job of `workflows.training`, its rollouts over topics."""

from __future__ import annotations

import sys

from rclpy.node import Node

from smoothvla_ros import msg
from smoothvla_ros.nodes.jobs.job import run_job
from smoothvla_ros.nodes.jobs.topic_rollouts import TopicRolloutSource
from smoothvla_ros.nodes.topics.quality_of_service import Graph, profiles
from smoothvla_ros.policies.loading import warn_unused_gpu
from smoothvla_ros.training.config import TrainConfig
from smoothvla_ros.training.progress import TrainStatus
from smoothvla_ros.workflows.training.job import print_result, train
from smoothvla_ros.workflows.training.progress import ProgressBar


def run_training(node: Node, config: TrainConfig, source: TopicRolloutSource) -> None:
    """Train, showing progress on the terminal and on train_status, and print the result."""
    warn_unused_gpu(config.device)
    progress = ProgressBar()
    publisher = node.create_publisher(
        msg.TrainStatus, 'train_status', profiles(Graph.LOCK_STEP).status
    )

    def report(status: TrainStatus) -> None:
        progress(status)
        message = msg.TrainStatus(
            phase=status.phase.value,
            iteration=status.iteration,
            iterations=status.iterations,
            episodes_done=status.episodes_done,
            episodes_planned=status.episodes_planned,
            success=float(status.success),
            jerk=float(status.jerk),
            entropy=float(status.entropy),
            episodes_per_minute=float(status.episodes_per_minute),
        )
        message.header.stamp = node.get_clock().now().to_msg()
        publisher.publish(message)

    print_result(train(config, source, report=report), config)


def main() -> int:
    """Run the job; returns the exit status."""
    return run_job('grpo_trainer', TrainConfig, run_training)


if __name__ == '__main__':
    sys.exit(main())
