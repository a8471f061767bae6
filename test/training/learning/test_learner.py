"""What one update does to the weights, on a policy of a thousand of them."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
import torch
from toy_world import HORIZON, ToyPolicy, ToyRobot

from smoothvla_ros.errors import UserError
from smoothvla_ros.policies.seeds import chunk_seed
from smoothvla_ros.records import EpisodeName, EpisodeRequest
from smoothvla_ros.training.config import GrpoConfig
from smoothvla_ros.training.learning.chunk_batch import chunk_batch
from smoothvla_ros.training.learning.grpo_loss import grpo_loss
from smoothvla_ros.training.learning.learner import GrpoLearner
from smoothvla_ros.training.rollouts.robot_loop import run_episode

TEMPERATURE = 0.9


def rollouts(policy: ToyPolicy, count: int = 6):
    """Sampled toy episodes of one scene, some of which succeed in the middle of a chunk."""

    def act(observation, temperature, seed):
        return policy.act([observation], temperature=temperature, seeds=[seed])

    episodes = []
    for index in range(count):
        request = EpisodeRequest(
            episode_id=f'r{index:03d}',
            name=EpisodeName('libero_spatial', 0, 0, 0),
            group=0,
            temperature=TEMPERATURE,
            seed=3,
            policy_version=0,
            horizon=HORIZON,
        )
        episodes.append(run_episode(ToyRobot(), act, request, 1.0, 1.0))
    return episodes


def batch_of(policy: ToyPolicy, advantages=None, order=None):
    """A batch of toy rollouts; advantages of alternating sign unless given."""
    episodes = rollouts(policy)
    steps = [
        np.linspace(1.0, 0.5, e.steps) * (-1.0) ** i if advantages is None else advantages(e)
        for i, e in enumerate(episodes)
    ]
    order = range(len(episodes)) if order is None else order
    return chunk_batch([episodes[i] for i in order], [steps[i] for i in order], TEMPERATURE)


def gradient_of(policy: ToyPolicy, batch, **settings) -> dict[str, torch.Tensor]:
    """The gradient of the whole batch's loss."""
    learner = GrpoLearner(policy, GrpoConfig(**{'course_coefficient': 0.0, **settings}))
    learner.optimiser.zero_grad()
    learner.accumulate(batch, batch.valid_tokens)
    return {name: value.grad.clone() for name, value in learner.parameters.items()}


def test_the_first_ratio_is_exactly_one():
    """Old log-probabilities are those of `act`: scored row by row nothing drifts, not one bit."""
    policy = ToyPolicy()
    learner = GrpoLearner(policy, GrpoConfig(course_coefficient=0.0, micro_batch=1))
    _, sums, _ = learner.accumulate(batch_of(policy), 1.0)
    assert sums.tokens > 0
    assert (sums.ratio_drift, sums.policy_divergence, sums.clipped) == (0.0, 0.0, 0)


def test_a_policy_hears_what_it_will_be_asked():
    """Before the first pass, in the order of the passes; the starting policy and the learner."""

    class Hears(ToyPolicy):
        def __init__(self) -> None:
            super().__init__()
            self.events: list[tuple[str, list[int]]] = []

        def expect(self, observations):
            self.events.append(('expect', [id(observation) for observation in observations]))

        def evaluate(self, observations, tokens, *, temperature):
            self.events.append(('evaluate', [id(observation) for observation in observations]))
            return super().evaluate(observations, tokens, temperature=temperature)

    policy, reference = Hears(), Hears()
    batch = batch_of(policy)
    config = GrpoConfig(course_coefficient=1.0, micro_batch=4, minibatches=1)
    GrpoLearner(policy, config, reference).update(batch, 0)
    for heard in (policy, reference):
        (first, expected), *passes = heard.events
        assert first == 'expect'
        assert [name for name, _ in passes] == ['evaluate'] * len(passes)
        assert len(passes) > 1
        assert expected == [each for _, observations in passes for each in observations]


