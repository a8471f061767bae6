"""The pull back to the starting policy's course, against the penalty that it stands for."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from test_learner import batch_of
from toy_world import ToyOfZeros, ToyPolicy, ToyWithoutCourse

from smoothvla_ros.errors import UserError
from smoothvla_ros.training.config import GrpoConfig
from smoothvla_ros.training.learning.course_anchor import (
    CourseSums,
    deviation,
    gripper_deviation,
    penalty,
    rest_displacement,
)
from smoothvla_ros.training.learning.learner import GrpoLearner

REST = 0.4


def some_actions(seed: int) -> torch.Tensor:
    """Float64 [4, 3, 7]."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(4, 3, 7, generator=generator, dtype=torch.float64)


def all_executed() -> torch.Tensor:
    """Bool [4, 3, 7]."""
    return torch.ones(4, 3, 7, dtype=torch.bool)


def test_deviation_against_a_loop_over_the_definition():
    """|sum a - sum r|^2 / (|sum r|^2 + rest^2) over the executed steps' pose, and its sums."""
    expected, reference, mask = some_actions(0), some_actions(1), all_executed()
    mask[1, 2:] = False
    found, sums = deviation(expected, reference, mask, REST)
    weights, along, own = [], [], []
    for row, steps in enumerate((3, 2, 3, 3)):
        a = expected[row, :steps, :6].numpy().sum(axis=0)
        r = reference[row, :steps, :6].numpy().sum(axis=0)
        assert found[row].item() == pytest.approx((a - r) @ (a - r) / (r @ r + REST**2))
        weights.append(7 * steps)
        along.append(a @ r / (r @ r + REST**2))
        own.append(r @ r / (r @ r + REST**2))
    assert sums.tokens == sum(weights)
    assert sums.error == pytest.approx(np.sqrt(np.average(found.numpy(), weights=weights)))
    assert sums.pace == pytest.approx(np.dot(weights, along) / np.dot(weights, own))


def test_a_chunk_may_go_its_own_way_to_the_same_place():
    """What smoothness needs is free: only the sum of a chunk's deltas is held."""
    reference, mask = some_actions(0), all_executed()
    even = reference.mean(dim=1, keepdim=True).expand_as(reference)
    assert float(deviation(even, reference, mask, REST)[0].max()) < 1e-25
    assert float(deviation(even + 0.1, reference, mask, REST)[0].min()) > 1e-3


@pytest.mark.parametrize('drift', ['slower', 'faster', 'aside', 'turned'])
def test_every_kind_of_drift_costs(drift):
    """A pace alone misses three of the four: what led to missed grasps went on too far, and low."""
    reference, mask = torch.zeros(1, 3, 7), torch.ones(1, 3, 7, dtype=torch.bool)
    reference[0, :, 0] = 1.0
    other = reference.clone()
    if drift == 'slower':
        other[0, :, 0] = 0.9
    elif drift == 'faster':
        other[0, :, 0] = 1.1
    else:
        other[0, :, {'aside': 1, 'turned': 4}[drift]] = 0.1
    relative, _ = deviation(other, reference, mask, rest=0.0)
    assert float(relative) == pytest.approx(0.01, rel=1e-5)


def test_neither_gripper_nor_what_was_not_executed_counts_as_way():
    """The gripper, and whatever was never executed, NaN included, are left out."""
    reference, mask = some_actions(0), all_executed()
    mask[0] = False
    other = reference.clone()
    other[..., 6] = 7.0
    other[0] = float('nan')
    other.requires_grad_()
    relative, sums = deviation(other, reference, mask, REST)
    assert not relative.any()
    assert sums.error == 0.0
    (gradient,) = torch.autograd.grad(relative.sum(), other)
    assert torch.isfinite(gradient).all()


def test_a_chunk_that_never_ran_does_not_lower_what_counts_as_rest():
    """Its way of nothing is no short way: the mean is over the executed chunks alone."""
    reference, mask = some_actions(0).numpy(), all_executed().numpy()
    expected = rest_displacement(reference[1:], mask[1:])
    mask[0] = False
    assert rest_displacement(reference, mask) == pytest.approx(expected)


def test_gripper_deviation_against_a_loop_over_the_definition():
    """Mean over the executed steps of half the difference, squared; NaN elsewhere is left out."""
    expected, reference, mask = some_actions(0), some_actions(1), all_executed()
    mask[0] = False
    mask[1, 2:] = False
    expected[~mask] = float('nan')
    expected[..., :6] = float('nan')
    expected.requires_grad_()
    found = gripper_deviation(expected, reference, mask)
    for row, steps in enumerate((0, 2, 3, 3)):
        apart = (expected - reference)[row, :steps, 6].detach().numpy() / 2.0
        assert found[row].item() == pytest.approx((apart**2).mean() if steps else 0.0)
    (gradient,) = torch.autograd.grad(found.sum(), expected)
    assert torch.isfinite(gradient).all()
    assert not gradient[..., :6].any()


