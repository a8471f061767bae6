"""The pull back to the starting policy's pace, against the penalty that it stands for."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from test_learner import batch_of
from toy_world import ToyPolicy

from smoothvla_ros.training.config import GrpoConfig
from smoothvla_ros.training.learner import GrpoLearner
from smoothvla_ros.training.pace_anchor import (
    MotionSums,
    part_of,
    pull,
    relative_motion,
    rest_motion,
)

COEFFICIENT = 5.0


def some_actions(seed: int) -> torch.Tensor:
    """Float64 [4, 3, 7]."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(4, 3, 7, generator=generator, dtype=torch.float64)


def test_the_pull_is_the_gradient_of_the_penalty():
    """c / 2 times the mean over all motion of max(0, 1 - s)^2, s the pace of each part."""
    reference = some_actions(0)
    speed = torch.tensor([0.9, 0.8, 0.7, 1.2], dtype=torch.float64)
    expected = (speed[:, None, None] * reference).requires_grad_()
    mask = torch.ones(4, 3, 7, dtype=torch.bool)
    mask[1, 2:] = False
    phases, rest = np.array([0.0, 0.05, 0.5, 0.99]), 0.4

    valid, r = mask[..., 0], reference[..., :3]
    size = (r * r).sum(-1) + rest**2
    along = torch.where(valid, (expected[..., :3] * r).sum(-1) / size, 0.0).sum(-1)
    own = torch.where(valid, (r * r).sum(-1) / size, 0.0).sum(-1)
    penalty = torch.zeros((), dtype=torch.float64)
    for rows in ([0, 1], [2], [3]):
        pace = along[rows].sum() / own[rows].sum()
        share = own[rows].sum() / own.sum()
        penalty = penalty + COEFFICIENT / 2.0 * share * (1.0 - pace).clamp(min=0.0) ** 2
    (wanted,) = torch.autograd.grad(penalty, expected)

    sums = MotionSums()
    moved = relative_motion(expected, reference, mask, rest)
    sums.add(phases, moved.detach().numpy(), relative_motion(r, r, mask, rest).numpy())
    assert sums.shortfall[[5, 9]] == pytest.approx([0.3, 0.0])
    weights = torch.from_numpy(pull(sums, COEFFICIENT, valid_tokens=50)[part_of(phases)])
    (pulled,) = torch.autograd.grad(-(weights * moved).sum() / 50, expected)
    torch.testing.assert_close(pulled, wanted)


def test_only_translation_of_executed_steps_counts():
    """Rotation, gripper and whatever was never executed, NaN included, are left out."""
    reference, mask = some_actions(0), torch.ones(4, 3, 7, dtype=torch.bool)
    mask[0] = False
    other = reference.clone()
    other[..., 3:] = 7.0
    other[0] = float('nan')
    other.requires_grad_()
    same = relative_motion(reference, reference, mask, 0.4)
    assert torch.equal(relative_motion(other, other.detach(), mask, 0.4), same)
    (gradient,) = torch.autograd.grad(relative_motion(other, reference, mask, 0.4).sum(), other)
    assert torch.isfinite(gradient).all()
    assert not gradient[0].any()


def test_slow_steps_weigh_as_much_as_fast_ones_and_rest_does_not():
    """Half the speed in a slow step costs as much time as in a fast one."""
    reference = torch.zeros(1, 3, 7)
    reference[0, :, 0] = torch.tensor([1.0, 0.2, 0.0])
    mask = torch.ones(1, 3, 7, dtype=torch.bool)
    rest = rest_motion(reference.numpy(), mask.numpy())
    assert rest == pytest.approx(0.25 * np.sqrt((1.0 + 0.04) / 3.0))

    def lost(step: int) -> float:
        slower = reference.clone()
        slower[0, step] *= 0.5
        whole = relative_motion(reference, reference, mask, rest)
        return float(whole - relative_motion(slower, reference, mask, rest))

    assert 0.5 * lost(0) < lost(1) < lost(0)
    assert lost(2) == 0.0


