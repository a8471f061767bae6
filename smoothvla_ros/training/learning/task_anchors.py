"""How strongly each task is held to the starting policy's course: by the successes that it lost.

One strength for all tasks is too much for most and too little for a few: a plate that is pushed
has to be met within millimetres, a bowl that is set down has not. So `course_coefficient` is where
every task begins, and a task that succeeds less than the starting policy did is held by more, until
it succeeds again. That is the multiplier of a constraint, success of each task no lower than at the
start, found by dual ascent (as in Lagrangian methods of constrained reinforcement learning).
"""

from __future__ import annotations

import math

from smoothvla_ros.training.rewards.outcomes import SuccessCount

MOST = 16.0
"""Largest factor. Well below it the clipped gradient is nearly the anchor's alone already: what
was lost comes first, and what is smooth waits."""


def tightened(factor: float, group: SuccessCount, start: SuccessCount, gain: float) -> float:
    """Return the next factor of a task, by what its latest group lost; 1 or more, `MOST` at most.

    group, start: sampled rollouts, now and of the starting policy.
    What is lost is start - group - `standard_error` of that difference: a few rollouts do not tell
    0.95 from 1, and what was measured once, on a few, must not hold a task for good.
    gain: a group that lost all of it multiplies the factor by exp(gain), nearly.
    A task that the starting policy did not solve is left as it is: there is nothing to hold.
    """
    if not start.succeeded:
        return factor
    lost = start.share - group.share - standard_error(group, start)
    return min(max(factor * math.exp(gain * lost), 1.0), MOST)


def standard_error(one: SuccessCount, other: SuccessCount) -> float:
    """Return that of the difference of two shares of one rate, which both together estimate.

    The rate is taken with one success and one failure more than were seen (Laplace): of eight
    successes in eight nobody knows that the next cannot fail.
    """
    total = one.rollouts + other.rollouts
    rate = (one.succeeded + other.succeeded + 1) / (total + 2)
    return math.sqrt(rate * (1.0 - rate) * (1.0 / one.rollouts + 1.0 / other.rollouts))
