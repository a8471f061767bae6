"""Milliseconds of one inference of the shipped policy on one core: images in, a chunk out."""

from __future__ import annotations

import time

import numpy as np
import torch

from smoothvla_ros.policies.loading import load_policy
from smoothvla_ros.records import Observation

REPEATS = 100
WARM_UP = 10
AT_MOST = {'milliseconds_one_core': 40.0}


def measure(policy: str = 'default', repeats: int = REPEATS) -> dict[str, float]:
    """Time single requests, sampled, on one thread; returns the median and the 95th percentile."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        loaded = load_policy(policy)
        seen = observation(loaded.spec.cameras, loaded.spec.image_size)
        for index in range(WARM_UP):
            loaded.act([seen], temperature=1.0, seeds=[index])
        seconds = []
        for index in range(repeats):
            started = time.perf_counter()
            loaded.act([seen], temperature=1.0, seeds=[index])
            seconds.append(time.perf_counter() - started)
    finally:
        torch.set_num_threads(threads)
    return {
        'milliseconds_one_core': 1e3 * float(np.median(seconds)),
        'milliseconds_95th_percentile': 1e3 * float(np.quantile(seconds, 0.95)),
    }


def observation(cameras: tuple[str, ...], size: int) -> Observation:
    """Return an observation of noise, as a policy of these cameras and image size takes it."""
    generator = np.random.default_rng(0)
    return Observation(
        images={
            camera: generator.integers(0, 256, (size, size, 3), dtype=np.uint8)
            for camera in cameras
        },
        joint_positions=np.array([0.0, -0.16, 0.0, -2.44, 0.0, 2.23, 0.785]),
        joint_velocities=np.zeros(7),
        gripper_positions=np.array([0.02, -0.02]),
        instruction='pick up the black bowl and place it on the plate',
    )
