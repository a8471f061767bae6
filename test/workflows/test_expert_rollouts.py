"""The expert in the place of a policy."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from smoothvla_ros.errors import UserError
from smoothvla_ros.records import EpisodeName, EpisodeRequest
from smoothvla_ros.simulation.expert import playing
from smoothvla_ros.simulation.splits import Split, episode_names
from smoothvla_ros.workflows.evaluation.config import EvaluationConfig
from smoothvla_ros.workflows.evaluation.run import run_evaluation
from smoothvla_ros.workflows.expert_rollouts import ExpertRolloutSource


def test_the_expert_plays_the_episodes_that_a_policy_is_measured_on():
    """Real simulator: a held-out episode comes back solved, whole, and the same from another."""
    name = episode_names('libero_object', 0, Split.HELD_OUT, 1, seed=1000)[0]
    requests = [EpisodeRequest(f'expert-{i}', name, 0, 0.0, 1000, 0) for i in range(2)]
    source = ExpertRolloutSource(processes=2)
    first, second = sorted(source.collect(requests), key=lambda e: e.request.episode_id)
    assert first.success
    assert [first.request, second.request] == requests
    assert 40 < first.trajectory.steps < 280
    assert (first.trajectory.joint_positions == second.trajectory.joint_positions).all()


def test_over_the_topics_the_expert_is_refused(tmp_path):
    """A policy node cannot be the expert; the message says which command can."""
    config = EvaluationConfig(compare='expert', out=tmp_path / 'out')
    with pytest.raises(UserError, match='smoothvla eval'):
        run_evaluation(config, source=object())


@pytest.mark.parametrize(('asked', 'steps'), [(None, 6), (9, 9)])
def test_the_expert_keeps_to_the_horizon_that_was_asked_for(
    monkeypatch: pytest.MonkeyPatch, asked: int | None, steps: int
) -> None:
    """An evaluation with a horizon of its own measures the expert over the same steps."""
    played: list[int] = []
    environment = SimpleNamespace(
        horizon=6,
        reset=lambda _: None,
        step=played.append,
        task=SimpleNamespace(bddl_file=None),
    )
    monkeypatch.setattr(playing, 'read_problem', lambda _: None)
    monkeypatch.setattr(
        playing, 'Expert', lambda *_: SimpleNamespace(step=lambda: SimpleNamespace(action=0))
    )
    name = EpisodeName('libero_goal', 0, 4, 100_000)
    assert not playing.play(cast(Any, environment), name, asked)
    assert len(played) == steps
