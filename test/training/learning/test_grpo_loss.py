"""The loss of a batch of tokens against values worked by hand."""

from __future__ import annotations

import math

import pytest
import torch

from smoothvla_ros.training.learning.grpo_loss import grpo_loss, k3_divergence


def one_token(ratio: float, advantage: float, **settings):
    """The loss and its gradient for one token with a given ratio."""
    log_prob = torch.tensor([[[math.log(ratio)]]], requires_grad=True)
    loss, sums = grpo_loss(
        log_prob,
        torch.zeros(1, 1, 1),
        torch.zeros(1, 1, 1),
        torch.full((1, 1, 1), advantage),
        torch.ones(1, 1, 1, dtype=torch.bool),
        clip_low=0.2,
        clip_high=0.28,
        **settings,
    )
    loss.backward()
    return float(loss.detach()), float(log_prob.grad), sums


@pytest.mark.parametrize(
    ('ratio', 'advantage', 'loss', 'flows'),
    [
        (1.0, 1.0, -1.0, True),
        (1.27, 1.0, -1.27, True),
        (1.5, 1.0, -1.28, False),
        (0.5, 1.0, -0.5, True),
        (0.5, -1.0, 0.8, False),
        (0.81, -1.0, 0.81, True),
        (1.5, -1.0, 1.5, True),
    ],
)
def test_the_clip_is_asymmetric_and_pessimistic(ratio, advantage, loss, flows):
    """0.2 down, 0.28 up, and only in the direction that the advantage already pushes."""
    value, gradient, sums = one_token(ratio, advantage)
    assert value == pytest.approx(loss, rel=1e-6)
    assert (gradient != 0.0) is flows
    assert sums.clipped == int(not flows)


def test_invalid_tokens_do_not_count_whatever_they_hold():
    """NaN and infinity beyond the mask reach neither the loss nor a gradient nor a log."""
    log_probs = torch.tensor([[[0.0], [float('nan')]]], requires_grad=True)
    junk = torch.tensor([[[0.0], [float('inf')]]])
    loss, sums = grpo_loss(
        log_probs,
        junk,
        junk,
        torch.tensor([[[2.0], [float('nan')]]]),
        torch.tensor([[[True], [False]]]),
        clip_low=0.2,
        clip_high=0.28,
        kl_coefficient=1.0,
        reference_log_probs=junk,
    )
    loss.backward()
    assert loss.item() == -2.0
    assert log_probs.grad.flatten().tolist() == [-2.0, 0.0]
    assert (sums.tokens, sums.entropy, sums.ratio_drift) == (1, 0.0, 0.0)


def test_k3_is_unbiased_and_never_negative():
    """Its expectation under the policy is the divergence of two categorical distributions."""
    policy = torch.tensor([0.2, 0.5, 0.3], dtype=torch.float64)
    other = torch.tensor([0.4, 0.4, 0.2], dtype=torch.float64)
    estimates = k3_divergence(policy.log(), other.log())
    expected = (policy * (policy / other).log()).sum()
    assert (estimates >= 0).all()
    assert float((policy * estimates).sum()) == pytest.approx(float(expected), rel=1e-12)


def test_the_policys_divergence_is_from_the_one_that_sampled():
    """k3 of tokens that the old policy drew: r - 1 - log r, r of the new one over the old."""
    _, _, sums = one_token(1.2, 1.0)
    assert sums.policy_divergence == pytest.approx(0.2 - math.log(1.2), rel=1e-5)


def test_the_reference_pulls_back():
    """With the KL term a token that became more likely than under the reference is pushed down."""
    _, free, _ = one_token(1.0, 0.0)
    _, held, sums = one_token(
        1.0, 0.0, kl_coefficient=0.5, reference_log_probs=torch.full((1, 1, 1), -1.0)
    )
    assert free == 0.0
    assert held > 0.0
    assert sums.reference_divergence == pytest.approx(math.exp(-1.0))


def test_the_entropy_bonus_rewards_entropy():
    """The loss falls by the coefficient times the entropy of valid tokens."""
    entropy = torch.tensor([[[2.0]]], requires_grad=True)
    zero = torch.zeros(1, 1, 1)
    mask = torch.ones(1, 1, 1, dtype=torch.bool)
    loss, sums = grpo_loss(
        zero, entropy, zero, zero, mask, clip_low=0.2, clip_high=0.28, entropy_coefficient=0.1
    )
    loss.backward()
    assert float(entropy.grad) == pytest.approx(-0.1)
    assert sums.entropy == 2.0
