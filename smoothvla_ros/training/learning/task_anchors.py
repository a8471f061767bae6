"""How strongly each task is held to the starting policy's course: by the successes that it lost.

One strength for all tasks is too much for most and too little for a few: a plate that is pushed
has to be met within millimetres, a bowl that is set down has not. So `course_coefficient` is where
every task begins, and a task that succeeds less than the starting policy did is held by more, until
it succeeds again. That is the multiplier of a constraint, success of each task no lower than at the
start, found by dual ascent (as in Lagrangian methods of constrained reinforcement learning).
"""

from __future__ import annotations

import math

TOLERANCE = 0.05
"""Share of successes that a task may lose for good: eight rollouts do not tell 0.95 from 1."""

MOST = 32.0
"""Largest factor: beyond it the clipped gradient is the anchor's alone."""


def tightened(factor: float, success: float, starting: float, gain: float) -> float:
    """Return the next factor of a task whose group succeeded so often; 1 or more, `MOST` at most.

    success, starting: share of the group's rollouts that succeeded, and of the starting policy's.
    gain: a group that has lost all its successes multiplies the factor by about exp(gain); one that
    has lost none divides it by exp(gain * TOLERANCE).
    A task that the starting policy did not solve is left as it is: there is nothing to hold.
    """
    if starting <= 0.0:
        return factor
    lost = starting - TOLERANCE - success
    return min(max(factor * math.exp(gain * lost), 1.0), MOST)
