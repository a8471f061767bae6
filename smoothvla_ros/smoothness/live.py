"""The estimator on a stream of stamped joint samples."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass

import numpy as np

from smoothvla_ros.smoothness.episode_jerk import EpisodeJerk, JerkAccumulator
from smoothvla_ros.smoothness.estimator import (
    ON_GRID_S,
    RATE_TOLERANCE,
    EstimatorSettings,
    PolynomialFit,
    fitted_motions,
)
from smoothvla_ros.smoothness.sample_window import SampleWindow
from smoothvla_ros.smoothness.speed_profile import SpeedProfile
from smoothvla_ros.smoothness.stream_health import StreamHealth
from smoothvla_ros.smoothness.tool_jerk import Jacobian, screw_jerk
from smoothvla_ros.smoothness.window_fits import window_motions
from smoothvla_ros.smoothness.wraps import Unwrapping

# SPARC needs a Fourier transform of everything, so it is as of the last second.
_RENEWED_S = 1.0


@dataclass(frozen=True)
class JerkEstimate:
    """The jerk at two instants: the middle of the newest window, and its end.

    The centred numbers are the metric, late by half a window. The newest numbers are for an
    alarm: not late, several times noisier.
    stamp_s: of the newest sample.  centre_stamp_s: of the centred numbers.
    tool_screw_jerk, newest_tool_screw_jerk: [6], m/s^3 and rad/s^3, base axes; NaN without a
    Jacobian.
    joint_jerk, newest_joint_jerk: [n] rad/s^3.
    tool_twist: [6], m/s and rad/s, at the sample in the centre; NaN without a Jacobian.
    """

    stamp_s: float
    centre_stamp_s: float
    tool_screw_jerk: np.ndarray
    tool_twist: np.ndarray
    joint_jerk: np.ndarray
    newest_tool_screw_jerk: np.ndarray
    newest_joint_jerk: np.ndarray

    @property
    def tool_jerk(self) -> float:
        """Norm of the translational jerk, m/s^3."""
        return float(np.linalg.norm(self.tool_screw_jerk[:3]))

    @property
    def tool_angular_jerk(self) -> float:
        """Norm of the angular jerk, rad/s^3."""
        return float(np.linalg.norm(self.tool_screw_jerk[3:]))

    @property
    def newest_tool_jerk(self) -> float:
        """Norm of the translational jerk at the newest sample, m/s^3."""
        return float(np.linalg.norm(self.newest_tool_screw_jerk[:3]))


class JerkEstimator:
    """Jerk of one robot, live, from stamped joint positions.

    The window is the newest ``settings.window_samples`` samples, fitted at the stamps they have.
    Over samples on a regular grid the mean of an episode equals `mean_jerk` of the same samples.
    """

    def __init__(
        self,
        settings: EstimatorSettings,
        jacobian: Jacobian | None,
        *,
        stride: int = 1,
        velocity_weight_s: float = 0.0,
        statistics_s: float = math.inf,
        turning: np.ndarray | None = None,
    ) -> None:
        """Take the settings and the tool's Jacobian ([n] rad -> [6, n]); None for joints alone.

        stride: samples from one estimate to the next; `settings.read_stride` loses nothing.
        velocity_weight_s: s, as in `window_motions`; 0 uses positions alone.
        statistics_s: `episode` covers so much of the latest motion; infinite: all since `reset`.
        turning: bool [n], as for `Unwrapping`.
        """
        self._settings = settings
        self._jacobian = jacobian
        self._stride = stride
        self._velocity_weight_s = velocity_weight_s
        self._statistics_s = statistics_s
        self._grid = settings.grid_s
        # Looked at a thousand times a second.
        self._longest_step_s = settings.longest_step_s
        self._window = SampleWindow(settings.window_samples)
        self._unwrapping = Unwrapping(turning)
        fit = PolynomialFit(self._grid, settings.order)
        self._regular = fit.derivatives_at(0.0), fit.derivatives_at(float(self._grid[-1]))
        self.reset()

    def reset(self) -> None:
        """Start a new episode: forget the window, the sums and the counts."""
        period_s = self._stride * self._settings.period_s
        self._accumulator = JerkAccumulator(period_s, self._statistics_s)
        self._profile = SpeedProfile(period_s, self._statistics_s)
        self._renew_every = max(1, round(_RENEWED_S / period_s))
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
    def rejected(self) -> int:
        """Samples that were not finite, since `reset`."""
        return self._counts['rejected']

    @property
    def samples_to_estimate(self) -> int:
        """Samples that have yet to come before there is another estimate, if nothing goes wrong."""
        if not self._window.is_full:
            return self._settings.window_samples - len(self._window)
        return self._stride - (self._complete - 1) % self._stride

    @property
    def until_estimate_s(self) -> float:
        """From the newest sample to the one that completes an estimate, s."""
        return self.samples_to_estimate / self._settings.rate_hz

    @property
    def episode(self) -> EpisodeJerk:
        """The centred jerk since `reset`; windows never reach over a gap.

        SPARC is as of the last second, and of what came after the last gap.
        """
        return self._accumulator.result(self._sparc)

    def whole_episode(self) -> EpisodeJerk:
        """Return the numbers of an episode that ended: SPARC up to its last sample."""
        self._renew_sparc()
        return self.episode

    def add(
        self,
        stamp_s: float,
        joint_positions: np.ndarray,
        joint_velocities: np.ndarray | None = None,
    ) -> JerkEstimate | None:
        """Take one sample and return the estimate that it completes, None where there is none.

        None: the window is not full yet or not the next to be read, or the sample was a
        duplicate, was not finite, or the stream is not at the declared rate; `health` says which.
        stamp_s: s since any origin near the recording (a float of Unix seconds resolves 0.2 us).
        joint_positions: [n] rad, the same n in every call.  Raises ValueError for another shape.
        A turning joint may wrap at 2 pi.
        joint_velocities: [n] rad/s; used only if the estimator was given their weight. None, or
        one that is not finite, leaves this sample to its positions.
        """
        positions = np.asarray(joint_positions, dtype=np.float64)
        window = self._window
        if positions.ndim != 1 or (window.joints not in (0, len(positions))):
            raise ValueError(
                f'joint positions have shape {positions.shape}, before [{window.joints}]'
            )
        if not (math.isfinite(stamp_s) and np.isfinite(positions).all()):
            self._counts['rejected'] += 1
            return None
        if window:
            step = stamp_s - window.newest_s
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
        window.add(stamp_s, self._unwrapping.add_one(positions), joint_velocities)
        self._counts['samples'] += 1
        if not window.is_full:
            return None
        self._complete += 1
        return self._estimate() if (self._complete - 1) % self._stride == 0 else None

    def _estimate(self) -> JerkEstimate | None:
        stamps = self._window.stamps
        centre = stamps[self._settings.half_width]
        offsets = stamps - centre
        too_long = (offsets[-1] - offsets[0]) - (self._grid[-1] - self._grid[0])
        if abs(too_long) > RATE_TOLERANCE * self._settings.window_s:
            self._counts['off_rate'] += 1
            self._forget_profile()
            return None
        motion, newest = self._motions(offsets)
        twist = tool = newest_tool = np.full(6, np.nan)
        if self._jacobian is not None:
            window_s = self._settings.window_s
            tool = screw_jerk(motion, self._jacobian, window_s)
            newest_tool = screw_jerk(newest, self._jacobian, window_s)
            at_centre = self._window.positions[self._settings.half_width]
            twist = self._jacobian(at_centre) @ motion[1]
            self._take_reading(tool, float(np.linalg.norm(twist[:3])))
        return JerkEstimate(
            stamp_s=float(stamps[-1]),
            centre_stamp_s=float(centre),
            tool_screw_jerk=tool,
            tool_twist=twist,
            joint_jerk=motion[3],
            newest_tool_screw_jerk=newest_tool,
            newest_joint_jerk=newest[3],
        )

    def _take_reading(self, tool: np.ndarray, speed: float) -> None:
        self._accumulator.add(tool, speed)
        if not len(self._profile):
            self._profile.add(self._edge_speeds(-1)[::-1])
        self._profile.add([speed])
        self._readings += 1
        if self._readings % self._renew_every == 0:
            self._renew_sparc()

    def _renew_sparc(self) -> None:
        after = self._edge_speeds(1) if len(self._profile) else []
        self._sparc = self._profile.spectral_arc_length(after)

    def _forget_profile(self) -> None:
        self._profile.clear()
        self._sparc = math.nan
        self._readings = 0

    def _edge_speeds(self, direction: int) -> list[float]:
        """Return the tool's speeds before (-1) or after (1) the last reading, going away from it.

        Of samples that are the centre of no window, from the polynomial of the nearest one, as
        `tool_twists` has them.
        """
        assert self._jacobian is not None
        size, half = self._settings.window_samples, self._settings.half_width
        last_read = half - (self._complete - 1) % self._stride
        at = np.arange(last_read, size if direction > 0 else -1, direction * self._stride)[1:]
        stamps, positions = self._window.stamps, self._window.positions
        velocities = self._window.velocities
        offsets = stamps - stamps[half]
        motions = window_motions(
            np.broadcast_to(offsets, (len(at), size)),
            np.broadcast_to(positions, (len(at), *positions.shape)),
            self._settings.order,
            offsets[at],
            np.broadcast_to(velocities, (len(at), *velocities.shape)),
            self._velocity_weight_s,
        )
        twists = [self._jacobian(positions[i]) @ m[1] for i, m in zip(at, motions, strict=True)]
        return [float(np.linalg.norm(twist[:3])) for twist in twists]

    def _motions(self, offsets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the motion [4, n] at the centre and at the newest sample of the window."""
        positions, order = self._window.positions, self._settings.order
        if self._velocity_weight_s > 0.0:
            both = window_motions(
                np.broadcast_to(offsets, (2, len(offsets))),
                positions[None],
                order,
                np.array([0.0, offsets[-1]]),
                self._window.velocities[None],
                self._velocity_weight_s,
            )
            return both[0], both[1]
        if np.abs(offsets - self._grid).max() <= ON_GRID_S:
            at_centre, at_newest = self._regular
            return at_centre @ positions, at_newest @ positions
        centre, newest = fitted_motions(offsets, positions, order, (0.0, float(offsets[-1])))
        return centre, newest

    def _start_window(self) -> None:
        self._forget_profile()
        self._window.clear()
        self._unwrapping.reset()
        self._complete = 0
