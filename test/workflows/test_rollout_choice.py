"""Where rollouts run, as the command line says."""

from __future__ import annotations

import argparse

import pytest

from smoothvla_ros.configuration import load
from smoothvla_ros.errors import UserError
from smoothvla_ros.training.config import TrainConfig
from smoothvla_ros.training.rollouts.ray_settings import RaySettings
from smoothvla_ros.workflows import rollout_choice
from smoothvla_ros.workflows.rollout_choice import (
    add_rollout_arguments,
    ray_settings,
    robots_unless_given,
)


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


def test_the_machine_decides_on_the_robots_of_this_process_unless_somebody_does(
    monkeypatch, tmp_path
):
    """Under a file's and the command line's number; an actor of a cluster has its own default."""
    monkeypatch.setattr(rollout_choice, 'robots_that_fit', lambda: 5)
    here, cluster = parsed(), parsed('--rollouts', 'ray')
    file = tmp_path / 'train.yaml'
    file.write_text('robots: 3\n')
    assert load(TrainConfig, None, {}, robots_unless_given(here)).robots == 5
    assert load(TrainConfig, file, {}, robots_unless_given(here)).robots == 3
    assert load(TrainConfig, file, {'robots': '4'}, robots_unless_given(here)).robots == 4
    assert load(TrainConfig, None, {}, robots_unless_given(cluster)).robots == TrainConfig().robots
