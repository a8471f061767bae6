"""Whole iterations in a toy world: what is sampled, kept, repeated, and learned."""

from __future__ import annotations

import dataclasses
import json
from functools import partial

import numpy as np
import pytest
import torch
from toy_world import ToyPolicy, ToySource

from smoothvla_ros.errors import UserError
from smoothvla_ros.kinematics import Arm
from smoothvla_ros.policies.weights_folder import folder_sha256
from smoothvla_ros.smoothness import EstimatorSettings
from smoothvla_ros.training.config import TrainConfig
from smoothvla_ros.training.grpo_trainer import GrpoTrainer, TrainerState
from smoothvla_ros.training.learning.learner import GrpoLearner
from smoothvla_ros.training.rewards.motion import rollout_outcome
from smoothvla_ros.training.rollouts.schedule import RolloutSchedule

ARM = Arm.panda()
TASKS = (0, 1)
SMALL = TrainConfig(
    iterations=3,
    groups=2,
    group_size=4,
    refill_groups=2,
    tasks=TASKS,
    learning_rate=1e-2,
    frozen=(),
)


class Run:
    """A trainer on a toy policy; `iterate` does what the job does between iterations."""

    def __init__(self, folder, config=SMALL, source=None, policy=None):
        self.folder, self.source = folder, source or ToySource()
        self.policy, self.state = policy or ToyPolicy(), TrainerState()
        self.rollouts = {}
        measure = partial(rollout_outcome, jacobian=ARM.jacobian, estimator=EstimatorSettings())
        self.trainer = GrpoTrainer(
            config,
            TASKS,
            RolloutSchedule(config, TASKS),
            self.source,
            GrpoLearner(self.policy, config, reference=ToyPolicy()),
            measure,
            self.state,
            EstimatorSettings(),
            on_rollouts=lambda iteration, episodes: self.rollouts.update({iteration: episodes}),
        )

    def iterate(self):
        """Serve the present policy and do one iteration."""
        folder = self.folder / f'version_{self.state.iteration}'
        self.policy.save(folder)
        self.source.update_policy(self.state.iteration, folder, folder_sha256(folder))
        return self.trainer.iterate()

    @property
    def weights(self) -> torch.Tensor:
        """All weights as one vector."""
        return torch.nn.utils.parameters_to_vector(self.policy.module.parameters())


def test_an_iteration_learns_from_complete_groups_of_one_scene(tmp_path):
    """Every group has one name, its members their own ids; the weights move."""
    run = Run(tmp_path)
    before = run.weights.clone()
    figures = run.iterate()
    groups = {}
    for request in run.source.collected:
        if request.group < 0:  # a single episode for the reference
            continue
        groups.setdefault(request.group, []).append(request)
    for requests in groups.values():
        assert len({request.name for request in requests}) == 1
        assert len({request.episode_id for request in requests}) == SMALL.group_size
    assert figures['groups_kept'] >= 1
    assert figures['first_ratio_drift'] < 1e-5
    assert not torch.equal(run.weights, before)


def test_the_same_seed_gives_the_same_weights_whoever_finishes_first(tmp_path):
    """Two runs with episodes in another order: bit-identical weights and figures."""
    runs = [Run(tmp_path / str(i), source=ToySource(shuffle=i)) for i in range(2)]
    figures = [[run.iterate() for _ in range(2)] for run in runs]
    assert torch.equal(runs[0].weights, runs[1].weights)
    for one, other in zip(*figures, strict=True):
        timing = {'rollout_seconds', 'update_seconds', 'episodes_per_minute'}
        assert {k: v for k, v in one.items() if k not in timing} == {
            k: v for k, v in other.items() if k not in timing
        }


def test_another_seed_gives_other_rollouts(tmp_path):
    """The seed is not decoration."""
    runs = [Run(tmp_path / str(s), dataclasses.replace(SMALL, seed=s)) for s in range(2)]
    for run in runs:
        run.iterate()
    assert not torch.equal(runs[0].weights, runs[1].weights)


