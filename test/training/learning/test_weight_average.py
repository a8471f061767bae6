"""The mean of the weights: by hand, taken back, and as a run goes on."""

from __future__ import annotations

import pytest
import torch

from smoothvla_ros.training.learning.weight_average import WeightAverage

VALUES = [4.0, 8.0, 0.0, 2.0, 10.0]
# The plain mean of the first two, then half of each new one.
BY_HAND = [4.0, 6.0, 3.0, 2.5, 6.25]


def average_of(count: int) -> tuple[torch.nn.Parameter, WeightAverage, list[float]]:
    parameter = torch.nn.Parameter(torch.zeros(1))
    average, means = WeightAverage({'w': parameter}, 2), []
    for value in VALUES[:count]:
        parameter.data.fill_(value)
        average.add()
        means.append(float(average.means['w']))
    return parameter, average, means


def test_it_is_the_mean_of_about_so_many_of_the_last():
    """Exponential once there were as many."""
    assert average_of(5)[2] == pytest.approx(BY_HAND)


def test_the_weights_that_learn_come_back():
    """Also where something goes wrong while the mean is in their place."""
    parameter, average, _ = average_of(3)
    found = []

    def fail() -> None:
        with average.applied():
            found.append(float(parameter.detach()))
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert found == [BY_HAND[2]]
    assert float(parameter.detach()) == VALUES[2]


def test_it_goes_on_from_what_was_kept():
    """Its count and means are all that it is."""
    _, before, _ = average_of(3)
    parameter = torch.nn.Parameter(torch.tensor([VALUES[3]]))
    average = WeightAverage({'w': parameter}, 2)
    average.restore(before.count, before.means)
    average.add()
    assert float(average.means['w']) == BY_HAND[3]
    assert float(before.means['w']) == BY_HAND[2]


def test_without_an_update_nothing_changes():
    """A run of no iterations leaves the starting policy."""
    parameter = torch.nn.Parameter(torch.ones(1))
    with WeightAverage({'w': parameter}, 2).applied():
        assert float(parameter.detach()) == 1.0
