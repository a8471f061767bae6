"""One ROS domain for the nodes' tests, and its context."""

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
