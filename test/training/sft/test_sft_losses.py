"""The loss of supervised fine-tuning, against numbers worked by hand."""

import torch

from smoothvla_ros.training.sft.losses import action_loss, goal_loss


def gaussian_logits(action: float, bins: int = 256, deviation_bins: float = 2.0) -> torch.Tensor:
    """Return log-densities of a Gaussian at the bin centres, [bins]."""
    centres = torch.linspace(-1, 1, bins)
    return -0.5 * ((centres - action) / (deviation_bins * 2 / (bins - 1))) ** 2


def test_the_demonstrated_action_minimises_the_loss():
    """Of Gaussians as wide as the target, the one at the action is best: its entropy."""
    action = torch.full((1, 1, 1), 0.123)
    valid = torch.ones(1, 1, dtype=torch.bool)
    losses = {
        mean: float(action_loss(gaussian_logits(mean)[None, None, None], action, valid, 2.0))
        for mean in (0.09, 0.115, 0.123, 0.131, 0.16)
    }
    assert min(losses, key=losses.get) == 0.123
    entropy = torch.distributions.Categorical(logits=gaussian_logits(0.123)).entropy()
    assert abs(losses[0.123] - float(entropy)) < 1e-5


def test_masked_steps_do_not_count():
    """What lies beyond a demonstration's end changes neither loss nor gradient."""
    logits = torch.randn(2, 8, 7, 16, generator=torch.Generator().manual_seed(0))
    logits.requires_grad_()
    actions = torch.zeros(2, 8, 7)
    valid = torch.ones(2, 8, dtype=torch.bool)
    valid[1, 3:] = False
    loss = action_loss(logits, actions, valid, 2.0)
    loss.backward()
    assert not logits.grad[1, 3:].any()
    actions[1, 3:] = 0.9
    assert torch.equal(loss, action_loss(logits, actions, valid, 2.0))


def test_goal_loss_ignores_missing_labels():
    """Two valid entries: one 0.05 off (quadratic), one 1.0 off (linear)."""
    estimate = torch.tensor([[0.05, 1.0, 7.0]])
    valid = torch.tensor([[True, True, False]])
    loss = goal_loss(estimate, torch.zeros(1, 3), valid)
    assert abs(float(loss) - (0.5 * 0.05**2 / 0.1 + 1.0 - 0.05) / 2) < 1e-6
