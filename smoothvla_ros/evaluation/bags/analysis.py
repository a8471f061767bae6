"""One recording, from its joint samples to the figures of its jerk."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from smoothvla_ros.evaluation.bags.joint_ranges import JointRanges
from smoothvla_ros.evaluation.bags.joint_stream import (
    JointStream,
    StampedJoints,
    require_joint_topic,
)
from smoothvla_ros.evaluation.bags.readings import Reader
from smoothvla_ros.evaluation.bags.recording_faults import (
    encoder_noise,
    estimator_for,
    first_samples,
    nothing_measured,
    stream_notes,
    wrap_notes,
)
from smoothvla_ros.evaluation.bags.segments import Segment, Segmenter
from smoothvla_ros.evaluation.bags.settings import AnalysedRobot, AnalysisSettings
from smoothvla_ros.evaluation.bags.traces import Envelope, PathTrace, WorstMoments
from smoothvla_ros.evaluation.bags.velocities import velocity_weight_of
from smoothvla_ros.nanoseconds import whole_nanoseconds
from smoothvla_ros.recordings import Bag
from smoothvla_ros.smoothness import (
    EstimatorSettings,
    MotionStream,
    joint_noise_floor,
    tool_noise_floor,
)
from smoothvla_ros.smoothness.running_magnitudes import Magnitudes

WORST_MOMENTS = 5
_DRAWN_PLACES_HZ = 20.0

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
        reading = _Reading(f'{path}: {topic.name}', stream, settings, robot)
        for block in reading.blocks():
            reading.add(block)
            if progress is not None:
                progress(stream.messages, topic.messages)
        return reading.result(path, topic.name)


class _Reading:
    """The state of one pass over one recording."""

    def __init__(
        self,
        place: str,
        stream: JointStream,
        settings: AnalysisSettings,
        robot: AnalysedRobot,
    ) -> None:
        """Judge rate and velocities by the first samples.

        place: recording and topic, for the errors.
        """
        self._place, self._stream, self._settings, self._robot = place, stream, settings, robot
        self._rest = iter(stream)
        self._head = first_samples(self._rest, place)
        self._estimator = estimator_for(self._head, settings, place)
        weight_s, self._velocities = velocity_weight_of(
            self._head, self._estimator, settings, robot.turning
        )
        stride = self._estimator.read_stride
        self._motions = MotionStream(
            self._estimator, stride=stride, velocity_weight_s=weight_s, turning=robot.turning
        )
        period_s = stride * self._estimator.period_s
        places = max(1, round(1 / (period_s * _DRAWN_PLACES_HZ)))
        self._reader = Reader(robot.arm, self._estimator.window_s, period_s, places)
        columns = len(stream.names) + (2 if robot.arm is not None else 0)
        self._magnitudes, self._envelope = Magnitudes(columns), Envelope(columns, period_s)
        self._segmenter = Segmenter(settings, period_s)
        self._worst, self._drawn = WorstMoments(), PathTrace()
        self._ranges = None if robot.arm is None else JointRanges(robot.arm)
        self._limits = np.array([robot.limits.get(name, math.nan) for name in stream.names])
        if np.isnan(self._limits).any():
            self._limits = np.ones(len(stream.names))
        self._first_s, self._last_s = math.inf, -math.inf
        self._some_positions: np.ndarray | None = None

    def blocks(self) -> Iterator[StampedJoints]:
        """Return the samples, block by block; only once."""
        return chain([self._head], self._rest)

    def add(self, block: StampedJoints) -> None:
        """Take the next samples."""
        motions = self._motions.add(block.stamps_s, block.positions, block.velocities)
        readings = self._reader.read(motions)
        jerk = readings.joint_jerk
        if readings.tool_jerk is not None:
            jerk = np.hstack([jerk, readings.tool_jerk])
        self._magnitudes.add(jerk)
        self._envelope.add(readings.time_s, jerk)
        self._segmenter.add(readings)
        self._worst.add(readings, self._limits)
        self._drawn.add(readings)
        self._first_s = min(self._first_s, float(block.stamps_s.min(initial=math.inf)))
        self._last_s = max(self._last_s, float(block.stamps_s.max(initial=-math.inf)))
        if self._ranges is not None:
            self._ranges.add(block.positions)
        if self._some_positions is None:
            finite = block.positions[np.isfinite(block.positions).all(axis=1)]
            self._some_positions = finite[0] if len(finite) else None

    def result(self, path: Path, topic: str) -> BagAnalysis:
        """Return the figures of everything taken.  Raises UserError where nothing was measured."""
        self._segmenter.finish()
        duration_s = self._last_s - self._first_s
        health = self._motions.health
        if not self._magnitudes.count:
            raise nothing_measured(health, self._estimator, duration_s, self._place)
        every, count = self._magnitudes.every(), len(self._stream.names)
        segments = tuple(self._segmenter.segments)
        return BagAnalysis(
            path_given=path,
            topic=topic,
            names=self._stream.names,
            estimator=self._estimator,
            robot=self._robot,
            duration_s=duration_s,
            samples=health.samples,
            velocities=self._velocities,
            joints=every[:count],
            tool=(every[count], every[count + 1]) if self._robot.arm is not None else None,
            noise_floor=self._noise_floor(),
            tool_noise_floor=self._tool_noise_floor(),
            segments=segments,
            ldlj=_mean([segment.ldlj for segment in segments]),
            sparc=_mean([segment.sparc for segment in segments]),
            worst=self._worst_moments(),
            curves=self._envelope.curves(),
            path=self._drawn.points(),
            notes=self._notes(every[:count]),
        )

    def _noise_floor(self) -> float:
        return joint_noise_floor(self._estimator, self._settings.encoder_step)

    def _tool_noise_floor(self) -> tuple[float, float] | None:
        arm, positions = self._robot.arm, self._some_positions
        if arm is None or positions is None:
            return None
        jacobian = arm.jacobian(positions)
        return tool_noise_floor(self._estimator, self._settings.encoder_step, jacobian)

    def _worst_moments(self) -> tuple[Moment, ...]:
        origin_ns, names = self._stream.origin_ns, self._stream.names
        return tuple(
            Moment(time_s, origin_ns + whole_nanoseconds(stamp_s), jerk, names[joint])
            for jerk, time_s, stamp_s, joint in self._worst.greatest(WORST_MOMENTS)
        )

    def _notes(self, joints: tuple[dict[str, float], ...]) -> tuple[str, ...]:
        stream, motions = self._stream, self._motions
        return (
            *([] if self._ranges is None else self._ranges.notes()),
            *stream_notes(stream, motions.health, self._estimator),
            *encoder_noise(stream.names, joints, self._noise_floor(), self._robot),
            *wrap_notes(stream.names, motions.wraps),
        )


def _mean(values: list[float]) -> float:
    finite = [value for value in values if math.isfinite(value)]
    return float(np.mean(finite)) if finite else math.nan
