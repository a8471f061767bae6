"""Which environments a worker keeps."""

import pytest

from smoothvla_ros.errors import UserError
from smoothvla_ros.simulation.rendering.settings import RenderSettings
from smoothvla_ros.simulation.workers.environment_cache import EnvironmentCache

PLENTY_MB = 1e6


def test_environments_are_built_once_and_tasks_with_one_scene_share_its_model():
    """Pins that pointing at a task again rebuilds nothing, and one model for a suite's scene."""
    cache = EnvironmentCache(RenderSettings(size=16), PLENTY_MB)
    first = cache.get('libero_spatial', 0)
    second = cache.get('libero_spatial', 1)
    assert first is not second
    assert first.model is second.model
    assert cache.get('libero_spatial', 0) is first
    assert len(cache) == 2
    with pytest.raises(UserError, match='task 10'):
        cache.get('libero_spatial', 10)
    assert len(cache) == 2


def test_the_least_recently_used_environment_gives_way_when_memory_is_short(monkeypatch):
    """Pins the order of eviction, and that a shared scene is expected to take little."""
    cache = EnvironmentCache(RenderSettings(size=16), memory_limit_mb=500.0)
    used_mb = 400.0
    monkeypatch.setattr(
        'smoothvla_ros.simulation.workers.environment_cache.proportional_mb', lambda: used_mb
    )
    first, second = (cache.get('libero_spatial', task) for task in (0, 1))
    assert len(cache) == 2
    assert cache.get('libero_spatial', 0) is first
    used_mb = 490.0
    cache.get('libero_spatial', 2)
    assert len(cache) == 1
    used_mb = 400.0
    assert cache.get('libero_spatial', 1) is not second
