"""One episode through the motion guard on the twin, in one process and in simulated time.

What `deploy.launch.py hardware:=twin` does with processes, topics and clocks, without them: the
same guard, the same arm, delays of a fixed length instead of a machine's. So the same episode
always comes out the same, on a busy machine too.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from smoothvla_ros.control.live.live_observation_slot import (
    LiveObservationSlot,
    LiveSettings,
    Trigger,
)
from smoothvla_ros.control.lock_step.protocol import Answer, Question
from smoothvla_ros.control.motion_guard.guard import GuardCommand, MotionGuard
from smoothvla_ros.control.motion_guard.phases import GuardPhase
from smoothvla_ros.control.motion_guard.refusals import Chunk
from smoothvla_ros.errors import UserError
from smoothvla_ros.libero import CONTROL_PERIOD_S, CONTROL_RATE_HZ
from smoothvla_ros.nanoseconds import NANOSECONDS
from smoothvla_ros.records import EpisodeName, Observation
from smoothvla_ros.simulation import tasks
from smoothvla_ros.simulation.twin.arm_twin import FINGER_RANGE_M, ArmTwin
from smoothvla_ros.simulation.twin.trajectory_controller import TrajectoryPoint

_START_NS = 1_000 * NANOSECONDS
# Longer than a guard takes an arm over for that it knows nothing of.
_ARMING_S = 1.0
_CAMERAS = 'cameras'


@dataclass(frozen=True)
class Delays:
    """What takes time between a camera and the arm, s, and when a decision is due.

    image_s: between two images.  observation_s: from an image to the guard's receipt of the chunk
    that answers it.  transport_s: of a command.  lead_s, max_lead_s: as the policy node has them.
    """

    image_s: float = 0.05
    observation_s: float = 0.06
    transport_s: float = 0.004
    lead_s: float = 0.12
    max_lead_s: float = 0.5


@dataclass(frozen=True)
class GuardedEpisode:
    """What came of it.

    joint_positions, commanded_positions: [T, 7] rad, one row a substep, from the first chunk on.
    ended: why it ended before success, empty where it succeeded.  refusals: of chunks, by reason.
    tracking_error_rad: the largest.
    """

    name: EpisodeName
    success: bool
    ended: str
    joint_positions: np.ndarray
    commanded_positions: np.ndarray
    period_s: float
    refusals: dict[str, int]
    chunks: int
    tracking_error_rad: float


Decide = Callable[[Observation, int], np.ndarray]
"""Observation and index of the chunk to actions [chunk, 7]."""


def play_guarded(
    twin: ArmTwin,
    guard: MotionGuard,
    rate_hz: float,
    action_space: str,
    decide: Decide,
    name: EpisodeName,
    delays: Delays | None = None,
    chunks: int | None = None,
) -> GuardedEpisode:
    """Play an episode with a guard that was never armed, until success, a fault or LIBERO's limit.

    The limit counts from the first chunk that the guard takes, or from arming where it takes none.
    rate_hz: of the guard; a divisor of the physics' 500 Hz.  chunks: end after so many instead.
    Raises UserError for an unknown name or a rate that does not divide.
    """
    return _Episode(twin, guard, rate_hz, action_space, decide, name, delays or Delays()).play(
        chunks
    )


class _Episode:
    def __init__(
        self,
        twin: ArmTwin,
        guard: MotionGuard,
        rate_hz: float,
        action_space: str,
        decide: Decide,
        name: EpisodeName,
        delays: Delays,
    ) -> None:
        twin.reset(name)
        self._twin, self._guard, self._decide, self._name = twin, guard, decide, name
        self._action_space, self._delays = action_space, delays
        self._substeps = round(1.0 / (rate_hz * twin.period_s))
        if abs(self._substeps * rate_hz * twin.period_s - 1.0) > 1e-9:
            raise UserError(
                f'guard rate {rate_hz} Hz does not divide the physics; choose 250 or 500'
            )
        self._now_ns = _START_NS
        self._image_ns = round(self._delays.image_s * NANOSECONDS)
        settings = LiveSettings(
            Trigger.BEFORE_CHUNK_END,
            max_skew_ns=0,
            max_age_ns=0,
            lead_ns=round(self._delays.lead_s * NANOSECONDS),
            max_lead_ns=round(self._delays.max_lead_s * NANOSECONDS),
        )
        self._slot = LiveObservationSlot(
            'twin', (_CAMERAS,), settings, lambda: self._now_ns, states=()
        )
        self._slot.instruct(twin.environment.task.language)
        # The first chunk says how long one is; nothing runs before it.
        self._slot.expect_chunks(self._image_ns)
        self._image_due_ns = _START_NS + round(_ARMING_S * NANOSECONDS)
        self._on_its_way: tuple[int, Question, np.ndarray] | None = None
        self._commands: list[tuple[int, GuardCommand]] = []
        self._over_ns = 0
        self._began_ns = _START_NS
        self._taken = 0
        self._sequence = 0
        self._rows: list[tuple[np.ndarray, np.ndarray]] = []
        self._worst_rad = 0.0

    def play(self, chunks: int | None) -> GuardedEpisode:
        self._tick(deciding=False)
        reason = self._guard.arm(self._now_ns)
        if reason:
            raise UserError(f'{self._name}: the guard cannot be armed: {reason}')
        while self._now_ns < _START_NS + _ARMING_S * NANOSECONDS:
            self._tick(deciding=False)
        self._began_ns = self._now_ns
        limit_s = tasks.horizon(self._name.suite) / CONTROL_RATE_HZ
        ended = ''
        while not self._twin.succeeded:
            if self._guard.phase is GuardPhase.FAULTED:
                ended = self._guard.reason
                break
            if self._now_ns - self._began_ns >= limit_s * NANOSECONDS:
                ended = 'out of time'
                break
            if chunks is not None and self._taken == chunks and self._now_ns > self._over_ns:
                ended = 'all chunks played'
                break
            self._tick(deciding=chunks is None or self._taken < chunks)
        rows = np.array(self._rows).reshape(-1, 2, len(self._twin.state().joint_positions))
        return GuardedEpisode(
            self._name,
            bool(self._twin.succeeded),
            ended,
            rows[:, 0],
            rows[:, 1],
            self._twin.period_s,
            {str(refusal): count for refusal, count in self._guard.refusals.items()},
            self._taken,
            self._worst_rad,
        )

    def _tick(self, *, deciding: bool) -> None:
        """Let the guard, and the policy where it is its turn, act; then let the arm move."""
        now, guard, twin = self._now_ns, self._guard, self._twin
        guard.hear_joints(now, now, twin.state().joint_positions)
        guard.hear_heartbeat(now)
        if deciding:
            self._observe()
        self._offer()
        command = guard.tick(now)
        self._commands.append((now + round(self._delays.transport_s * NANOSECONDS), command))
        while self._commands and self._commands[0][0] <= now:
            self._obey(self._commands.pop(0)[1])
        for _ in range(self._substeps):
            twin.advance()
            if self._taken:
                commanded = twin.commanded_positions().copy()
                self._rows.append((twin.state().joint_positions, commanded))
                error = float(np.abs(self._rows[-1][0] - commanded).max())
                self._worst_rad = max(self._worst_rad, error)
        self._now_ns += round(self._substeps * twin.period_s * NANOSECONDS)

    def _observe(self) -> None:
        """Take an image where one is due, and let the policy answer it where it would."""
        if self._now_ns < self._image_due_ns:
            return
        self._image_due_ns += self._image_ns
        self._slot.add(_CAMERAS, self._now_ns, None)
        pending = self._slot.pending()
        if self._on_its_way is None and pending is not None:
            actions = self._decide(self._twin.environment.observe(), self._taken)
            arrives = self._now_ns + round(self._delays.observation_s * NANOSECONDS)
            self._on_its_way = arrives, pending.question, actions

    def _offer(self) -> None:
        if self._on_its_way is None or self._on_its_way[0] > self._now_ns:
            return
        _, question, actions = self._on_its_way
        self._on_its_way = None
        self._sequence += 1
        dt = CONTROL_PERIOD_S
        chunk = Chunk(
            epoch=1,
            seq=self._sequence,
            stamp_ns=self._now_ns,
            observation_stamp_ns=question.stamp_ns,
            dt=dt,
            action_space=self._action_space,
            horizon=actions.shape[0],
            dimension=actions.shape[1],
            actions=actions.ravel(),
        )
        period_ns = round(len(actions) * dt * NANOSECONDS)
        self._slot.expect_chunks(period_ns)
        nothing = np.empty((0, 0))
        self._slot.settle(question, Answer(question, 1, self._sequence, actions, nothing, nothing))
        if self._guard.offer(self._now_ns, chunk) is None:
            if not self._taken:
                self._began_ns = self._now_ns
            self._taken += 1
            self._over_ns = self._now_ns + period_ns

    def _obey(self, command: GuardCommand) -> None:
        if command.open_gripper is not None:
            self._twin.open_gripper(FINGER_RANGE_M if command.open_gripper else 0.0)
        motion = command.motion
        if motion is None:
            return
        first = int(motion.ticks[0])
        points = [
            TrajectoryPoint((int(tick) - first) * motion.period_s, *state)
            for tick, state in zip(motion.ticks, motion.states, strict=True)
        ]
        starts_s = (command.start_ns - self._now_ns) / NANOSECONDS + first * motion.period_s
        self._twin.follow(points, starts_s)
