"""The estimator on a stream of stamped joint samples."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np

from smoothvla_ros.smoothness.episode_jerk import EpisodeJerk, JerkAccumulator
from smoothvla_ros.smoothness.estimator import (
    EstimatorSettings,
    PolynomialFit,
)
from smoothvla_ros.smoothness.tool_jerk import Jacobian, screw_jerk

# A stamp this close to its place on the regular grid counts as on it: at 1 rad/s that displaces a
# joint by 1e-6 rad, a tenth of a fine encoder's step.
_ON_GRID_S = 1e-6
# A window may last this much longer or shorter than it should before its rate counts as wrong.
_RATE_TOLERANCE = 0.25


@dataclass(frozen=True)
class JerkEstimate:
    """The jerk at two instants: the middle of the newest window, and its end.

    The centred numbers are the metric, late by half a window. The newest numbers are for an
    alarm: not late, several times noisier.
    stamp_s: of the newest sample.  centre_stamp_s: of the centred numbers.
    tool_jerk, newest_tool_jerk: [6], m/s^3 and rad/s^3, base axes; NaN without a Jacobian.
    joint_jerk, newest_joint_jerk: [n] rad/s^3.
    tool_twist: [6], m/s and rad/s, at the centre; NaN without a Jacobian.
    """

    stamp_s: float
    centre_stamp_s: float
    tool_jerk: np.ndarray
    tool_twist: np.ndarray
    joint_jerk: np.ndarray
    newest_tool_jerk: np.ndarray
    newest_joint_jerk: np.ndarray


@dataclass(frozen=True)
class StreamHealth:
    """What happened to the stream since the last `reset`.

    samples: taken into a window.  missing: that should have come between two samples and did not.
    duplicates: dropped, same stamp as the one before.  rejected: dropped, a value not finite.
    gaps, backwards: how often a pause or a stamp from the past started the window anew.
    off_rate: samples without an estimate because the stream is not at the declared rate.
    """

    samples: int = 0
    missing: int = 0
    duplicates: int = 0
    rejected: int = 0
    gaps: int = 0
    backwards: int = 0
    off_rate: int = 0


class JerkEstimator:
    """Jerk of one robot, live, from stamped joint positions.

    The window is the newest ``settings.window_samples`` samples, fitted at the stamps they have.
    Over samples on a regular grid the mean of an episode equals `mean_jerk` of the same samples.
    """

    def __init__(self, settings: EstimatorSettings, jacobian: Jacobian | None) -> None:
        """Take the settings and the tool's Jacobian ([n] rad -> [6, n]); None for joints alone."""
        self._settings = settings
        self._jacobian = jacobian
        self._grid = settings.grid_s
        self._regular = self._coefficients(self._grid)
        # The fit bridges a lost sample that is a small part of the window; else it is a gap.
        self._longest_step_s = max(1.5 * settings.period_s, 0.25 * settings.window_s)
        self.reset()

    def reset(self) -> None:
        """Start a new episode: forget the window, the sums and the counts."""
        self._accumulator = JerkAccumulator()
        self._counts: Counter[str] = Counter()
        self._start_window()

    @property
    def settings(self) -> EstimatorSettings:
        """The estimator's settings, to publish beside its numbers."""
        return self._settings

    @property
    def health(self) -> StreamHealth:
        """What happened to the stream since `reset`."""
        return StreamHealth(**self._counts)

    @property
    def episode(self) -> EpisodeJerk:
        """Mean, RMS and peak of the centred jerk since `reset`; windows never reach over a gap."""
        return self._accumulator.result()

    def add(self, stamp_s: float, joint_positions: np.ndarray) -> JerkEstimate | None:
        """Take one sample and return the estimate that it completes, None where there is none.

        None: the window is not full yet, or the sample was a duplicate, was not finite, or the
        stream is not at the declared rate; `health` says which.
        stamp_s: s since any origin near the recording (a float of Unix seconds resolves 0.2 us).
        joint_positions: [n] rad, the same n in every call.  Raises ValueError for another shape.
        """
        positions = np.asarray(joint_positions, dtype=np.float64)
        if positions.ndim != 1 or (self._joints not in (0, len(positions))):
            raise ValueError(
                f'joint positions have shape {positions.shape}, before [{self._joints}]'
            )
        if not (np.isfinite(positions).all() and np.isfinite(stamp_s)):
            self._counts['rejected'] += 1
            return None
        if self._filled:
            step = stamp_s - self._stamps[self._filled - 1]
            if step == 0:
                self._counts['duplicates'] += 1
                return None
            if step < 0:
                self._counts['backwards'] += 1
                self._start_window()
            else:
                self._counts['missing'] += max(0, round(step * self._settings.rate_hz) - 1)
                if step > self._longest_step_s:
                    self._counts['gaps'] += 1
                    self._start_window()
        self._push(stamp_s, positions)
        if self._filled < self._settings.window_samples:
            return None
        return self._estimate()

    def _estimate(self) -> JerkEstimate | None:
        stamps, positions = self._stamps, self._positions
        centre = stamps[self._settings.half_width]
        offsets = stamps - centre
        too_long = (offsets[-1] - offsets[0]) - (self._grid[-1] - self._grid[0])
        if abs(too_long) > _RATE_TOLERANCE * self._settings.window_s:
            self._counts['off_rate'] += 1
            return None
        on_grid = np.abs(offsets - self._grid).max() <= _ON_GRID_S
        at_centre, at_newest = self._regular if on_grid else self._coefficients(offsets)
        motion, newest = at_centre @ positions, at_newest @ positions
        twist = tool = newest_tool = np.full(6, np.nan)
        if self._jacobian is not None:
            window_s = self._settings.window_s
            tool = screw_jerk(motion, self._jacobian, window_s)
            newest_tool = screw_jerk(newest, self._jacobian, window_s)
            twist = self._jacobian(motion[0]) @ motion[1]
            self._accumulator.add(tool)
        return JerkEstimate(
            stamp_s=float(stamps[-1]),
            centre_stamp_s=float(centre),
            tool_jerk=tool,
            tool_twist=twist,
            joint_jerk=motion[3],
            newest_tool_jerk=newest_tool,
            newest_joint_jerk=newest[3],
        )

    def _coefficients(self, offsets_s: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return what gives the motion at the centre and at the newest sample."""
        fit = PolynomialFit(offsets_s, self._settings.order)
        return fit.derivatives_at(0.0), fit.derivatives_at(float(offsets_s[-1]))

    def _start_window(self) -> None:
        self._joints = 0
        self._filled = 0
        self._stamps = np.empty(self._settings.window_samples)
        self._positions = np.empty((self._settings.window_samples, 0))

    def _push(self, stamp_s: float, positions: np.ndarray) -> None:
        if not self._joints:
            self._joints = len(positions)
            self._positions = np.empty((self._settings.window_samples, self._joints))
        if self._filled == self._settings.window_samples:
            self._stamps[:-1] = self._stamps[1:]
            self._positions[:-1] = self._positions[1:]
            self._filled -= 1
        self._stamps[self._filled] = stamp_s
        self._positions[self._filled] = positions
        self._filled += 1
        self._counts['samples'] += 1
