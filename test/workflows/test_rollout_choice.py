"""Where rollouts run, as the command line says."""

from __future__ import annotations

import argparse

import pytest

from smoothvla_ros.errors import UserError
from smoothvla_ros.training.ray_settings import RaySettings
from smoothvla_ros.workflows.rollout_choice import add_rollout_arguments, ray_settings


def parsed(*words: str) -> argparse.Namespace:
    """Return what a command would get."""
    parser = argparse.ArgumentParser()
    add_rollout_arguments(parser)
    return parser.parse_args(words)


def test_every_setting_of_ray_is_an_argument():
    """This process is the default; what is given for Ray is read, the rest has its defaults."""
    assert parsed().rollouts == 'process'
    assert ray_settings(parsed()) == RaySettings()
    given = parsed('--rollouts', 'ray', '--ray-actors', '16', '--ray-address', 'head:6379')
    assert ray_settings(given) == RaySettings(actors=16, address='head:6379')


def test_a_bad_value_is_named():
    """One line, before anything starts."""
    with pytest.raises(UserError, match='actors=0 is too small'):
        ray_settings(parsed('--ray-actors', '0'))
