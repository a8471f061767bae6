"""How well jerk is estimated: against motions whose jerk is known in closed form.

``python -m benchmarks.jerk_accuracy`` prints the whole table of docs/metrics.md; ``make bench``
keeps the figures at 100 Hz that have a bar. Everything is an RMS error as a share of the true peak:
over all joints, of the largest peak of a joint, or joint by joint, each of its own.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.interpolate import make_interp_spline
from scipy.signal import butter, sosfiltfilt

from smoothvla_ros.smoothness import EstimatorSettings, MotionStream

RATES_HZ = (20.0, 50.0, 100.0, 500.0, 1000.0)
FINE_STEP, COARSE_STEP = 1e-5, 2 * math.pi / 4096
DURATION_S = 4.0
# The recording begins and ends this much outside what is judged; the reach is at rest there.
MARGIN_S = 0.5
JOINTS = 7
JITTER = 0.1
BUTTERWORTH_ORDER, BUTTERWORTH_CUTOFF_HZ = 4, 3.0

AT_MOST = {
    'minimum_jerk.inside': 0.03,
    'minimum_jerk.whole': 0.07,
    'sine.whole': 0.01,
    'spline.whole': 0.01,
    'minimum_jerk.newest': 0.20,
    'sine.newest': 0.20,
    'spline.newest': 0.20,
}


@dataclass(frozen=True)
class Motion:
    """A motion of JOINTS joints: time [T] s to position [T, n] rad and jerk [T, n] rad/s^3."""

    name: str
    position: Callable[[np.ndarray], np.ndarray]
    jerk: Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Errors:
    """RMS errors as shares of the true peak, over the DURATION_S of the motion.

    whole: at the centre of each window.  inside: the same without half a window at either end.
    newest: at the newest sample of each window, the ends included.
    raw: of the third difference.  butterworth: of it after a zero-phase filter.
    """

    inside: float
    whole: float
    newest: float
    raw: float
    butterworth: float


def motions() -> tuple[Motion, ...]:
    """Return the three motions; each joint has another amplitude, phase or course."""
    reach = np.linspace(0.2, 1.2, JOINTS)
    phase = np.linspace(0.0, 2 * math.pi, JOINTS, endpoint=False)
    rate = 2 * math.pi * 0.25

    def minimum_jerk(time: np.ndarray) -> np.ndarray:
        share = np.clip(time[:, None] / DURATION_S, 0.0, 1.0)
        return reach * share**3 * (10 - 15 * share + 6 * share**2)

    def minimum_jerk_jerk(time: np.ndarray) -> np.ndarray:
        share = time[:, None] / DURATION_S
        moving = (share >= 0.0) & (share <= 1.0)
        return reach * moving * (60 - 360 * share + 360 * share**2) / DURATION_S**3

    def sine(time: np.ndarray) -> np.ndarray:
        return 0.5 * np.sin(rate * time[:, None] + phase)

    def sine_jerk(time: np.ndarray) -> np.ndarray:
        return -0.5 * rate**3 * np.cos(rate * time[:, None] + phase)

    knots = np.linspace(-MARGIN_S, DURATION_S + MARGIN_S, 8)
    through = np.random.default_rng(0).uniform(-0.6, 0.6, (len(knots), JOINTS))
    spline = make_interp_spline(knots, through, k=5)
    return (
        Motion('minimum_jerk', minimum_jerk, minimum_jerk_jerk),
        Motion('sine', sine, sine_jerk),
        Motion('spline', spline, spline.derivative(3)),
    )


def errors(
    motion: Motion,
    rate_hz: float,
    step: float = FINE_STEP,
    jitter: float = 0.0,
    true_stamps: bool = True,
    *,
    worst_joint: bool = False,
) -> Errors:
    """Sample a motion as an encoder does, estimate its jerk, compare.

    step: rad, of the encoder.  jitter: share of the period that each sample is early or late.
    true_stamps: whether the estimator is told; else it gets the stamps of the regular grid.
    worst_joint: of the joint whose error is the largest share of its own peak, instead of all.
    """
    settings = EstimatorSettings(rate_hz=rate_hz)
    margin = round(MARGIN_S * rate_hz)
    grid = np.arange(-margin, round(DURATION_S * rate_hz) + margin + 1) / rate_hz
    time = grid + np.random.default_rng(1).uniform(-jitter, jitter, len(grid)) / rate_hz
    stamps = time if true_stamps else grid
    samples = np.round(motion.position(time) / step) * step
    peaks = np.abs(motion.jerk(np.linspace(0.0, DURATION_S, 4001))).max(axis=0)

    def share(at_s: np.ndarray, jerk: np.ndarray, first_s: float, last_s: float) -> float:
        judged = (at_s >= first_s - 1e-9) & (at_s <= last_s + 1e-9)
        difference = jerk[judged] - motion.jerk(at_s[judged])
        if worst_joint:
            return float((np.sqrt(np.mean(difference**2, axis=0)) / peaks).max())
        return float(np.sqrt(np.mean(difference**2)) / peaks.max())

    stride = settings.read_stride
    read = MotionStream(settings, stride=stride, newest=True).add(stamps, samples)
    assert read.newest is not None
    half_s, size = settings.half_width / rate_hz, settings.window_samples
    cutoff_hz = min(BUTTERWORTH_CUTOFF_HZ, 0.4 * rate_hz)
    sections = butter(BUTTERWORTH_ORDER, cutoff_hz, fs=rate_hz, output='sos')
    differences = [
        np.diff(values, 3, axis=0) * rate_hz**3
        for values in (samples, sosfiltfilt(sections, samples, axis=0))
    ]
    between = (stamps[1:-2] + stamps[2:-1]) / 2
    raw, filtered = (share(between, jerk, 0.0, DURATION_S) for jerk in differences)
    return Errors(
        inside=share(read.stamps_s, read.motions[:, 3], half_s, DURATION_S - half_s),
        whole=share(read.stamps_s, read.motions[:, 3], 0.0, DURATION_S),
        newest=share(stamps[size - 1 :: stride], read.newest[:, 3], 0.0, DURATION_S),
        raw=raw,
        butterworth=filtered,
    )


def measure() -> dict[str, float]:
    """Return the errors at 100 Hz with the fine encoder, and with jitter at true stamps."""
    figures = {}
    for motion in motions():
        for jitter, suffix in ((0.0, ''), (JITTER, '_jitter')):
            found = errors(motion, 100.0, jitter=jitter)
            for name in ('inside', 'whole', 'newest'):
                figures[f'{motion.name}{suffix}.{name}'] = getattr(found, name)
    return figures


def main() -> None:
    """Print the table: a line a motion, rate, encoder and kind of stamp."""
    cases = (
        ('regular', 0.0, True),
        ('jitter 10%, true stamps', JITTER, True),
        ('jitter 10%, wrong stamps', JITTER, False),
    )
    print(
        '| motion | rate, Hz | step, rad | stamps | inside | whole | newest | raw | Butterworth '
        '| worst joint: inside | whole | newest |'
    )
    print('|---|---|---|---|---|---|---|---|---|---|---|---|')
    for motion in motions():
        for rate_hz in RATES_HZ:
            for step, encoder in ((FINE_STEP, '1e-5'), (COARSE_STEP, '2π/4096')):
                for label, jitter, true_stamps in cases:
                    case = (motion, rate_hz, step, jitter, true_stamps)
                    found, worst = errors(*case), errors(*case, worst_joint=True)
                    ours = ('inside', 'whole', 'newest')
                    shares = [getattr(found, name) for name in (*ours, 'raw', 'butterworth')]
                    shares += [getattr(worst, name) for name in ours]
                    cells = ' | '.join(f'{share:.2%}' for share in shares)
                    print(f'| {motion.name} | {rate_hz:g} | {encoder} | {label} | {cells} |')


if __name__ == '__main__':
    main()
