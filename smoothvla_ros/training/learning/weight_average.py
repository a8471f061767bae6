"""The mean of a policy's weights over its last updates.

The weights that learn wander: each update follows a gradient that is mostly noise, and what it adds
to the most probable action no rollout shows, since rollouts are drawn. Their mean has less of that
(Polyak and Juditsky, 1992; Izmailov et al., 2018).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch


class WeightAverage:
    """An exponential mean; as long as there were few updates, the plain mean of all."""

    def __init__(self, parameters: Mapping[str, torch.nn.Parameter], updates: int) -> None:
        """updates: about how many of the last ones count, 1 or more; 1 is the last one alone."""
        self._parameters = parameters
        self._updates = updates
        self.count = 0
        self.means: dict[str, torch.Tensor] = {}

    @torch.no_grad()
    def add(self) -> None:
        """Take the weights as they are now."""
        self.count += 1
        share = 1.0 / min(self.count, self._updates)
        for name, parameter in self._parameters.items():
            if name in self.means:
                self.means[name].lerp_(parameter, share)
            else:
                self.means[name] = parameter.detach().clone()

    @torch.no_grad()
    def restore(self, count: int, means: Mapping[str, torch.Tensor]) -> None:
        """Go on from what `count` and `means` were."""
        self.count = count
        self.means = {name: value.clone() for name, value in means.items()}

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Have the mean in the place of the weights for a while."""
        own = {name: self._parameters[name].detach().clone() for name in self.means}
        self._copy(self.means)
        try:
            yield
        finally:
            self._copy(own)

    @torch.no_grad()
    def _copy(self, values: Mapping[str, torch.Tensor]) -> None:
        for name, value in values.items():
            self._parameters[name].copy_(value)