def test_where_nothing_ever_moves_nothing_is_asked_for():
    """A reference at rest everywhere: no motion, and no 0 / 0 in the gradient."""
    still, mask = torch.zeros(1, 3, 7), torch.ones(1, 3, 7, dtype=torch.bool)
    expected = some_actions(0)[:1].float().requires_grad_()
    moved = relative_motion(expected, still, mask, rest_motion(still.numpy(), mask.numpy()))
    (gradient,) = torch.autograd.grad(moved.sum(), expected)
    assert not moved.any()
    assert torch.equal(gradient, torch.zeros_like(gradient))


def test_a_policy_that_keeps_its_pace_is_not_pulled():
    """The penalty is one-sided, and a motionless reference asks for nothing."""
    sums = MotionSums()
    sums.add(np.array([0.1, 0.6]), np.array([1.0, 1.3]), np.array([1.0, 1.0]))
    assert not pull(sums, COEFFICIENT, 100).any()
    assert not pull(MotionSums(), COEFFICIENT, 100).any()


def test_a_quick_part_does_not_pay_for_a_slow_one():
    """What a learned trade looks like: the pace of the whole is kept, and the slow part pulled."""
    sums = MotionSums()
    sums.add(np.array([0.1, 0.6]), np.array([1.1, 0.9]), np.array([1.0, 1.0]))
    assert sums.pace == pytest.approx(1.0)
    assert np.flatnonzero(pull(sums, COEFFICIENT, 100)).tolist() == [6]


def slowing_batch(policy: ToyPolicy):
    """Toy rollouts whose advantages praise every token that moves its joint less."""
    batch = batch_of(policy)
    middle = (batch.tokens.max() - batch.tokens.min()) / 2.0
    praise = 1.0 - np.abs(batch.tokens - middle) / middle * 2.0
    batch.advantages[:] = praise.astype(np.float32)
    return batch


def learner_on(policy: ToyPolicy, **settings) -> GrpoLearner:
    """A learner held to a toy policy of the same weights."""
    values = {'learning_rate': 3e-3, 'clip_low': 1.0, 'clip_high': 9.0, **settings}
    return GrpoLearner(policy, GrpoConfig(**values), reference=ToyPolicy())


def test_a_reward_for_slowness_does_not_slow_the_policy_down():
    """Thirty updates that pay for small actions: without the anchor the motion fades."""
    pace = {}
    for coefficient in (500.0, 1e-6):
        policy = ToyPolicy()
        learner = learner_on(policy, pace_coefficient=coefficient)
        figures = [learner.update(slowing_batch(policy), seed) for seed in range(30)]
        assert figures[0].pace == pytest.approx(1.0, abs=1e-6)
        pace[coefficient] = figures[-1].pace
    assert pace[1e-6] < 0.8
    assert pace[500.0] > 0.97


def test_micro_batches_do_not_change_the_pull():
    """Linear once the pace is known: 1, 5 or all chunks a pass give the same gradient."""
    vectors = []
    for micro_batch in (1, 5, 1000):
        policy = ToyPolicy(1)
        learner = learner_on(policy, micro_batch=micro_batch, minibatches=1, learning_rate=0.0)
        learner.update(slowing_batch(ToyPolicy(1)), seed=0)
        vectors.append(torch.cat([p.grad.flatten() for p in learner.parameters.values()]))
    for other in vectors[1:]:
        torch.testing.assert_close(other, vectors[0], rtol=1e-4, atol=1e-7)


def test_other_rewards_go_without():
    """`binary` is what the field calls standard RL, and needs no reference."""
    policy = ToyPolicy()
    figures = GrpoLearner(policy, GrpoConfig(reward='binary')).update(batch_of(policy), seed=0)
    assert np.isnan(figures.pace)
    with pytest.raises(ValueError, match='reference'):
        GrpoLearner(policy, GrpoConfig())
