import numpy as np
import pytest

from smoothvla_ros.simulation import tasks
from smoothvla_ros.simulation.rendering.settings import RenderSettings


@pytest.fixture(scope='session')
def spatial_environment():
    """One environment of libero_spatial for all tests that reset it first."""
    from smoothvla_ros.simulation.environment import Environment

    return Environment(tasks.task('libero_spatial', 0), RenderSettings(size=64))


@pytest.fixture
def pushing_actions():
    """Return a function: steps -> actions [steps, 7] that press down, wander and grip."""

    def actions(steps, seed=0):
        generator = np.random.default_rng(seed)
        wander = np.zeros(7)
        rows = []
        for _ in range(steps):
            wander = 0.9 * wander + 0.3 * generator.normal(size=7)
            row = np.clip(wander, -1, 1)
            row[2] = -1.0
            rows.append(row)
        return np.array(rows)

    return actions