def test_groups_that_teach_nothing_are_replaced_within_a_budget(tmp_path):
    """A policy that never succeeds: the spare groups are used once, nothing is learned, it ends."""
    run = Run(tmp_path, dataclasses.replace(SMALL, reward='binary'))
    run.iterate()
    run.source.collected.clear()
    with torch.no_grad():
        run.policy.module[2].bias.view(4, 7, 5)[:, 0, 0] += 100.0  # away from the goal
    before = run.weights.clone()
    figures = run.iterate()
    slots = SMALL.groups + SMALL.refill_groups
    assert len(run.source.collected) == slots * SMALL.group_size
    assert (figures['groups'], figures['groups_kept']) == (slots, 0)
    assert figures['success'] == 0.0
    assert torch.equal(run.weights, before)


def test_the_learning_rate_falls_past_iterations_that_teach_nothing(tmp_path):
    """By the iterations that are left, not by the updates that there were."""
    config = dataclasses.replace(
        SMALL, iterations=4, cool_down_iterations=2, warm_up_steps=0, minibatches=1
    )
    run = Run(tmp_path, config)
    bias = run.policy.module[2].bias
    start = bias.detach().clone()
    kept, rates = [], []
    for iteration in range(4):
        with torch.no_grad():
            bias.copy_(start)
            if iteration == 1:
                bias.view(4, 7, 5)[:, 0, 0] += 100.0  # away from the goal
        kept.append(run.iterate()['groups_kept'] > 0)
        rates.append(run.trainer._learner.optimiser.param_groups[0]['lr'])
    assert kept == [True, False, True, True]
    np.testing.assert_allclose(rates, np.array([1.0, 1.0, 1.0, 0.5]) * config.learning_rate)


def test_all_success_groups_with_jerk_spread_are_learned_from(tmp_path):
    """Dropping them, as other systems do, would delete the smoothness signal."""
    policy = ToyPolicy()
    with torch.no_grad():
        policy.module[2].bias.view(4, 7, 5)[:, 0, 4] += 5.0
    kept = {}
    for reward in ('binary', 'decoupled'):
        config = dataclasses.replace(SMALL, reward=reward, refill_groups=0)
        run = Run(tmp_path / reward, config, policy=policy)
        figures = run.iterate()
        assert figures['success'] == 1.0
        kept[reward] = figures['groups_kept']
    assert kept == {'binary': 0, 'decoupled': 2}


def test_a_lost_rollout_is_asked_for_again(tmp_path):
    """Lost once: the same episode id, one attempt more, and the same result as never lost."""
    lossy = Run(tmp_path / 'lossy', source=ToySource(losses={'i0001-g000-r002': 1}))
    figures = lossy.iterate()
    assert figures['groups_incomplete'] == 0
    retried = [r for r in lossy.source.collected if r.episode_id == 'i0001-g000-r002']
    assert [request.attempt for request in retried] == [1]
    plain = Run(tmp_path / 'plain')
    plain.iterate()
    assert torch.equal(lossy.weights, plain.weights)


def test_an_incomplete_group_is_dropped_whole_and_counted(tmp_path):
    """Lost for good: its other rollouts are not learned from, and a spare group takes its place."""
    source = ToySource(losses={'i0001-g000-r002': 99})
    run = Run(tmp_path, source=source)
    figures = run.iterate()
    assert figures['groups_incomplete'] == 1
    assert all(e.request.group != 0 for e in run.rollouts[1])
    assert {e.request.group for e in run.rollouts[1]} >= {1, 2}


def test_the_reference_is_that_of_the_starting_policy_and_stays(tmp_path):
    """J_ref is the mean jerk of the first iteration's successes, per task, and never changes."""
    config = dataclasses.replace(SMALL, group_size=16, reference_successes=1)
    run = Run(tmp_path, config)
    run.iterate()
    reference = run.state.reference
    measure = partial(rollout_outcome, jacobian=ARM.jacobian, estimator=EstimatorSettings())
    first = [e for e in run.rollouts[1] if e.request.group < config.groups]
    for task in TASKS:
        jerk = [measure(e).mean_jerk for e in first if e.request.name.task == task and e.success]
        assert reference.tasks[task].jerk == pytest.approx(np.mean(jerk), rel=1e-12)
        assert reference.tasks[task].episodes == len(jerk)
    run.iterate()
    assert run.state.reference is reference


