"""Tokens stand for actions to half a bin, and a seed alone decides what is sampled."""

import numpy as np
import pytest
import torch

from smoothvla_ros.errors import UserError
from smoothvla_ros.policies.action_tokens import ActionBins, choose_tokens
from smoothvla_ros.policies.seeds import chunk_seed


def test_round_trip_is_within_half_a_bin():
    """Any action comes back to half a bin; beyond the range it is clipped; the gripper is exact."""
    bins = ActionBins(256)
    actions = np.linspace(-1.2, 1.2, 999)
    restored = bins.decode(bins.encode(actions))
    assert np.abs(restored - np.clip(actions, -1, 1)).max() <= bins.width / 2 + 1e-12
    assert bins.decode(bins.encode(np.array([-1.0, 1.0]))).tolist() == [-1.0, 1.0]


@pytest.mark.parametrize('token', [-1, 256])
def test_token_out_of_range_is_refused(token: int):
    """A token that stands for no action is an error, not another action."""
    with pytest.raises(ValueError, match='256'):
        ActionBins(256).decode(np.array([token]))


def test_sampled_frequencies_are_the_probabilities():
    """Over many seeds, tokens come as often as the softmax at the temperature says."""
    logits = torch.tensor([0.0, 1.0, -1.0, 2.0])
    expected = torch.softmax(logits / 0.7, -1).numpy()
    rows = logits.expand(100, 8, 7, 4)
    tokens, log_probs = choose_tokens(rows, 0.7, [chunk_seed(0, 'e', i) for i in range(100)])
    counts = np.bincount(tokens.numpy().ravel(), minlength=4) / tokens.numel()
    assert np.abs(counts - expected).max() < 4 * np.sqrt(0.25 / tokens.numel())
    assert np.allclose(log_probs.numpy(), np.log(expected)[tokens.numpy()], atol=1e-5)


def test_temperature_zero_is_the_most_likely_token():
    """Greedy ignores the seed and reports log-probabilities at temperature 1."""
    logits = torch.randn(2, 8, 7, 16, generator=torch.Generator().manual_seed(0))
    tokens, log_probs = choose_tokens(logits, 0.0, [1, 2])
    assert torch.equal(tokens, logits.argmax(-1))
    assert torch.allclose(log_probs, torch.log_softmax(logits, -1).amax(-1))


@pytest.mark.parametrize('temperature', [-0.1, float('nan'), float('inf')])
def test_bad_temperature_is_refused(temperature: float):
    """A temperature that is no temperature gets one line with its value."""
    with pytest.raises(UserError, match='temperature='):
        choose_tokens(torch.zeros(1, 1, 1, 4), temperature, [0])


@pytest.mark.parametrize('temperature', [0.0, 0.7])
@pytest.mark.parametrize('value', [float('nan'), float('inf')])
def test_logits_that_make_no_distribution_are_refused(temperature: float, value: float):
    """One bad logit among good ones: an error instead of an action at the end of the range."""
    logits = torch.zeros(2, 1, 3, 4)
    logits[1, 0, 2, 1] = value
    with pytest.raises(UserError, match='not numbers'):
        choose_tokens(logits, temperature, [0, 1])


def test_a_bin_that_cannot_be_is_no_error():
    """A logit of -inf is a probability of 0."""
    logits = torch.tensor([-float('inf'), 0.0]).expand(1, 1, 1, 2)
    assert choose_tokens(logits, 0.0, [0])[0].tolist() == [[[1]]]


def test_chunk_seeds_differ_in_every_argument():
    """Run, episode and chunk each change the seed, and joining them cannot collide."""
    seeds = {chunk_seed(r, e, c) for r in range(3) for e in ('a', 'b', 'a1') for c in range(12)}
    assert len(seeds) == 3 * 3 * 12
    assert chunk_seed(1, 'i0-g1-r2', 3) == chunk_seed(1, 'i0-g1-r2', 3)
    assert all(0 <= seed < 2**63 for seed in seeds)
