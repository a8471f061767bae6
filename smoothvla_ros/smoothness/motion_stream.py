"""The estimator on long recordings: blocks of stamped joint samples in, motions out.

It follows the rules of `live.JerkEstimator` sample for sample, but reads many windows at once and
holds no more than one window between two blocks, so that an hour at 1 kHz costs seconds and a
few megabytes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from smoothvla_ros.smoothness.estimator import (
    ON_GRID_S,
    RATE_TOLERANCE,
    EstimatorSettings,
    PolynomialFit,
)
from smoothvla_ros.smoothness.stream_health import StreamHealth
from smoothvla_ros.smoothness.window_fits import window_motions
from smoothvla_ros.smoothness.wraps import Unwrapping

# Windows that are fitted together: a few megabytes of temporaries at 1 kHz.
_WINDOWS_AT_ONCE = 512


@dataclass(frozen=True)
class Motions:
    """The joints' motion at K readings, the centres of full windows.

    stamps_s: [K] s, rising within a run.  motions: [K, 4, n], position and three derivatives.
    newest: the same at the last sample of each window, or None where it was not asked for.
    runs: [K] int, number of the unbroken run of samples that each belongs to: no window reaches
    over a gap or a stamp from the past.
    """

    stamps_s: np.ndarray
    motions: np.ndarray
    newest: np.ndarray | None
    runs: np.ndarray


@dataclass(frozen=True)
class _Samples:
    stamps_s: np.ndarray
    positions: np.ndarray
    velocities: np.ndarray | None

    def __len__(self) -> int:
        return len(self.stamps_s)

    def __getitem__(self, index: slice | np.ndarray) -> _Samples:
        velocities = None if self.velocities is None else self.velocities[index]
        return _Samples(self.stamps_s[index], self.positions[index], velocities)

    def followed_by(self, other: _Samples) -> _Samples:
        velocities = None
        if self.velocities is not None and other.velocities is not None:
            velocities = np.concatenate([self.velocities, other.velocities])
        return _Samples(
            np.concatenate([self.stamps_s, other.stamps_s]),
            np.concatenate([self.positions, other.positions]),
            velocities,
        )


class MotionStream:
    """Position, velocity, acceleration and jerk of joints from stamped samples, block by block.

    How the stream is cut into blocks changes no reading.
    """

    def __init__(
        self,
        settings: EstimatorSettings,
        *,
        stride: int = 1,
        velocity_weight_s: float = 0.0,
        newest: bool = False,
        turning: np.ndarray | None = None,
    ) -> None:
        """Take what makes two jerks comparable, and how much is wanted.

        stride: samples from one reading to the next; `settings.read_stride` loses nothing.
        velocity_weight_s: as in `window_motions`; 0 uses positions alone.
        newest: also read each window at its newest sample, as an alarm does.
        turning: bool [n], as for `Unwrapping`.
        """
        self._settings = settings
        self._stride = stride
        self._velocity_weight_s = velocity_weight_s
        self._newest = newest
        self._grid = settings.grid_s
        fit = PolynomialFit(self._grid, settings.order)
        self._regular = fit.derivatives_at(0.0), fit.derivatives_at(float(self._grid[-1]))
        self._counts: Counter[str] = Counter()
        self._unwrapping = Unwrapping(turning)
        self._run = 0
        self._open: _Samples | None = None
        self._last_stamp_s: float | None = None

    @property
    def health(self) -> StreamHealth:
        """What happened to the stream so far."""
        return StreamHealth(**self._counts)

    @property
    def wraps(self) -> np.ndarray | None:
        """How often each joint wrapped at 2 pi so far, int [n]; None before the first sample."""
        return self._unwrapping.wraps

    def add(
        self,
        stamps_s: np.ndarray,
        positions: np.ndarray,
        velocities: np.ndarray | None = None,
    ) -> Motions:
        """Take the next N samples and return the readings that they complete.

        stamps_s: [N] s since any origin near the recording.  positions: [N, n] rad; a
        turning joint may wrap at 2 pi.
        velocities: [N, n] rad/s or None; used only where the stream was given their weight.
        Raises ValueError for shapes that do not fit together or the samples before.
        """
        samples = self._checked(stamps_s, positions, velocities)
        finite = np.isfinite(samples.stamps_s) & np.isfinite(samples.positions).all(axis=1)
        self._counts['rejected'] += int(np.count_nonzero(~finite))
        samples = samples[finite]
        steps = np.diff(samples.stamps_s, prepend=self._before(samples))
        fresh = steps != 0
        self._counts['duplicates'] += int(np.count_nonzero(~fresh))
        samples, steps = samples[fresh], steps[fresh]
        if len(samples):
            self._last_stamp_s = float(samples.stamps_s[-1])
            samples = replace(samples, positions=self._unwrapping.add(samples.positions))
        self._counts['samples'] += len(samples)
        backwards = steps < 0
        forwards = steps[~backwards & ~np.isnan(steps)]
        gaps = steps > self._settings.longest_step_s
        self._counts['backwards'] += int(np.count_nonzero(backwards))
        self._counts['gaps'] += int(np.count_nonzero(gaps))
        skipped = np.rint(forwards * self._settings.rate_hz).astype(np.int64) - 1
        self._counts['missing'] += int(np.maximum(skipped, 0).sum())
        cuts = np.flatnonzero(backwards | gaps)
        return self._joined(self._readings(samples, cuts), samples.positions.shape[1])

    def _checked(
        self, stamps_s: np.ndarray, positions: np.ndarray, velocities: np.ndarray | None
    ) -> _Samples:
        stamps = np.asarray(stamps_s, dtype=np.float64)
        array = np.asarray(positions, dtype=np.float64)
        before = None if self._open is None else self._open.positions.shape[1]
        if array.ndim != 2 or stamps.shape != array.shape[:1] or before not in (None, len(array.T)):
            raise ValueError(
                f'positions have shape {array.shape} and stamps {stamps.shape}; expected '
                f'[samples, {"joints" if before is None else before}] and [samples]'
            )
        speeds = None
        if self._velocity_weight_s > 0.0:
            speeds = np.full_like(array, np.nan) if velocities is None else np.asarray(velocities)
            if speeds.shape != array.shape:
                raise ValueError(f'velocities have shape {speeds.shape}, positions {array.shape}')
        return _Samples(stamps, array, speeds)

    def _before(self, samples: _Samples) -> float:
        """Return the stamp that the block's first step is counted from; NaN for the first block."""
        return np.nan if self._last_stamp_s is None else self._last_stamp_s

    def _readings(self, samples: _Samples, cuts: np.ndarray) -> Iterator[Motions]:
        """Yield the readings of every run, the one that was open before included."""
        bounds = [0, *cuts.tolist(), len(samples)]
        for number, (start, stop) in enumerate(pairwise(bounds)):
            if number:
                self._run += 1
                self._open = None
            piece = samples[start:stop]
            run = piece if self._open is None else self._open.followed_by(piece)
            count = max(0, (len(run) - self._settings.window_samples) // self._stride + 1)
            for first in range(0, count, _WINDOWS_AT_ONCE):
                yield self._fit(run, first, min(count, first + _WINDOWS_AT_ONCE))
            self._open = run[count * self._stride :]

    def _fit(self, run: _Samples, first: int, last: int) -> Motions:
        """Fit windows `first` to `last` of a run, counted in strides from its first sample."""
        size, stride, half = self._settings.window_samples, self._stride, self._settings.half_width
        span = slice(first * stride, (last - 1) * stride + size)
        part = run[span]
        stamps = sliding_window_view(part.stamps_s, size)[::stride]
        centres = stamps[:, half]
        offsets = stamps - centres[:, None]
        excess = (offsets[:, -1] - offsets[:, 0]) - (self._grid[-1] - self._grid[0])
        at_rate = np.abs(excess) <= RATE_TOLERANCE * self._settings.window_s
        self._counts['off_rate'] += int(np.count_nonzero(~at_rate))
        centres, offsets = centres[at_rate], offsets[at_rate]

        def windows(values: np.ndarray) -> np.ndarray:
            view = sliding_window_view(values, size, axis=0)[::stride].transpose(0, 2, 1)
            return np.ascontiguousarray(view[at_rate])

        positions = windows(part.positions)
        velocities = None if part.velocities is None else windows(part.velocities)
        at_centre = self._motions(offsets, positions, velocities, np.zeros(len(centres)), 0)
        newest = None
        if self._newest:
            newest = self._motions(offsets, positions, velocities, offsets[:, -1], 1)
        return Motions(centres, at_centre, newest, np.full(len(centres), self._run))

    def _motions(
        self,
        offsets: np.ndarray,
        positions: np.ndarray,
        velocities: np.ndarray | None,
        at_s: np.ndarray,
        which: int,
    ) -> np.ndarray:
        if not len(offsets):
            return np.empty((0, 4, positions.shape[2]))
        if velocities is not None:
            return window_motions(
                offsets,
                positions,
                self._settings.order,
                at_s,
                velocities,
                self._velocity_weight_s,
            )
        regular = np.abs(offsets - self._grid).max(axis=1) <= ON_GRID_S
        motions = np.empty((len(offsets), 4, positions.shape[2]))
        motions[regular] = self._regular[which] @ positions[regular]
        if not regular.all():
            motions[~regular] = window_motions(
                offsets[~regular], positions[~regular], self._settings.order, at_s[~regular]
            )
        return motions

    def _joined(self, readings: Iterator[Motions], joints: int) -> Motions:
        parts = list(readings)
        if not parts:
            nothing = np.empty((0, 4, joints))
            newest = nothing if self._newest else None
            return Motions(np.empty(0), nothing, newest, np.empty(0, dtype=np.int64))
        return Motions(
            np.concatenate([part.stamps_s for part in parts]),
            np.concatenate([part.motions for part in parts]),
            np.concatenate([part.newest for part in parts if part.newest is not None])
            if self._newest
            else None,
            np.concatenate([part.runs for part in parts]),
        )
