"""What the numbers of an action mean, as a motion of the joints that goes on from step to step."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import Protocol, TypeVar

import numpy as np

Result = TypeVar('Result')


class Unreachable(Exception):
    """An action leads to where the arm cannot go; the message says where to."""


@dataclass(frozen=True)
class Knot:
    """Where the joints [n] rad are to be, and how fast, rad/s [n]; an action space adds to it."""

    joints: np.ndarray
    velocities: np.ndarray


class ActionSpace(Protocol):
    """Turns actions into knots, each from the one before: never from where the arm was measured.

    An error of the arm's own controller is thus not added to the motion at every chunk.
    """

    @property
    def name(self) -> str:
        """The value of ActionChunk.action_space."""
        ...

    @property
    def dimension(self) -> int:
        """Numbers of an action, the gripper's included, which is the last one."""
        ...

    def at_rest(self, joints: np.ndarray) -> Knot:
        """Return the knot of an arm that stands at `joints` [n] rad."""
        ...

    def require_reachable(self, knot: Knot, actions: np.ndarray) -> None:
        """Raise Unreachable where actions [k, dimension] from `knot` on lead out of reach."""
        ...

    def first_target(self, knot: Knot, actions: np.ndarray) -> np.ndarray:
        """Return the joints [n] rad that actions [k, dimension] from `knot` on begin with."""
        ...

    def after(
        self, knot: Knot, action: np.ndarray | None, dt: float
    ) -> Generator[None, None, Knot]:
        """Return the knot at the end of an action [dimension] of dt seconds.

        None: nothing is commanded any more, and the motion comes to rest by itself.  A generator,
        so that who has little time at once does the work in parts; `completed` does all of it.
        Raises Unreachable.
        """
        ...

    def between(self, start: Knot, stop: Knot, fraction: float, dt: float) -> Knot:
        """Return the knot at `fraction` in [0, 1] of an action of dt seconds."""
        ...


def completed(work: Generator[None, None, Result]) -> Result:
    """Do all that is left of a work in parts, and return what it returns."""
    while True:
        try:
            next(work)
        except StopIteration as done:
            result: Result = done.value
            return result


def hermite(start: Knot, stop: Knot, fraction: float, dt: float) -> tuple[np.ndarray, np.ndarray]:
    """Return joints and velocities [n] on the cubic between two knots that are dt seconds apart."""
    curve = cubic(start.joints, start.velocities, stop.joints, stop.velocities, dt)
    return at_fraction(curve, fraction, dt)


def cubic(p0: np.ndarray, v0: np.ndarray, p1: np.ndarray, v1: np.ndarray, dt: float) -> np.ndarray:
    """Return the cubic with these ends, dt seconds apart: [4, n], powers of u in [0, 1]."""
    difference = p1 - p0
    slope = dt * v0
    twist = slope + dt * v1 - 2 * difference
    curve = np.empty((4, len(p0)))
    curve[0], curve[1], curve[2], curve[3] = p0, slope, difference - slope - twist, twist
    return curve


def at_fraction(curve: np.ndarray, u: float, dt: float) -> tuple[np.ndarray, np.ndarray]:
    """Return value and derivative [n] at u in [0, 1] of a `cubic` that takes dt seconds."""
    powers = np.array([[1.0, u, u * u, u * u * u], [0.0, 1.0 / dt, 2 * u / dt, 3 * u * u / dt]])
    value, derivative = powers @ curve
    return value, derivative
