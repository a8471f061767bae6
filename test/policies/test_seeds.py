"""What a sampled chunk's noise follows from."""

from __future__ import annotations

from smoothvla_ros.policies.seeds import chunk_seed


def test_a_seed_is_the_same_in_every_process_and_version():
    """A number from outside: neither a hash that Python salts nor another formula gives it."""
    assert chunk_seed(7, 'i0001-g000-r002', 3) == 32060029814578353


def test_run_episode_and_chunk_each_change_the_seed():
    """Another run of the same scenes, another rollout of a group, the next chunk: other noise."""
    seeds = {
        chunk_seed(run, episode, chunk)
        for run in range(3)
        for episode in ('i0001-g000-r000', 'i0001-g000-r001')
        for chunk in range(3)
    }
    assert len(seeds) == 3 * 2 * 3
    assert all(0 <= seed < 2**63 for seed in seeds)
