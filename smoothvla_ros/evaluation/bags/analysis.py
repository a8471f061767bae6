"""One recording, from its joint samples to the figures of its jerk."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from smoothvla_ros.errors import UserError
from smoothvla_ros.evaluation.bags.joint_ranges import JointRanges
from smoothvla_ros.evaluation.bags.joint_stream import (
    JointStream,
    StampedJoints,
    require_joint_topic,
)
from smoothvla_ros.evaluation.bags.readings import Reader
from smoothvla_ros.evaluation.bags.segments import Segment, Segmenter
from smoothvla_ros.evaluation.bags.settings import AnalysedRobot, AnalysisSettings
from smoothvla_ros.evaluation.bags.traces import Envelope, PathTrace, WorstMoments
from smoothvla_ros.evaluation.bags.velocities import velocity_weight_of
from smoothvla_ros.nanoseconds import whole_nanoseconds
from smoothvla_ros.recordings import Bag
from smoothvla_ros.smoothness import (
    EstimatorSettings,
    MotionStream,
    StreamHealth,
    joint_noise_floor,
    tool_noise_floor,
)
from smoothvla_ros.smoothness.running_magnitudes import Magnitudes

WORST_MOMENTS = 5
_DRAWN_PLACES_HZ = 20.0
# A step further than this share from the median is a hole or part of a burst.
_USUAL_STEP = 0.5
# A rate within this share of whole Hz is meant to be that: clocks drift, and windows are counted.
_WHOLE_HZ = 0.01
# So many steps back are no clock that was set back.
_CLOCK_SET_BACK = 0.1

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Moment:
    """A moment of great jerk.

    time_s: s since the recording began.  stamp_ns: of the robot's clock.
    jerk: of the tool, m/s^3, or without a model the norm over the joints, rad/s^3.
    joint: the one nearest to its limit then, or without limits the one with the most jerk.
    """

    time_s: float
    stamp_ns: int
    jerk: float
    joint: str


@dataclass(frozen=True)
class BagAnalysis:
    """The jerk of one topic of one recording. SI units; dictionaries as in `Magnitudes.of`.

    velocities: what became of the recorded velocities, in a few words.
    noise_floor: of a joint, rad/s^3.  tool_noise_floor: m/s^3 and rad/s^3, or None.
    ldlj, sparc: mean over the segments that have one, NaN where none has.
    curves: (time [B] s, greatest jerk of each joint, then of the tool [B, n (+ 2)]), bounded.
    path: [P, 5] as `PathTrace.points`, empty without a model.
    notes: what was wrong with the recording, a line each.
    """

    path_given: Path
    topic: str
    names: tuple[str, ...]
    estimator: EstimatorSettings
    robot: AnalysedRobot
    duration_s: float
    samples: int
    velocities: str
    joints: tuple[dict[str, float], ...]
    tool: tuple[dict[str, float], dict[str, float]] | None
    noise_floor: float
    tool_noise_floor: tuple[float, float] | None
    segments: tuple[Segment, ...]
    ldlj: float
    sparc: float
    worst: tuple[Moment, ...]
    curves: tuple[np.ndarray, np.ndarray]
    path: np.ndarray
    notes: tuple[str, ...]

    def share_of_limit(self, joint: int) -> float:
        """Return the peak jerk of a joint over its limit; NaN where it has none."""
        limit = self.robot.limits.get(self.names[joint], math.nan)
        return self.joints[joint]['peak'] / limit

    def as_json(self) -> dict[str, Any]:
        """Return the entry of `bags` in the file that `--json` writes."""
        return {
            'path': str(self.path_given),
            'topic': self.topic,
            'rate_hz': self.estimator.rate_hz,
            'window_s': self.estimator.window_s,
            'order': self.estimator.order,
            'duration_s': self.duration_s,
            'samples': self.samples,
            'velocities': self.velocities,
            'noise_floor': self.noise_floor,
            'joints': dict(zip(self.names, self.joints, strict=True)),
            'tool': None
            if self.tool is None
            else {'translation': self.tool[0], 'rotation': self.tool[1]},
            'ldlj': self.ldlj,
            'sparc': self.sparc,
            'segments': [segment.as_json(self.names) for segment in self.segments],
            'worst': [vars(moment) for moment in self.worst],
            'notes': list(self.notes),
        }


def analyse(
    path: Path,
    settings: AnalysisSettings,
    robot: AnalysedRobot,
    topic_name: str | None = None,
    progress: Progress | None = None,
) -> BagAnalysis:
    """Read one recording from end to end, in memory that does not grow with it.

    progress: called with (messages so far, of how many).  Raises UserError where the recording
    is missing, damaged, empty, too short, or has not the joints or the topic asked for.
    """
    with Bag(path) as bag:
        topic = require_joint_topic(bag, topic_name)
        stream = JointStream(bag, topic, robot.wanted)
        return _Analysis(path, topic.name, topic.messages, stream, settings, robot, progress).run()


class _Analysis:
    """The state of one pass over one recording."""

    def __init__(
        self,
        path: Path,
        topic: str,
        messages: int,
        stream: JointStream,
        settings: AnalysisSettings,
        robot: AnalysedRobot,
        progress: Progress | None,
    ) -> None:
        self._path, self._topic, self._messages = path, topic, messages
        self._stream, self._settings, self._robot = stream, settings, robot
        self._progress = progress
        self._limits = np.array([robot.limits.get(name, math.nan) for name in stream.names])
        if np.isnan(self._limits).any():
            self._limits = np.ones(len(stream.names))

    def run(self) -> BagAnalysis:
        blocks = iter(self._stream)
        head = self._head(blocks)
        estimator = self._estimator(head)
        weight_s, velocities = velocity_weight_of(
            head, estimator, self._settings, self._robot.turning
        )
        stride = estimator.read_stride
        motions = MotionStream(
            estimator, stride=stride, velocity_weight_s=weight_s, turning=self._robot.turning
        )
        period_s = stride * estimator.period_s
        places = max(1, round(1 / (period_s * _DRAWN_PLACES_HZ)))
        reader = Reader(self._robot.arm, estimator.window_s, period_s, places)
        count = len(self._stream.names)
        columns = count + (2 if self._robot.arm is not None else 0)
        magnitudes, envelope = Magnitudes(columns), Envelope(columns, period_s)
        segmenter, worst = Segmenter(self._settings, period_s), WorstMoments()
        drawn = PathTrace()
        first_s, last_s = math.inf, -math.inf
        some_positions = None
        ranges = None if self._robot.arm is None else JointRanges(self._robot.arm)
        for block in chain([head], blocks):
            readings = reader.read(motions.add(block.stamps_s, block.positions, block.velocities))
            jerk = readings.joint_jerk
            if readings.tool_jerk is not None:
                jerk = np.hstack([jerk, readings.tool_jerk])
            magnitudes.add(jerk)
            envelope.add(readings.time_s, jerk)
            segmenter.add(readings)
            worst.add(readings, self._limits)
            drawn.add(readings)
            first_s = min(first_s, float(block.stamps_s.min(initial=math.inf)))
            last_s = max(last_s, float(block.stamps_s.max(initial=-math.inf)))
            if ranges is not None:
                ranges.add(block.positions)
            if some_positions is None:
                finite = block.positions[np.isfinite(block.positions).all(axis=1)]
                some_positions = finite[0] if len(finite) else None
            if self._progress is not None:
                self._progress(self._stream.messages, self._messages)
        segmenter.finish()
        health = motions.health
        if not magnitudes.count:
            raise UserError(self._nothing(health, estimator, last_s - first_s))
        every = magnitudes.every()
        arm = self._robot.arm
        tool_floor = None
        if arm is not None and some_positions is not None:
            tool_floor = tool_noise_floor(
                estimator, self._settings.encoder_step, arm.jacobian(some_positions)
            )
        segments = tuple(segmenter.segments)
        return BagAnalysis(
            path_given=self._path,
            topic=self._topic,
            names=self._stream.names,
            estimator=estimator,
            robot=self._robot,
            duration_s=last_s - first_s,
            samples=health.samples,
            velocities=velocities,
            joints=every[:count],
            tool=(every[count], every[count + 1]) if arm is not None else None,
            noise_floor=joint_noise_floor(estimator, self._settings.encoder_step),
            tool_noise_floor=tool_floor,
            segments=segments,
            ldlj=_mean([segment.ldlj for segment in segments]),
            sparc=_mean([segment.sparc for segment in segments]),
            worst=tuple(
                Moment(
                    time_s,
                    self._stream.origin_ns + whole_nanoseconds(stamp_s),
                    jerk,
                    self._stream.names[joint],
                )
                for jerk, time_s, stamp_s, joint in worst.greatest(WORST_MOMENTS)
            ),
            curves=envelope.curves(),
            path=drawn.points(),
            notes=(
                *([] if ranges is None else ranges.notes()),
                *self._notes(health, estimator, every[:count]),
                *self._wraps(motions),
            ),
        )

    def _head(self, blocks: Any) -> StampedJoints:
        """Return the first block that has samples: rate and velocities are judged by it."""
        for block in blocks:
            if len(block.stamps_s) > 1:
                return block
        raise UserError(
            f'{self._path}: {self._topic} has a single sample; jerk needs a window of them'
        )

    def _estimator(self, head: StampedJoints) -> EstimatorSettings:
        steps = np.diff(head.stamps_s)
        back = np.count_nonzero(steps < 0)
        if back > _CLOCK_SET_BACK * len(steps):
            raise UserError(
                f'{self._path}: {self._topic} is in no order: {back} of {len(steps)} stamps lie '
                'far before the last one; write the recording again in the order of its stamps'
            )
        steps = steps[steps > 0]
        if not len(steps):
            raise UserError(
                f'{self._path}: {self._topic} has one and the same stamp throughout; '
                'stamp the messages where the encoders are read'
            )
        # Holes and bursts left out, the mean of the others: jitter cancels in it, in a median not.
        usual = np.abs(steps / np.median(steps) - 1.0) < _USUAL_STEP
        rate_hz = float(1 / steps[usual].mean())
        if abs(round(rate_hz) - rate_hz) <= _WHOLE_HZ * rate_hz:
            rate_hz = float(round(rate_hz))
        try:
            return EstimatorSettings(
                rate_hz=rate_hz, window_s=self._settings.window_s, order=self._settings.order
            )
        except UserError as error:
            raise UserError(f'{self._path}: {self._topic}: {error}') from error

    def _nothing(
        self, health: StreamHealth, estimator: EstimatorSettings, duration_s: float
    ) -> str:
        window = f'a window of {estimator.window_s:g} s ({estimator.window_samples} samples)'
        return (
            f'{self._path}: {self._topic} has no stretch as long as {window}: {health.samples} '
            f'samples over {max(0.0, duration_s):.3g} s with {health.gaps} gaps and '
            f'{health.rejected} values that are not finite; record longer or shorten --window'
        )

    def _notes(
        self,
        health: StreamHealth,
        estimator: EstimatorSettings,
        joints: tuple[dict[str, float], ...],
    ) -> list[str]:
        """Say what was wrong with the recording and what was done about it."""
        stream, floor = self._stream, joint_noise_floor(estimator, self._settings.encoder_step)
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
                '(--joints chooses)',
            ),
            (
                health.gaps,
                f'{health.gaps} gaps longer than {estimator.longest_step_s:.3g} s: no estimate '
                'reaches over one',
            ),
            (health.missing, f'{health.missing} samples that should have come did not'),
            (
                health.off_rate,
                f'{health.off_rate} windows are not at {estimator.rate_hz:g} Hz: left out',
            ),
            (
                stream.others,
                f'{stream.others} messages have other joints than {", ".join(stream.names)}: '
                'ignored',
            ),
            (
                stream.of_another,
                f'{stream.of_another} messages are of another publisher of the same joints, at '
                'times of its own: ignored',
            ),
        ]
        quiet = [
            name
            for name, figures in zip(stream.names, joints, strict=True)
            if figures['rms'] < 2 * floor
        ]
        said.append(
            (
                bool(quiet),
                f'hardly more than encoder noise ({floor:.2g} {self._robot.units(quiet)}): '
                f'{", ".join(quiet)}',
            )
        )
        return [text for happened, text in said if happened]

    def _wraps(self, motions: MotionStream) -> list[str]:
        assert motions.wraps is not None
        return [
            f'joint {name} wraps at 2 pi {count} times; unwrapped'
            for name, count in zip(self._stream.names, motions.wraps.tolist(), strict=True)
            if count
        ]


def _mean(values: list[float]) -> float:
    finite = [value for value in values if math.isfinite(value)]
    return float(np.mean(finite)) if finite else math.nan
