"""Spectral arc length (SPARC): how many bumps the speed profile has."""

from __future__ import annotations

import numpy as np

CUTOFF_HZ = 10.0
AMPLITUDE_THRESHOLD = 0.05
_PADDING = 4  # powers of two of zero padding, as published


def spectral_arc_length(
    speed: np.ndarray,
    dt: float,
    cutoff_hz: float = CUTOFF_HZ,
    amplitude_threshold: float = AMPLITUDE_THRESHOLD,
) -> float:
    """Return minus the arc length of the normalised speed spectrum: nearer to zero is smoother.

    Balasubramanian et al., 2015. The spectrum is followed up to the last frequency below the
    cut-off where it still reaches the threshold. At 20 Hz the cut-off of 10 Hz is the Nyquist
    frequency: faster bumps fold back into the number, so sample faster where there are any.
    speed: [N] m/s, N >= 2, `dt` seconds apart.  NaN for a tool that never moves.
    Raises ValueError for fewer samples, values that are not finite, or a cut-off above Nyquist.
    """
    speed = np.asarray(speed, dtype=np.float64)
    if speed.ndim != 1 or len(speed) < 2 or not np.isfinite(speed).all():
        raise ValueError('speed must be [N] with at least 2 samples, all finite')
    if cutoff_hz > 0.5 / dt * (1 + 1e-9):
        raise ValueError(f'cut-off {cutoff_hz} Hz lies above half the sampling rate {0.5 / dt} Hz')
    length = 2 ** (int(np.ceil(np.log2(len(speed)))) + _PADDING)
    frequency = np.fft.rfftfreq(length, dt)
    magnitude = np.abs(np.fft.rfft(speed, length))
    peak = magnitude.max()
    if peak == 0:
        return float('nan')
    # A frequency on the cut-off belongs to the spectrum, also where rounding puts it just above.
    kept = frequency <= cutoff_hz * (1 + 1e-9)
    frequency, magnitude = frequency[kept], magnitude[kept] / peak
    loud = np.flatnonzero(magnitude >= amplitude_threshold)
    frequency = frequency[loud[0] : loud[-1] + 1]
    magnitude = magnitude[loud[0] : loud[-1] + 1]
    if len(frequency) < 2:
        return 0.0
    run = np.diff(frequency) / (frequency[-1] - frequency[0])
    return float(-np.sum(np.hypot(run, np.diff(magnitude))))