def test_closing_early_and_opening_again_do_not_cancel():
    """The sum of a chunk's commands is the same: a gripper is held step by step."""
    reference = torch.zeros(1, 4, 7)
    reference[0, :, 6] = torch.tensor([-1.0, -1.0, 1.0, 1.0])
    mask = torch.ones(1, 4, 7, dtype=torch.bool)
    swapped = reference.flip(dims=(1,))
    assert float(gripper_deviation(swapped, reference, mask)) == 1.0
    assert float(gripper_deviation(reference, reference, mask)) == 0.0


def test_the_penalty_is_the_way_and_weighted_the_gripper():
    """Both are logged unweighted, by executed tokens: a chunk cut short counts for as much less."""
    expected, reference, mask = some_actions(0), some_actions(1), all_executed()
    mask[1, 1:] = False
    way, _ = deviation(expected, reference, mask, REST)
    gripper = gripper_deviation(expected, reference, mask)
    for weight in (0.0, 3.0):
        found, sums = penalty(expected, reference, mask, REST, weight)
        torch.testing.assert_close(found, way + weight * gripper)
        tokens = mask.sum(dim=(1, 2)).numpy()
        wanted = np.sqrt(np.average(gripper.numpy(), weights=tokens))
        assert sums.gripper_error == pytest.approx(wanted)
        assert sums.error == pytest.approx(np.sqrt(np.average(way.numpy(), weights=tokens)))


def test_a_short_chunk_has_to_be_as_precise_as_its_way_is_short_and_one_at_rest_is_not():
    """Near a grasp little is moved, and little is too much; at rest noise is left alone."""
    reference = torch.zeros(3, 2, 7)
    reference[:, :, 0] = torch.tensor([1.0, 0.2, 0.0])[:, None]
    mask = torch.ones(3, 2, 7, dtype=torch.bool)
    rest = rest_displacement(reference.numpy(), mask.numpy())
    assert rest == pytest.approx(0.25 * np.sqrt((4.0 + 0.16) / 3.0))
    relative, _ = deviation(reference + 0.01, reference, mask, rest)
    long, short, none = (float(value) for value in relative)
    assert short > 10.0 * long
    assert short < none < 3.0 * short


def test_where_nothing_ever_moves_there_is_no_division_by_zero():
    """A reference at rest everywhere, and a policy that rests too."""
    still, mask = torch.zeros(1, 3, 7), torch.ones(1, 3, 7, dtype=torch.bool)
    expected = torch.zeros(1, 3, 7, requires_grad=True)
    rest = rest_displacement(still.numpy(), mask.numpy())
    relative, sums = deviation(expected, still, mask, rest)
    (gradient,) = torch.autograd.grad(relative.sum(), expected)
    assert not relative.any()
    assert torch.equal(gradient, torch.zeros_like(gradient))
    assert np.isnan(sums.pace)
    assert rest_displacement(still.numpy(), np.zeros((1, 3, 7), bool)) == 0.0


def test_nothing_measured_is_not_a_number():
    """Where nothing is held to a course, the log must not show a perfect one."""
    assert np.isnan(CourseSums().error)
    assert np.isnan(CourseSums().pace)
    assert np.isnan(CourseSums().gripper_error)


def learner_on(policy: ToyPolicy, **settings) -> GrpoLearner:
    """A learner held to a toy policy of the same weights."""
    values = {'learning_rate': 3e-3, 'clip_low': 1.0, 'clip_high': 9.0, **settings}
    return GrpoLearner(policy, GrpoConfig(**values), reference=ToyPolicy())


def drifting_batch(policy: ToyPolicy, sign: float):
    """Toy rollouts whose advantages praise every token above (or below) the middle bin."""
    batch = batch_of(policy)
    middle = (batch.tokens.max() - batch.tokens.min()) / 2.0
    batch.advantages[:] = (sign * (batch.tokens - middle) / middle).astype(np.float32)
    return batch


@pytest.mark.parametrize('sign', [1.0, -1.0])
def test_a_reward_for_drift_does_not_carry_the_policy_off(sign):
    """Thirty updates that praise one direction: without the anchor the motion goes there."""
    error = {}
    for coefficient in (500.0, 1e-6):
        policy = ToyPolicy()
        learner = learner_on(policy, course_coefficient=coefficient)
        figures = [learner.update(drifting_batch(policy, sign), seed) for seed in range(30)]
        error[coefficient] = figures[-1].course_error
    assert error[1e-6] > 0.3
    assert error[500.0] < 0.05


