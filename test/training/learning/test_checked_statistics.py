"""A policy of one's own whose `evaluate` is not what an update needs."""

from __future__ import annotations

import dataclasses
import types

import pytest
import torch
from test_learner import batch_of
from toy_world import ToyPolicy

from smoothvla_ros.errors import UserError
from smoothvla_ros.policies.policy import TokenStatistics
from smoothvla_ros.training.config import GrpoConfig
from smoothvla_ros.training.learning.checked_statistics import (
    checked_expectation,
    checked_statistics,
)
from smoothvla_ros.training.learning.learner import GrpoLearner

SHAPE = (2, 4, 7)


def statistics(**changes) -> TokenStatistics:
    """What an update can use, or one thing else."""
    right = {name: torch.zeros(SHAPE) for name in ('log_probs', 'entropy', 'expected_actions')}
    right['log_probs'].requires_grad_()
    return TokenStatistics(**(right | changes))


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        ({'log_probs': torch.zeros(2, 4, 1)}, r'log_probs of shape \[2, 4, 1\] .* \[2, 4, 7\]'),
        ({'entropy': torch.zeros(2)}, r'entropy of shape \[2\]'),
        ({'log_probs': None}, 'log_probs as NoneType; give a tensor'),
        ({'log_probs': torch.zeros(SHAPE).numpy()}, 'log_probs as ndarray; give a tensor'),
        ({'entropy': torch.zeros(SHAPE, dtype=torch.int64)}, r'entropy as torch\.int64'),
        ({'log_probs': torch.zeros(SHAPE)}, 'log_probs without a gradient'),
    ],
)
def test_statistics_that_cannot_be_learned_from_are_named(changes, message):
    """Broadcast they train something else; the rest are tracebacks out of torch."""
    right = statistics()
    assert checked_statistics(right, SHAPE, learns=True) is right
    with pytest.raises(UserError, match=message):
        checked_statistics(statistics(**changes), SHAPE, learns=True)


def test_a_reference_needs_no_gradient():
    """It is frozen."""
    frozen = statistics(log_probs=torch.zeros(SHAPE))
    checked_statistics(frozen, SHAPE, learns=False)
    assert checked_expectation(frozen, SHAPE, learns=False) is frozen.expected_actions


@pytest.mark.parametrize(
    ('expected', 'message'),
    [
        (None, 'returned no expected_actions.* or give course_coefficient=0'),
        (torch.zeros(2, 4, 6), r'expected_actions of shape \[2, 4, 6\]'),
        (torch.ones(SHAPE), 'expected_actions without a gradient.* course_coefficient=0'),
    ],
)
def test_an_expectation_that_cannot_be_held_to_a_course_is_refused(expected, message):
    """A policy that does not say where its chunks lead says None, and is not taken for one."""
    with pytest.raises(UserError, match=message):
        checked_expectation(statistics(expected_actions=expected), SHAPE, learns=True)


def test_an_expectation_may_be_zero():
    """Tokens that are expected to do nothing are an answer like any other."""
    still = torch.zeros(SHAPE, requires_grad=True)
    assert checked_expectation(statistics(expected_actions=still), SHAPE, learns=True) is still


def test_what_leaves_the_expectation_out_is_usable_without_a_course():
    """The third field may be missing, also from a class of one's own."""
    own = types.SimpleNamespace(
        log_probs=torch.zeros(SHAPE, requires_grad=True), entropy=torch.zeros(SHAPE)
    )
    for said in (own, TokenStatistics(own.log_probs, own.entropy)):
        assert checked_statistics(said, SHAPE, learns=True) is said
        with pytest.raises(UserError, match='returned no expected_actions'):
            checked_expectation(said, SHAPE, learns=True)


@pytest.mark.parametrize('mistake', ['another temperature', 'log-probabilities of 0'])
def test_a_policy_that_judges_otherwise_than_it_decided_does_not_learn(mistake):
    """Every ratio would be of another distribution; not a weight changes."""
    policy = ToyPolicy()
    batch = batch_of(policy)
    if mistake == 'another temperature':
        batch = dataclasses.replace(batch, temperature=0.3)
    else:
        batch = dataclasses.replace(batch, log_probs=0.0 * batch.log_probs)
    learner = GrpoLearner(policy, GrpoConfig(course_coefficient=0.0))
    before = [parameter.clone() for parameter in policy.module.parameters()]
    with pytest.raises(UserError, match='evaluate must return the log-probabilities that act gave'):
        learner.update(batch, 0)
    for parameter, old in zip(policy.module.parameters(), before, strict=True):
        assert torch.equal(parameter, old)


def test_rounding_is_allowed():
    """A policy that was compiled, or saved in half precision, judges up to 0.05 off."""
    policy = ToyPolicy()
    batch = batch_of(policy)
    batch = dataclasses.replace(batch, log_probs=batch.log_probs - 0.05)
    figures = GrpoLearner(policy, GrpoConfig(course_coefficient=0.0)).update(batch, 0)
    assert figures.first_ratio_drift == pytest.approx(0.051, abs=0.002)