@pytest.mark.parametrize(
    ('settings', 'expected'),
    [
        ({}, 1),
        ({'kl_coefficient': 0.1}, 1),
        ({'kl_coefficient': 0.1, 'course_coefficient': 0.0}, 1),
        ({'kl_coefficient': 0.1, 'reward': 'binary'}, 1),
        ({'course_coefficient': 0.0}, 0),
        ({'reward': 'binary'}, 0),
    ],
)
def test_every_row_is_compared_in_as_many_passes_as_the_settings_say(settings, expected):
    """What `smoothvla memory` charges for: one pass of the reference, where there is one."""
    policy, reference = ToyPolicy(), ToyPolicy()
    batch, config = batch_of(policy), GrpoConfig(epochs=2, **settings)
    rows = 0

    def counted(evaluate):
        def wrapped(observations, tokens, *, temperature):
            nonlocal rows
            rows += len(observations)
            return evaluate(observations, tokens, temperature=temperature)

        return wrapped

    for one in (policy, reference):
        one.evaluate = counted(one.evaluate)
    GrpoLearner(policy, config, reference).update(batch, 0)
    assert int(config.needs_reference) == expected
    assert rows == (expected + config.epochs) * len(batch)


def test_another_policy_than_the_one_that_sampled_does_not_learn():
    """The drift before the first step catches stale weights."""
    learner = GrpoLearner(ToyPolicy(1), GrpoConfig(course_coefficient=0.0))
    with pytest.raises(UserError, match='before the first step the ratios differ from 1 by'):
        learner.update(batch_of(ToyPolicy(0)), seed=0)


def test_micro_batches_do_not_change_the_gradient():
    """Sums over the whole batch's valid tokens: 1, 5 or all chunks a pass give the same."""
    gradients = []
    for micro_batch in (1, 5, 1000):
        policy = ToyPolicy()
        gradients.append(gradient_of(policy, batch_of(policy), micro_batch=micro_batch))
    for other in gradients[1:]:
        for name, value in gradients[0].items():
            torch.testing.assert_close(other[name], value, rtol=1e-4, atol=1e-7)


def test_a_token_weighs_the_same_in_a_short_rollout_as_in_a_long_one():
    """Two minibatches with different numbers of valid tokens add up to the whole batch."""
    policy = ToyPolicy()
    batch = batch_of(policy)
    whole = gradient_of(policy, batch)
    learner = GrpoLearner(policy, GrpoConfig(course_coefficient=0.0))
    learner.optimiser.zero_grad()
    for rows in (np.arange(3), np.arange(3, len(batch))):
        learner.accumulate(batch.take(rows), batch.valid_tokens)
    for name, parameter in learner.parameters.items():
        torch.testing.assert_close(parameter.grad, whole[name], rtol=1e-4, atol=1e-7)


def test_minibatches_divide_by_their_share_of_the_whole_batch():
    """The mean over the steps is the loss of the whole batch, however its tokens were dealt out."""
    policy = ToyPolicy()
    batch = batch_of(policy, lambda e: np.linspace(5.0, 1.0, e.steps))
    learner = GrpoLearner(
        policy, GrpoConfig(course_coefficient=0.0, minibatches=5, learning_rate=0.0)
    )
    figures = learner.update(batch, seed=0)
    whole = -batch.advantages[batch.mask].mean()
    rows = np.array_split(np.random.default_rng(0).permutation(len(batch)), 5)
    means = [-batch.advantages[row][batch.mask[row]].mean() for row in rows]
    assert figures.optimiser_steps == 5
    assert figures.loss == pytest.approx(whole, rel=1e-5)
    assert abs(np.mean(means) - whole) > 1e-3, 'the minibatches should differ in valid tokens'


def test_the_order_in_which_rollouts_finish_does_not_change_one_bit():
    """The learner sorts by episode id before it sums."""
    weights = []
    for order in (None, [4, 1, 5, 0, 3, 2]):
        policy = ToyPolicy()
        GrpoLearner(policy, GrpoConfig(course_coefficient=0.0, learning_rate=1e-2)).update(
            batch_of(policy, order=order), seed=1
        )
        weights.append(torch.nn.utils.parameters_to_vector(policy.module.parameters()))
    assert torch.equal(*weights)


