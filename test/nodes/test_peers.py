"""A node that dies without a word is noticed and named."""

from __future__ import annotations

import subprocess
import sys
import threading
import time

import pytest
import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from waiting import spin_until

from smoothvla_ros import msg
from smoothvla_ros.errors import UserError
from smoothvla_ros.nodes.base.peers import GRACE_S, START_TIMEOUT_S, PeerWatch
from smoothvla_ros.nodes.topics.quality_of_service import LEASE_S, profiles

PUBLISHER = """
import rclpy
from rclpy.node import Node
from smoothvla_ros import msg
from smoothvla_ros.nodes.topics.quality_of_service import profiles
rclpy.init()
node = Node('libero_bridge')
node.create_publisher(msg.EpisodeResult, 'watched_result', profiles('lock_step').result)
rclpy.spin(node)
"""


@pytest.fixture
def watch(ros):
    node = Node('watcher')
    changed = threading.Condition()
    peers = PeerWatch({'libero_bridge': 'watched_result'}, changed)
    node.create_subscription(
        msg.EpisodeResult,
        'watched_result',
        lambda message: None,
        profiles('lock_step').result,
        event_callbacks=peers.callbacks('libero_bridge'),
    )
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    yield peers, executor
    executor.shutdown()
    node.destroy_node()


def test_killed_node_is_named_within_ten_seconds(watch):
    """SIGKILL says nothing: the lease runs out, then the grace, and the line names the node."""
    peers, executor = watch
    process = subprocess.Popen([sys.executable, '-c', PUBLISHER])
    try:
        spin_until(executor, peers.all_alive, 60.0)
        peers.require(time.monotonic())
    finally:
        process.kill()
        process.wait()
    killed = time.monotonic()
    spin_until(executor, lambda: not peers.all_alive(), 3 * LEASE_S)
    assert time.monotonic() + GRACE_S - killed < 10.0
    peers.require(time.monotonic())
    with pytest.raises(UserError, match=r'node libero_bridge died: its lease of 2 s ran out'):
        peers.require(time.monotonic() + GRACE_S)


def test_node_that_never_comes_is_named(watch):
    """A trainer without its graph says what it waits for."""
    peers, _ = watch
    peers.require(time.monotonic())
    with pytest.raises(UserError, match='no node libero_bridge on watched_result'):
        peers.require(time.monotonic() + START_TIMEOUT_S + 1.0)


def test_a_middleware_without_leases_is_refused_by_name(monkeypatch):
    """Under it a trainer would wait five minutes for nodes that are there."""
    monkeypatch.setattr(rclpy, 'get_rmw_implementation_identifier', lambda: 'rmw_zenoh_cpp')
    with pytest.raises(UserError, match=r'RMW_IMPLEMENTATION=rmw_zenoh_cpp .*rmw_fastrtps_cpp'):
        PeerWatch({'libero_bridge': 'watched_result'}, threading.Condition())
