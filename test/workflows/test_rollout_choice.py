"""Where rollouts run, as the command line says."""

from __future__ import annotations

import argparse
import time

import numpy as np
import pytest
from toy_world import HORIZON, ToyPolicy, ToyRobot

from smoothvla_ros import cli
from smoothvla_ros.configuration import load
from smoothvla_ros.errors import UserError
from smoothvla_ros.policies.weights_folder import folder_sha256
from smoothvla_ros.records import EpisodeName, EpisodeRequest
from smoothvla_ros.simulation.rendering.settings import RenderSettings
from smoothvla_ros.training.config import TrainConfig
from smoothvla_ros.training.rollouts import process as process_rollouts
from smoothvla_ros.training.rollouts.ray_settings import RaySettings
from smoothvla_ros.workflows import rollout_choice
from smoothvla_ros.workflows.evaluation import command
from smoothvla_ros.workflows.rollout_choice import (
    add_rollout_arguments,
    open_rollouts,
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


class ToyPool:
    """Toy robots in place of processes."""

    def __init__(self, count, render):
        self.workers = [ToyRobot() for _ in range(count)]

    def close(self):
        """Nothing to stop."""


class Counted(ToyPolicy):
    """Notes how many robots each inference answers; the first waits until all others ask."""

    def __init__(self, robots: int) -> None:
        super().__init__()
        self.sizes: list[int] = []
        self._others = robots - 1

    def act(self, observations, *, temperature, seeds):
        """Decide as the toy policy does."""
        while not self.sizes and len(self.served._waiting) < self._others:
            time.sleep(0.001)
        self.sizes.append(len(observations))
        return super().act(observations, temperature=temperature, seeds=seeds)


def played(tmp_path, monkeypatch, robots: int, deterministic: bool):
    """Return how many robots each inference answered, and the tokens of four episodes."""
    monkeypatch.setattr(process_rollouts, 'WorkerPool', ToyPool)
    policy = Counted(robots)
    policy.save(tmp_path)
    requests = [
        EpisodeRequest(
            f'e{i}', EpisodeName('libero_spatial', 0, 0, i), 0, 1.0, 3, 0, horizon=HORIZON
        )
        for i in range(4)
    ]
    with open_rollouts(
        parsed(), 'cpu', robots, lambda *_: policy, RenderSettings(), deterministic
    ) as source:
        policy.served = source._policy
        source.update_policy(0, tmp_path, folder_sha256(tmp_path))
        episodes = list(source.collect(requests))
    tokens = {e.request.episode_id: np.stack([c.tokens for c in e.chunks]) for e in episodes}
    return policy.sizes, tokens


@pytest.mark.parametrize('words', [[], ['--no-deterministic']])
def test_an_evaluation_says_how_its_robots_are_answered(monkeypatch, words):
    """In this process and on a cluster, as a training does."""
    opened = []
    monkeypatch.setattr(command, 'open_rollouts', lambda *_, **told: opened.append(told))
    monkeypatch.setattr(command, 'run_evaluation', lambda _, open_source: open_source('', ''))
    monkeypatch.setattr(command, 'print_comparison', lambda summary: None)
    assert cli.main(['eval', *words]) == 0
    assert opened == [{'deterministic': not words}]


def test_robots_of_this_process_are_answered_one_by_one_bit_for_bit(tmp_path, monkeypatch):
    """Whatever their number, unless the run need not be repeatable; then together."""
    alone, expected = played(tmp_path, monkeypatch, 1, True)
    sizes, tokens = played(tmp_path, monkeypatch, 4, True)
    assert set(sizes) == {1}
    assert tokens.keys() == expected.keys()
    assert all(np.array_equal(tokens[name], expected[name]) for name in expected)
    together, _ = played(tmp_path, monkeypatch, 4, False)
    # The first robot may have asked again before the second one's turn.
    assert together[0] == 1
    assert together[1] in (3, 4)
    assert sum(together) == len(alone)