def test_steps_that_were_not_executed_have_no_gradient():
    """Changing tokens behind the cut of an episode's last chunk changes nothing."""
    policy = ToyPolicy()
    batch = batch_of(policy)
    assert not batch.mask.all(), 'the toy world should cut some chunk short'
    other = np.where(batch.mask, batch.tokens, (batch.tokens + 1) % 5)
    changed = dataclasses.replace(batch, tokens=other)
    for name, value in gradient_of(policy, batch).items():
        assert torch.equal(value, gradient_of(policy, changed)[name])


def test_the_gradient_is_that_of_the_expected_reward():
    """Policy gradient by finite differences: one state, a reward for one joint's first token.

    Over all 5 tokens of that joint, weighted as often as they are sampled, the GRPO gradient at
    ratio 1 is the derivative of the expected advantage.
    """
    policy = ToyPolicy()
    policy.module.double()
    position = torch.zeros(1, 7, dtype=torch.float64)
    reward = torch.tensor([0.0, 1.0, -2.0, 0.5, 3.0], dtype=torch.float64)

    def probabilities() -> torch.Tensor:
        logits = policy.module(position).reshape(4, 7, 5)[0, 0]
        return torch.softmax(logits / TEMPERATURE, dim=-1)

    old = probabilities().detach()
    surrogate, _ = grpo_loss(
        probabilities().log().reshape(5, 1, 1),
        torch.zeros(5, 1, 1, dtype=torch.float64),
        old.log().reshape(5, 1, 1),
        (reward * old).reshape(5, 1, 1),
        torch.ones(5, 1, 1, dtype=torch.bool),
        clip_low=0.2,
        clip_high=0.28,
    )
    bias = policy.module[2].bias
    (gradient,) = torch.autograd.grad(surrogate, bias)
    numeric = torch.zeros_like(bias)
    for index in range(5):
        values = []
        for sign in (1.0, -1.0):
            with torch.no_grad():
                bias[index] += sign * 1e-6
                values.append(float((reward * probabilities()).sum()))
                bias[index] -= sign * 1e-6
        numeric[index] = (values[0] - values[1]) / 2e-6
    torch.testing.assert_close(-gradient, numeric, rtol=1e-5, atol=1e-9)


def test_an_update_makes_rewarded_tokens_likelier():
    """The end-to-end sign: advantage +1 on a token's first value raises its probability."""
    policy = ToyPolicy()
    batch = batch_of(policy)
    wanted = batch.tokens == batch.tokens[0, 0, 0]
    batch = dataclasses.replace(batch, advantages=np.where(wanted, 1.0, -1.0).astype(np.float32))
    before = policy.evaluate(batch.observations, batch.tokens, temperature=1.0).log_probs.detach()
    GrpoLearner(policy, GrpoConfig(course_coefficient=0.0, learning_rate=1e-3)).update(
        batch, seed=0
    )
    after = policy.evaluate(batch.observations, batch.tokens, temperature=1.0).log_probs.detach()
    rise = (after - before).numpy()
    assert rise[wanted & batch.mask].mean() > 0.0 > rise[~wanted & batch.mask].mean()


def test_gradients_are_clipped_before_the_step():
    """A huge advantage is scaled down to the allowed norm, and logged as it was."""
    policy = ToyPolicy()
    learner = GrpoLearner(
        policy, GrpoConfig(course_coefficient=0.0, max_gradient_norm=0.5, minibatches=1)
    )
    figures = learner.update(batch_of(policy, lambda e: np.full(e.steps, 1e4)), seed=0)
    norm = torch.linalg.vector_norm(
        torch.cat([p.grad.flatten() for p in learner.parameters.values()])
    )
    assert figures.gradient_norm > 100.0
    assert float(norm) == pytest.approx(0.5, rel=1e-3)


