"""The noise that is executed and never learned."""

import numpy as np
import pytest

from smoothvla_ros.errors import UserError
from smoothvla_ros.simulation.expert.noise import ActionNoise, NoiseSettings

ACTION = np.array([0.1, 0.2, -0.3, 0.0, 0.05, 0.0, 1.0])
ALWAYS = NoiseSettings(scale=0.2, clean_share=0.0)


def _disturbed(noise, steps=200, share=1.0):
    return np.array([noise.disturb(ACTION, share) for _ in range(steps)])


def test_the_same_seed_gives_the_same_noise():
    """An episode's noise is fixed by its seed, and differs from another's."""
    first, again, other = (_disturbed(ActionNoise(ALWAYS, [seed])) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).max() > 0.1


def test_noise_is_correlated_bounded_and_leaves_the_gripper_alone():
    """Neighbouring steps are disturbed alike, commands stay in range, the gripper is let be."""
    executed = _disturbed(ActionNoise(ALWAYS, [3]), steps=3000)
    noise = (executed - ACTION)[:, 0]
    assert np.corrcoef(noise[1:], noise[:-1])[0, 1] > 0.7
    assert 0.15 < noise.std() < 0.4
    assert np.abs(executed[:, :6]).max() <= 1.0
    assert np.all(executed[:, 6] == 1.0)


def test_fragile_moments_are_not_disturbed():
    """Where the expert asks for a share of 0, its action is executed as it is."""
    np.testing.assert_array_equal(_disturbed(ActionNoise(ALWAYS, [4]), 50, share=0.0)[7], ACTION)


def test_a_share_of_the_episodes_is_clean():
    """About `clean_share` of the episodes are executed without noise."""
    settings = NoiseSettings(scale=0.2, clean_share=0.25)
    clean = [ActionNoise(settings, [seed]).clean for seed in range(400)]
    assert 0.18 < np.mean(clean) < 0.32
    assert ActionNoise(settings.weaker(0.0), [0]).clean


def test_settings_out_of_range_are_refused():
    """A negative scale or a share above 1 is a user error that names the setting."""
    with pytest.raises(UserError, match='scale=-1'):
        NoiseSettings(scale=-1.0)
    with pytest.raises(UserError, match='clean_share=2'):
        NoiseSettings(clean_share=2.0)
