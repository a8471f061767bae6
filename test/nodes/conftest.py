"""One ROS domain for the nodes' tests, its context, and the guards that are made in it."""

from __future__ import annotations

import os

import pytest

from smoothvla_ros.ros_domain import free_domain

os.environ['ROS_AUTOMATIC_DISCOVERY_RANGE'] = 'LOCALHOST'


@pytest.fixture(scope='session', autouse=True)
def ros_domain():
    """A domain of its own, so that no other run on this machine is heard."""
    with free_domain() as domain:
        os.environ['ROS_DOMAIN_ID'] = str(domain)
        yield domain


@pytest.fixture(scope='session')
def ros(ros_domain):
    """The ROS context of this process."""
    import rclpy

    rclpy.init()
    yield
    rclpy.try_shutdown()


@pytest.fixture
def make_guard(ros):
    """Return a function: parameters -> a GuardGraph, which ends with the test."""
    from guard_graph import SLACK, GuardGraph

    made = []

    def make(**parameters):
        made.append(GuardGraph(**(SLACK | parameters)))
        return made[-1]

    yield make
    for graph in made:
        graph.close()