def policy_that_solves_nothing() -> ToyPolicy:
    """It moves away from the goal."""
    policy = ToyPolicy()
    with torch.no_grad():
        policy.module[2].bias.view(4, 7, 5)[:, 0, 0] += 100.0
    return policy


@pytest.mark.parametrize('reward', ['smooth', 'decoupled'])
def test_a_policy_that_solves_nothing_is_refused(tmp_path, reward):
    """There is no motion to smooth; the line says so and the search for one is bounded."""
    config = dataclasses.replace(SMALL, reward=reward)
    run = Run(tmp_path, config, policy=policy_that_solves_nothing())
    with pytest.raises(UserError, match='solved none'):
        run.iterate()
    assert len(run.source.collected) <= 2 * 4 + 2 * 3 * SMALL.reference_successes


def test_a_reward_of_ones_own_learns_from_failures(tmp_path, monkeypatch, caplog):
    """One that is dense needs no success: it starts, learns, is warned once and can be resumed."""
    (tmp_path / 'dense_reward.py').write_text(
        'from smoothvla_ros.training.rewards import credit_from_rewards\n\n\n'
        'def far(group, settings):\n'
        '    ends = [r.trajectory.joint_positions[-1].sum() for r in group.rollouts]\n'
        '    return credit_from_rewards(group, ends)\n'
    )
    monkeypatch.syspath_prepend(tmp_path)
    config = dataclasses.replace(SMALL, reward='dense_reward:far', course_coefficient=0.0)
    run = Run(tmp_path, config, policy=policy_that_solves_nothing())
    before = run.weights.clone()
    assert run.iterate()['groups_kept'] == config.groups
    assert not torch.equal(run.weights, before)
    again = TrainerState.from_plain(json.loads(json.dumps(run.state.to_plain())))
    assert np.isnan(again.reference.tasks[0].jerk)
    run.iterate()
    assert not [r for r in run.source.collected if r.group < 0 and r.policy_version > 0]
    assert len([r for r in caplog.records if 'solved none' in r.message]) == 1


def test_binary_goes_on_without_an_early_success(tmp_path):
    """It teaches nothing until there is one, and needs no jerk for that."""
    config = dataclasses.replace(SMALL, reward='binary')
    run = Run(tmp_path, config, policy=policy_that_solves_nothing())
    assert [run.iterate()['groups_kept'] for _ in range(2)] == [0, 0]


def test_rollouts_that_teach_nothing_are_handed_on_too(tmp_path):
    """What a run keeps of its episodes are all that its figures are of."""
    config = dataclasses.replace(SMALL, reward='binary')
    run = Run(tmp_path, config, policy=policy_that_solves_nothing())
    figures = run.iterate()
    assert figures['groups_kept'] == 0
    slots = SMALL.groups + SMALL.refill_groups
    assert len(run.rollouts[1]) == figures['episodes'] == slots * SMALL.group_size


def test_figures_of_an_iteration_against_its_episodes(tmp_path):
    """Rewards of all, steps of the successes, and which of these earned nothing."""
    config = dataclasses.replace(SMALL, reward='smooth', jerk_penalty=0.95, refill_groups=0)
    policy = ToyPolicy()
    with torch.no_grad():
        policy.module[2].bias.view(4, 7, 5)[:, 0, 0] += 0.3  # some fail
    run = Run(tmp_path, config, policy=policy)
    figures = run.iterate()
    rewards, steps = [], []
    for episode in run.rollouts[1]:
        outcome = rollout_outcome(episode, ARM.jacobian, EstimatorSettings())
        unit = run.state.reference.tasks[episode.request.name.task].jerk
        rewards.append(outcome.success * (1.0 - 0.95 * outcome.mean_jerk / unit))
        steps.append(outcome.steps if outcome.success else 0)
    solved, rewards = np.array(steps) > 0, np.array(rewards)
    assert 0 < solved.sum() < len(solved)
    assert figures['success'] == solved.mean()
    assert figures['reward'] == pytest.approx(rewards.mean())
    assert figures['steps'] == np.array(steps)[solved].mean()
    assert figures['successes_without_reward'] == (rewards[solved] <= 0.0).mean() < 1.0
    played = figures['episodes_per_minute'] * figures['rollout_seconds'] / 60.0
    assert played == pytest.approx(len(run.source.collected))


