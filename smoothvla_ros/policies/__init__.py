"""Policies behind one seam; knows nothing of ROS, and of LIBERO only what policies need of it."""

from smoothvla_ros.policies.folder import DEFAULT_POLICY, policy_folder
from smoothvla_ros.policies.loading import load_policy
from smoothvla_ros.policies.policy import ActionChunks, Policy, PolicySpec, TokenStatistics
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
