"""What can be wrong with a recording: what ends its analysis, and what is noted beside it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from smoothvla_ros.errors import UserError
from smoothvla_ros.evaluation.bags.joint_stream import JointStream, StampedJoints
from smoothvla_ros.evaluation.bags.publishers import USUAL_STEP
from smoothvla_ros.evaluation.bags.settings import AnalysedRobot, AnalysisSettings
from smoothvla_ros.smoothness import EstimatorSettings, StreamHealth

# A rate within this share of whole Hz is meant to be that: clocks drift, and windows are counted.
_WHOLE_HZ = 0.01
# So many steps back are no clock that was set back.
_CLOCK_SET_BACK = 0.1


def first_samples(blocks: Iterator[StampedJoints], place: str) -> StampedJoints:
    """Return the first block that has several samples: rate and velocities are judged by it.

    place: recording and topic, for the error.  Raises UserError where there is none.
    """
    for block in blocks:
        if len(block.stamps_s) > 1:
            return block
    raise UserError(f'{place} has a single sample; jerk needs a window of them')


def estimator_for(head: StampedJoints, settings: AnalysisSettings, place: str) -> EstimatorSettings:
    """Return the estimator at the rate that the first samples come at.

    place: recording and topic, for the errors.  Raises UserError for stamps in no order, or all
    the same, and for a window that is none at this rate.
    """
    rate_hz = _rate_hz(_forward_steps(head, place))
    try:
        return EstimatorSettings(rate_hz=rate_hz, window_s=settings.window_s, order=settings.order)
    except UserError as error:
        raise UserError(f'{place}: {error}') from error


def _forward_steps(head: StampedJoints, place: str) -> np.ndarray:
    steps = np.diff(head.stamps_s)
    back = np.count_nonzero(steps < 0)
    if back > _CLOCK_SET_BACK * len(steps):
        raise UserError(
            f'{place} is in no order: {back} of {len(steps)} stamps lie far before the last one; '
            'write the recording again in the order of its stamps'
        )
    steps = steps[steps > 0]
    if not len(steps):
        raise UserError(
            f'{place} has one and the same stamp throughout; stamp the messages where the encoders '
            'are read'
        )
    return steps


def _rate_hz(steps: np.ndarray) -> float:
    # Holes and bursts left out, the mean of the others: jitter cancels in it, in a median not.
    usual = np.abs(steps / np.median(steps) - 1.0) < USUAL_STEP
    rate_hz = float(1 / steps[usual].mean())
    whole = round(rate_hz)
    return float(whole) if abs(whole - rate_hz) <= _WHOLE_HZ * rate_hz else rate_hz


def nothing_measured(
    health: StreamHealth, estimator: EstimatorSettings, duration_s: float, place: str
) -> UserError:
    """Return the error of a recording that has no stretch as long as a window."""
    window = f'a window of {estimator.window_s:g} s ({estimator.window_samples} samples)'
    return UserError(
        f'{place} has no stretch as long as {window}: {health.samples} samples over '
        f'{max(0.0, duration_s):.3g} s with {health.gaps} gaps and {health.rejected} values that '
        'are not finite; record longer, or shorten the window'
    )


def stream_notes(
    stream: JointStream, health: StreamHealth, estimator: EstimatorSettings
) -> list[str]:
    """Say what was wrong with a recording's samples and what was done about it, a line each."""
    said: list[tuple[object, str]] = [
        (stream.reception_times, 'the headers have no stamps: times of reception were used'),
        (stream.unstamped, f'{stream.unstamped} samples have no stamp: dropped'),
        (stream.sorted, f'{stream.sorted} samples came out of order: sorted by their stamps'),
        (
            health.backwards,
            f'the stamps jump back {health.backwards} times: the estimate starts anew there',
        ),
        (health.duplicates, f'{health.duplicates} samples came twice: dropped'),
        (health.rejected, f'{health.rejected} samples are not finite: dropped'),
        (
            stream.silent,
            f'{", ".join(stream.silent)}: no position was a number at first: left out '
            '(the setting joints chooses)',
        ),
        (
            health.gaps,
            f'{health.gaps} gaps longer than {estimator.longest_step_s:.3g} s: no estimate reaches '
            'over one',
        ),
        (health.missing, f'{health.missing} samples that should have come did not'),
        (
            health.off_rate,
            f'{health.off_rate} windows are not at {estimator.rate_hz:g} Hz: left out',
        ),
        (
            stream.others,
            f'{stream.others} messages have other joints than {", ".join(stream.names)}: ignored',
        ),
        (
            stream.of_another,
            f'{stream.of_another} messages are of another publisher of the same joints, at times '
            'of its own: ignored',
        ),
    ]
    return [text for happened, text in said if happened]


def encoder_noise(
    names: Sequence[str],
    joints: Sequence[dict[str, float]],
    floor: float,
    robot: AnalysedRobot,
) -> list[str]:
    """Name in a line the joints whose jerk is hardly more than encoder noise, if there are any.

    joints: figures of each name, as in `Magnitudes.of`.  floor: `joint_noise_floor`.
    """
    quiet = [
        name for name, figures in zip(names, joints, strict=True) if figures['rms'] < 2 * floor
    ]
    if not quiet:
        return []
    unit = robot.units(quiet)
    return [f'hardly more than encoder noise ({floor:.2g} {unit}): {", ".join(quiet)}']


def wrap_notes(names: Sequence[str], wraps: np.ndarray | None) -> list[str]:
    """Say how often each joint passed the end of its turn, as `MotionStream.wraps` counts them."""
    assert wraps is not None
    return [
        f'joint {name} wraps at 2 pi {count} times; unwrapped'
        for name, count in zip(names, wraps.tolist(), strict=True)
        if count
    ]