def test_lost_rollouts_are_not_blamed_on_the_policy(tmp_path):
    """None came: the error says so with the reason, instead of that the policy solved none."""
    run = Run(tmp_path, source=ToySource(broken=True))
    with pytest.raises(UserError, match=r'no rollout .* came back.*: its worker died \(') as error:
        run.iterate()
    assert 'solved' not in str(error.value)


def test_few_rollouts_that_failed_are_told_from_many_that_were_lost(tmp_path):
    """The error says how many came, and why others did not."""
    policy = ToyPolicy()
    with torch.no_grad():
        policy.module[2].bias.view(4, 7, 5)[:, 0, 0] += 100.0
    losses = {f'reference-t{task:03d}-r{i:03d}': 99 for task in TASKS for i in range(1, 100)}
    run = Run(tmp_path, policy=policy, source=ToySource(losses=losses))
    with pytest.raises(UserError, match=r'solved none of its 10 .*\(others .*: the test said so'):
        run.iterate()


def test_an_iteration_without_a_whole_group_is_an_error_and_can_be_done_again(tmp_path):
    """Its reason is said, nothing is counted, and the next try is as if it had not been."""
    run, plain = Run(tmp_path / 'broken'), Run(tmp_path / 'plain')
    for each in (run, plain):
        each.iterate()
    run.source.broken = True
    with pytest.raises(UserError, match=r'iteration 2: none of \d groups .*: its worker died \('):
        run.iterate()
    assert run.state.iteration == len(run.state.history) == 1
    run.source.broken = False
    for each in (run, plain):
        assert each.iterate()['iteration'] == 2
    assert torch.equal(run.weights, plain.weights)


def test_training_uses_the_train_split_only(tmp_path):
    """No init state or scene seed that evaluation measures on."""
    from smoothvla_ros.simulation.splits import Split, split_of

    run = Run(tmp_path)
    for _ in range(3):
        run.iterate()
    assert {split_of(request.name) for request in run.source.collected} == {Split.TRAIN}


def test_the_last_iteration_returns_to_the_scenes_of_the_first():
    """So that sampled motion before and after is paired scene by scene."""
    schedule = RolloutSchedule(SMALL, TASKS)
    names = [[plan.name for plan in schedule.groups(i)] for i in (1, 2, 3)]
    assert names[0] == names[2]
    assert not set(names[0]) & set(names[1])


@pytest.mark.parametrize('credit', ['episode', 'chunk', 'step'])
def test_greedy_jerk_falls_in_the_toy_world(tmp_path, credit):
    """The whole machine points the right way: two dozen iterations smooth the greedy motion.

    Within one step of this world a joint's speed is its jerk, so it is not held to its pace.
    """
    config = dataclasses.replace(
        SMALL,
        iterations=24,
        group_size=8,
        smoothness_credit=credit,
        course_coefficient=0.0,
        smoothness_weight=0.9,
        learning_rate=3e-2,
        warm_up_steps=0,
    )
    run = Run(tmp_path, config)
    with torch.no_grad():
        run.policy.module[2].bias.view(4, 7, 5)[:, 0, 4] += 2.0

    def greedy_jerk() -> float:
        requests = RolloutSchedule(config, TASKS).reference_requests(0, 8)
        folder = tmp_path / 'greedy'
        run.policy.save(folder)
        run.source.update_policy(0, folder, folder_sha256(folder))
        greedy = [dataclasses.replace(request, temperature=0.0) for request in requests]
        measured = [
            rollout_outcome(e, ARM.jacobian, EstimatorSettings())
            for e in run.source.collect(greedy)
        ]
        assert all(outcome.success for outcome in measured)
        return float(np.mean([outcome.mean_jerk for outcome in measured]))

    before = greedy_jerk()
    first = run.iterate()
    for _ in range(config.iterations - 1):
        last = run.iterate()
    assert last['jerk'] < 0.9 * first['jerk']
    assert last['success'] >= first['success']
    assert greedy_jerk() < 0.9 * before
