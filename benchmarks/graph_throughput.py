"""Episodes a minute over the topics against the same episodes in one process.

Two robots, real LIBERO workers, one policy on both sides, the same requests. The sides take turns
in blocks within one run, because a machine's speed drifts by more than the difference: A B B A, so
that a steady drift counts for both alike. The idle side's processes wait and use no processor.
The episodes are sampled and of one length on both sides, and both sides return observations and
tokens, as in training.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from tqdm import tqdm

from smoothvla_ros.policies.folder import policy_folder
from smoothvla_ros.policies.loading import load_policy
from smoothvla_ros.policies.weights_folder import folder_sha256
from smoothvla_ros.records import EpisodeRequest
from smoothvla_ros.ros_domain import free_domain
from smoothvla_ros.simulation.rendering.settings import RenderSettings
from smoothvla_ros.simulation.splits import Split, episode_names
from smoothvla_ros.training.rollouts.process import ProcessRolloutSource
from smoothvla_ros.training.rollouts.source import RolloutSource

SUITE, TASK = 'libero_spatial', 0
ROBOTS = 2
HORIZON = 120
ORDER = ('topics', 'process', 'process', 'topics')
AT_LEAST = {'topics_over_process': 0.95, 'process_episodes_per_minute': 30.0}
STOP_TIMEOUT_S = 10.0


def measure(policy: str = 'default', rounds: int = 2, episodes: int = 8) -> dict[str, float]:
    """Run the sides in turns and return the figures of `make bench`.

    rounds: how often ORDER is run through.  episodes: of one block.
    Returns topics_over_process, and the episodes a minute of each side with their spread over the
    blocks.
    """
    folder = policy_folder(policy)
    spec = load_policy(folder).spec
    render = RenderSettings('fast', spec.image_size, spec.cameras)
    seconds: dict[str, list[float]] = {'topics': [], 'process': []}
    with (
        _topic_source(spec.image_size) as topics,
        ProcessRolloutSource(load_policy, ROBOTS, render) as process,
    ):
        sides: dict[str, RolloutSource] = {'topics': topics, 'process': process}
        for side in sides.values():
            side.update_policy(0, folder, folder_sha256(folder))
            _run(side, _requests('warm-up', ROBOTS))
        blocks = [side for _ in range(rounds) for side in ORDER]
        for number, side in enumerate(tqdm(blocks, unit='block', desc='graph')):
            # Both sides play the same episodes: one set for each half round.
            requests = _requests(f'block-{number // 2}', episodes)
            seconds[side].append(_run(sides[side], requests))
    rates = {side: 60.0 * episodes / np.array(times) for side, times in seconds.items()}
    return {
        'topics_over_process': float(sum(seconds['process']) / sum(seconds['topics'])),
        **{f'{side}_episodes_per_minute': float(np.mean(r)) for side, r in rates.items()},
        **{f'{side}_standard_deviation': float(np.std(r)) for side, r in rates.items()},
    }


def _requests(label: str, count: int) -> list[EpisodeRequest]:
    names = episode_names(SUITE, TASK, Split.TRAIN, count, seed=0)
    return [
        EpisodeRequest(f'{label}-{index:02d}', name, 0, 1.0, 0, 0, horizon=HORIZON)
        for index, name in enumerate(names)
    ]


def _run(source: RolloutSource, requests: Sequence[EpisodeRequest]) -> float:
    """Return the seconds from the first request to the last complete episode."""
    started = time.perf_counter()
    count = sum(1 for _ in source.collect(requests))
    if count != len(requests):
        raise RuntimeError(f'{len(requests) - count} episodes were lost: {source.lost()}')
    return time.perf_counter() - started


@contextmanager
def _topic_source(image_size: int) -> Iterator[RolloutSource]:
    """Yield a source over topics, with bridge and policy in processes of their own."""
    with free_domain() as domain:
        os.environ['ROS_DOMAIN_ID'] = str(domain)
        os.environ.setdefault('ROS_AUTOMATIC_DISCOVERY_RANGE', 'LOCALHOST')
        # Imported here: the domain has to be chosen first.
        import rclpy
        from rclpy.node import Node

        from smoothvla_ros.control.lock_step.episode_ledger import LedgerSettings
        from smoothvla_ros.nodes.base.executors import spinning
        from smoothvla_ros.nodes.jobs.topic_rollouts import TopicRolloutSource

        nodes = [
            _node('libero_bridge', f'robots:={ROBOTS}', f'image_size:={image_size}'),
            _node('policy', f'robots:={ROBOTS}', 'deterministic:=true'),
        ]
        rclpy.init()
        node = Node('graph_throughput')
        source = TopicRolloutSource(node, ROBOTS, LedgerSettings())
        try:
            with spinning(node, drains_topics=False):
                yield source
        finally:
            for process in nodes:
                process.terminate()
            node.destroy_node()
            rclpy.try_shutdown()
            for process in nodes:
                _end(process)


def _node(name: str, *parameters: str) -> subprocess.Popen[bytes]:
    words = [word for parameter in parameters for word in ('-p', parameter)]
    # From the checkout that this benchmark belongs to.
    return subprocess.Popen(
        [sys.executable, '-m', f'smoothvla_ros.nodes.{name}', '--ros-args', *words],
        cwd=Path(__file__).parents[1],
    )


def _end(process: subprocess.Popen[bytes]) -> None:
    try:
        process.wait(STOP_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