def test_a_reward_for_closing_does_not_carry_the_gripper_off():
    """Thirty updates that praise closing: without its weight the way alone is held."""
    error = {}
    for weight in (1.0, 0.0):
        policy = ToyPolicy()
        settings = {'course_coefficient': 500.0, 'course_gripper_weight': weight}
        learner = learner_on(policy, **settings)
        for seed in range(30):
            batch = drifting_batch(policy, 1.0)
            batch.advantages[..., :6] = 0.0
            figures = learner.update(batch, seed)
        error[weight] = figures.gripper_error
        assert figures.course_error < 0.05
    assert error[0.0] > 0.05
    assert error[1.0] < 0.005


def test_the_loss_holds_half_the_coefficient_times_the_mean_deviation():
    """With no advantage the penalty is the whole loss, by token, whatever the micro-batches."""
    losses, vectors = [], []
    for micro_batch in (1, 5, 1000):
        policy = ToyPolicy(1)
        settings = {'course_gripper_weight': 3.0, 'minibatches': 1, 'learning_rate': 0.0}
        learner = learner_on(policy, micro_batch=micro_batch, **settings)
        batch = batch_of(ToyPolicy(1))
        batch.advantages[:] = 0.0
        figures = learner.update(batch, seed=0)
        assert min(figures.course_error, figures.gripper_error) > 0.01
        strayed = figures.course_error**2 + 3.0 * figures.gripper_error**2
        wanted = GrpoConfig().course_coefficient / 2.0 * strayed
        losses.append(figures.loss)
        assert figures.loss == pytest.approx(wanted, rel=1e-5)
        vectors.append(torch.cat([p.grad.flatten() for p in learner.parameters.values()]))
    assert losses[1:] == pytest.approx(losses[:1] * 2, rel=1e-5)
    for other in vectors[1:]:
        torch.testing.assert_close(other, vectors[0], rtol=1e-4, atol=1e-7)


def test_other_rewards_go_without():
    """`binary` is what the field calls standard RL, and needs no reference."""
    policy = ToyPolicy()
    figures = GrpoLearner(policy, GrpoConfig(reward='binary')).update(batch_of(policy), seed=0)
    assert np.isnan([figures.course_error, figures.pace, figures.gripper_error]).all()
    with pytest.raises(ValueError, match='reference'):
        GrpoLearner(policy, GrpoConfig())


@pytest.mark.parametrize(
    ('kind', 'reference', 'message'),
    [
        (ToyOfZeros, ToyOfZeros, 'every one of the 44 chunks .* course_coefficient=0'),
        (ToyPolicy, ToyOfZeros, 'every one of the 44 chunks .* course_coefficient=0'),
        (ToyOfZeros, ToyPolicy, 'expected_actions without a gradient'),
        (ToyWithoutCourse, ToyWithoutCourse, 'no expected_actions'),
        (ToyWithoutCourse, ToyPolicy, 'no expected_actions'),
    ],
)
def test_a_policy_that_nothing_holds_to_a_course_does_not_learn(kind, reference, message):
    """It trained without the anchor, and its `course_error` of 0 looked perfect."""
    policy = kind()
    batch = batch_of(policy)
    assert len(batch) == 44
    before = torch.nn.utils.parameters_to_vector(policy.module.parameters()).clone()
    with pytest.raises(UserError, match=message):
        GrpoLearner(policy, GrpoConfig(), reference()).update(batch, seed=0)
    assert torch.equal(before, torch.nn.utils.parameters_to_vector(policy.module.parameters()))


def test_without_the_anchor_a_policy_needs_no_course():
    """A reference for the divergence alone: the same update, and no figures of a course."""
    vectors = []
    for kind in (ToyPolicy, ToyWithoutCourse, ToyOfZeros):
        policy = kind()
        config = GrpoConfig(course_coefficient=0.0, kl_coefficient=0.1)
        figures = GrpoLearner(policy, config, kind()).update(batch_of(policy), seed=0)
        assert np.isnan([figures.course_error, figures.pace, figures.gripper_error]).all()
        vectors.append(torch.nn.utils.parameters_to_vector(policy.module.parameters()))
    assert torch.equal(vectors[0], vectors[1])
    assert torch.equal(vectors[0], vectors[2])


def test_one_chunk_that_is_expected_to_rest_is_held_to_resting():
    """Zeros in some of a batch's chunks are a course: only all of them together leave none."""

    class RestsFirst(ToyPolicy):
        def evaluate(self, observations, tokens, *, temperature):
            said = super().evaluate(observations, tokens, temperature=temperature)
            rests = torch.tensor([seen is first for seen in observations])
            actions = torch.where(rests[:, None, None], 0.0, said.expected_actions)
            return dataclasses.replace(said, expected_actions=actions)

    policy = ToyPolicy()
    batch = batch_of(policy)
    first = batch.observations[0]
    config = GrpoConfig(minibatches=1)
    figures = GrpoLearner(policy, config, RestsFirst()).update(batch, seed=0)
    assert figures.course_error > 0.01
