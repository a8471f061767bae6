"""Policies behind one seam; knows nothing of ROS or LIBERO."""

from smoothvla_ros.policies.policy import (
    DEFAULT_POLICY,
    ActionChunks,
    Policy,
    PolicySpec,
    TokenStatistics,
    load_policy,
    policy_folder,
)
from smoothvla_ros.policies.seeds import chunk_seed

__all__ = [
    'DEFAULT_POLICY',
    'ActionChunks',
    'Policy',
    'PolicySpec',
    'TokenStatistics',
    'chunk_seed',
    'load_policy',
    'policy_folder',
]