def test_the_learning_rate_rises_from_the_first_step_on():
    """A share of the rate at first, all of it from the last warm-up step on; zero steps: all."""
    rates = {}
    for steps in (0, 1, 4):
        policy = ToyPolicy()
        config = GrpoConfig(
            course_coefficient=0.0, learning_rate=8e-3, warm_up_steps=steps, minibatches=1
        )
        learner = GrpoLearner(policy, config)
        rates[steps] = []
        for _ in range(6):
            learner.update(batch_of(policy), seed=0)
            rates[steps].append(learner.optimiser.param_groups[0]['lr'])
    np.testing.assert_allclose(rates[4], [2e-3, 4e-3, 6e-3, 8e-3, 8e-3, 8e-3])
    np.testing.assert_allclose(rates[1], 8e-3)
    np.testing.assert_allclose(rates[0], 8e-3)


def cooled(lefts, **settings) -> tuple[GrpoLearner, list[float]]:
    """Update once for each number of iterations left; the rate of each update's last step."""
    config = GrpoConfig(course_coefficient=0.0, learning_rate=8e-3, **settings)
    learner = GrpoLearner(ToyPolicy(), config)
    rates = []
    for left in lefts:
        learner.update(batch_of(learner.policy), 0, left)
        rates.append(learner.optimiser.param_groups[0]['lr'])
    return learner, rates


def test_the_learning_rate_falls_to_zero_over_the_last_iterations():
    """Linear, however many of the iterations before had an update; with none left nothing moves."""
    settings = {'warm_up_steps': 2, 'cool_down_iterations': 4, 'minibatches': 1}
    learner, rates = cooled((9, 8, 5, 4, 3, 1), **settings)
    np.testing.assert_allclose(rates, [4e-3, 8e-3, 8e-3, 8e-3, 6e-3, 2e-3])
    weights = learner.policy.module.parameters
    last = torch.nn.utils.parameters_to_vector(weights()).detach().clone()
    learner.update(batch_of(learner.policy), 0, 0)
    assert torch.equal(torch.nn.utils.parameters_to_vector(weights()), last)


@pytest.mark.parametrize(('iterations', 'cooled'), [(1, 0), (2, 1), (5, 2), (60, 30)])
def test_the_rate_falls_over_the_second_half_unless_something_else_is_asked_for(iterations, cooled):
    """The default follows the length of the run, so that a short one has the full rate first."""
    assert GrpoConfig(iterations=iterations).cooled_iterations == cooled
    for asked in (0, 3):
        config = GrpoConfig(iterations=iterations, cool_down_iterations=asked)
        assert config.cooled_iterations == asked


def test_a_cool_down_falls_within_an_iteration():
    """Two passes of two minibatches: four steps an iteration, the last of them the shortest."""
    settings = {'warm_up_steps': 0, 'cool_down_iterations': 2, 'minibatches': 2, 'epochs': 2}
    _, rates = cooled((2, 1), **settings)
    np.testing.assert_allclose(rates, [5e-3, 1e-3])


def test_the_first_step_is_as_short_as_its_share_of_the_rate():
    """The warm-up reaches the weights: AdamW's first step is as long as its rate."""
    moved = {}
    for steps in (1, 10):
        policy = ToyPolicy()
        before = torch.nn.utils.parameters_to_vector(policy.module.parameters()).detach().clone()
        config = GrpoConfig(
            course_coefficient=0.0, learning_rate=1e-2, warm_up_steps=steps, minibatches=1
        )
        GrpoLearner(policy, config).update(batch_of(policy), seed=0)
        after = torch.nn.utils.parameters_to_vector(policy.module.parameters()).detach()
        moved[steps] = float((after - before).abs().max())
    assert moved[10] == pytest.approx(0.1 * moved[1], rel=1e-3)


def test_divergence_stops_the_run_before_the_weights_are_lost():
    """A gradient that is not finite is a user error, and the step is not taken."""
    policy = ToyPolicy()
    batch = batch_of(policy, lambda e: np.full(e.steps, np.inf))
    before = torch.nn.utils.parameters_to_vector(policy.module.parameters()).clone()
    with pytest.raises(UserError, match='learning_rate'):
        GrpoLearner(policy, GrpoConfig(course_coefficient=0.0)).update(batch, seed=0)
    assert torch.equal(before, torch.nn.utils.parameters_to_vector(policy.module.parameters()))


