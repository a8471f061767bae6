"""Every test run has a ROS domain of its own and never leaves this machine."""

from __future__ import annotations

import contextlib
import os

import hypothesis
import pytest

from smoothvla_ros.ros_domain import free_domain

_held = contextlib.ExitStack()

# A busy machine may take a second for any example; what is slow shows in --durations.
hypothesis.settings.register_profile('no_deadline', deadline=None)
hypothesis.settings.load_profile('no_deadline')


def pytest_configure(config: pytest.Config) -> None:
    """Set the domain before the first test module can import ROS."""
    os.environ['ROS_DOMAIN_ID'] = str(_held.enter_context(free_domain()))
    os.environ['ROS_AUTOMATIC_DISCOVERY_RANGE'] = 'LOCALHOST'
    if 'PYTEST_XDIST_WORKER' in os.environ:
        # Threads of torch spin while they wait: two processes that take all cores slow each other.
        os.environ.setdefault('OMP_NUM_THREADS', '1')


def pytest_unconfigure(config: pytest.Config) -> None:
    """Give the domain back."""
    _held.close()