def test_weights_that_a_last_step_made_infinite_are_not_handed_on():
    """The gradient was finite and no other follows: nobody would find out before loading."""
    policy = ToyPolicy()
    config = GrpoConfig(course_coefficient=0.0, warm_up_steps=1, epochs=1, minibatches=1)
    learner = GrpoLearner(policy, config)
    learner.optimiser.step = lambda: learner.parameters['2.weight'].data.fill_(math.inf)
    with pytest.raises(UserError, match=r'2\.weight has weights .* learning_rate'):
        learner.update(batch_of(policy), seed=0)


def test_too_little_memory_is_one_line_that_says_what_to_lower():
    """A run goes on with a smaller micro-batch."""

    class Large(ToyPolicy):
        def evaluate(self, observations, tokens, *, temperature):
            raise torch.OutOfMemoryError('CUDA out of memory. Tried to allocate 2.00 GiB.')

    policy = Large()
    learner = GrpoLearner(policy, GrpoConfig(course_coefficient=0.0, micro_batch=8))
    with pytest.raises(UserError, match='micro_batch=8 with micro_tokens=0; give less') as raised:
        learner.update(batch_of(policy), seed=0)
    assert '\n' not in str(raised.value)


def test_a_reference_holds_the_policy_back():
    """With a KL coefficient the divergence from the reference is logged and stays smaller."""
    divergence = {}
    for coefficient in (1e-9, 10.0):
        policy = ToyPolicy()
        config = GrpoConfig(
            course_coefficient=0.0,
            learning_rate=3e-3,
            epochs=20,
            kl_coefficient=coefficient,
            clip_low=1,
            clip_high=9,
        )
        learner = GrpoLearner(policy, config, reference=ToyPolicy())
        learner.update(batch_of(policy), seed=0)
        divergence[coefficient] = learner.update(batch_of(policy), seed=0).reference_kl
    assert 0.0 < divergence[10.0] < 0.5 * divergence[1e-9]


def test_frozen_parameters_stay():
    """Only what is left moves, only that is saved, and an unknown name is refused."""
    policy = ToyPolicy()
    before = {name: value.clone() for name, value in policy.module.named_parameters()}
    learner = GrpoLearner(
        policy, GrpoConfig(course_coefficient=0.0, frozen=('0',), learning_rate=1e-2)
    )
    learner.update(batch_of(policy), seed=0)
    moved = {n for n, v in policy.module.named_parameters() if not torch.equal(v, before[n])}
    assert moved == set(learner.parameters) == {'2.weight', '2.bias'}
    with pytest.raises(UserError, match='choose from 0, 2'):
        GrpoLearner(policy, GrpoConfig(course_coefficient=0.0, frozen=('cameras',)))
    with pytest.raises(UserError, match='nothing to train'):
        GrpoLearner(policy, GrpoConfig(course_coefficient=0.0, frozen=('0', '2')))


def test_the_default_freezes_the_cameras_of_a_policy_that_has_them():
    """A kind of one's own need not name its parts as the shipped policy does: all of it learns."""
    config = GrpoConfig(course_coefficient=0.0)
    assert len(GrpoLearner(ToyPolicy(), config).parameters) == 4
    policy = ToyPolicy()
    policy.module.add_module('cameras', torch.nn.Linear(1, 1))
    learner = GrpoLearner(policy, config)
    assert set(learner.parameters) == {'0.weight', '0.bias', '2.weight', '2.bias'}
    assert not policy.module.cameras.weight.requires_grad
    with pytest.raises(UserError, match="frozen='cameras' names no parameter; choose from 0, 2"):
        GrpoLearner(ToyPolicy(), GrpoConfig(course_coefficient=0.0, frozen=('0', 'cameras')))


def test_seeds_of_chunks_are_those_of_the_graph():
    """A rollout samples what chunk_seed(run, episode, chunk) says, and nothing else."""
    policy = ToyPolicy()
    episode = rollouts(policy, 1)[0]
    second = episode.chunks[1]
    again = policy.act(
        [second.observation], temperature=TEMPERATURE, seeds=[chunk_seed(3, 'r000', 1)]
    )
    np.testing.assert_array_equal(again.tokens[0], second.tokens)
