"""The motion guard: what it hears, what it commands, and when it does neither.

Everything that the arm may still do is one `CommandedMotion` that ends at rest: what was published.
A tick extends it; a stop shortens it; and if the guard dies, is late or finds no way on, the arm
follows what it has and comes to rest inside of its limits. There is no other way out of here, in
particular none for what a policy sends.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from smoothvla_ros.control.motion_guard.action_space import ActionSpace, Unreachable
from smoothvla_ros.control.motion_guard.arming import Arming
from smoothvla_ros.control.motion_guard.gripper import Gripper, GripperSettings
from smoothvla_ros.control.motion_guard.guard_inputs import GuardInputs, Measured
from smoothvla_ros.control.motion_guard.guard_settings import GuardSettings
from smoothvla_ros.control.motion_guard.motion import POSITION, CommandedMotion
from smoothvla_ros.control.motion_guard.phases import GuardPhase, PhaseEvent, PhaseMachine
from smoothvla_ros.control.motion_guard.profile import JointProfile
from smoothvla_ros.control.motion_guard.refusals import (
    STOPPING,
    Chunk,
    ChunkLimits,
    Refusal,
    Situation,
    refusal_of,
)
from smoothvla_ros.control.motion_guard.rest_watch import RestWatch
from smoothvla_ros.control.motion_guard.schedule import ChunkSchedule, Mode
from smoothvla_ros.control.motion_guard.timeline import Timeline
from smoothvla_ros.control.motion_guard.watchdogs import (
    JUMPS,
    PASSING,
    Trip,
    WatchdogInputs,
    WatchdogLimits,
    describe,
    tripped,
)
from smoothvla_ros.kinematics.joint_limits import JointLimits
from smoothvla_ros.nanoseconds import NANOSECOND_S

E_STOP = 'emergency stop'
# In which the parts of the next action are worked out, one a tick.
_PREPARED_TICKS = 8


@dataclass(frozen=True)
class GuardCommand:
    """What goes to the arm. motion: ends at rest; None: nothing new.

    position: [n] rad, of this tick, for a controller that takes nothing else; None: no motion, or
    a controller that interpolates.
    open_gripper: None where nothing changes.
    """

    motion: CommandedMotion | None = None
    start_ns: int = 0
    position: np.ndarray | None = None
    open_gripper: bool | None = None


class MotionGuard:
    """One arm. Every method takes the time, now_ns, of one clock; nothing here reads a clock."""

    def __init__(
        self,
        settings: GuardSettings,
        limits: JointLimits,
        space: ActionSpace,
        *,
        chunk_limits: ChunkLimits | None = None,
        watchdog_limits: WatchdogLimits | None = None,
        gripper: GripperSettings | None = None,
        streams_positions: bool = False,
        account: Callable[[], str] | None = None,
    ) -> None:
        """limits: of the joints.  space: what actions mean.

        streams_positions: the controller takes one position a tick and has no interpolation; the
        motion then advances by one tick a tick, however late it is.  account: asked, when a tick
        is too late, where the time since the one before it went.
        """
        self._settings = settings
        self._space = space
        self._chunk_limits = chunk_limits or ChunkLimits()
        self._watchdog_limits = watchdog_limits or WatchdogLimits()
        self._gripper = Gripper(gripper or GripperSettings())
        self._streams = streams_positions
        self._account = account
        self._time = Timeline(settings.rate_hz, settings.transport_s, streams_positions)
        self._arming = Arming(settings, limits, self._watchdog_limits, self._time.period_s)
        self._profile = JointProfile(
            limits, self._time.period_s, settings.follow_ticks, settings.horizon_s
        )
        self._machine = PhaseMachine()
        self._motion = CommandedMotion.at_rest(self._time.period_s, (0,), limits.lower)
        self._takeover_ends = 0
        self._schedule: ChunkSchedule | None = None
        self._heard = GuardInputs(len(limits.lower), self._chunk_limits.max_clock_difference_s)
        self._rest = RestWatch()
        self._epoch, self._seq = -1, -1
        self._changed = False
        self._lag = 0.0
        self.reason = ''
        self.refusals: Counter[Refusal] = Counter()
        self.late_ticks = self.ticks = self.unextended_ticks = self.chunks = 0
        self.ever_armed = False
        # Whether nobody but a person is to arm: it was armed before, or a fault was cleared.
        self.waits_for_a_person = False

    @property
    def phase(self) -> GuardPhase:
        """What the guard does."""
        return self._machine.phase

    @property
    def fault_latched(self) -> bool:
        """Whether nothing but `clear_fault` leads on."""
        return self._machine.fault_latched

    @property
    def epoch(self) -> int:
        """Of the last chunk taken; -1 before the first."""
        return self._epoch

    @property
    def seq(self) -> int:
        """Of the last chunk taken; -1 before the first."""
        return self._seq

    @property
    def lag_rad(self) -> float:
        """How far the commanded joints are from what the chunk asks for, the largest of a joint."""
        return self._lag

    @property
    def at_rest(self) -> bool:
        """Whether a guard that takes no chunks has nothing more to send."""
        return self.phase is not GuardPhase.STOPPING and not self._is_led

    def commanded(self) -> np.ndarray | None:
        """Return what the joints are commanded at the last tick; None while they are not.

        [3, n]: position rad, velocity rad/s, acceleration rad/s^2.  None too while a controller
        that interpolates goes from its last command to where the arm is held: only it knows how.
        """
        stands = self.phase in (GuardPhase.DISARMED, GuardPhase.FAULTED)
        if (stands and not self._is_led) or (self._is_taking_over and not self._streams):
            return None
        return self._motion.at(self._time.now_tick)

    def tracking_error_rad(self) -> float:
        """Return how far the measured joints are from the commanded ones, the largest of a joint.

        Infinite where nothing was measured.
        """
        measured = self._heard.measured
        if measured is None:
            return math.inf
        return float(np.abs(self._commanded_at(measured) - measured.joints).max())

    def hear_joints(
        self, now_ns: int, stamp_ns: int, joints: np.ndarray, velocities: np.ndarray | None = None
    ) -> bool:
        """Take a joint state [n] rad, rad/s; return whether it is heard: not unless finite."""
        return self._heard.hear_joints(now_ns, stamp_ns, joints, velocities)

    def hear_heartbeat(self, now_ns: int) -> None:
        """Take a heartbeat of the policy."""
        self._heard.hear_heartbeat(now_ns)

    def repeat_gripper(self) -> None:
        """Say the gripper's next command again, whatever it is: the last one did not arrive."""
        self._gripper.forget()

    def arm(self, now_ns: int) -> str:
        """Take the arm over where it is; return why not, or an empty string.

        Whichever policy comes first is then followed, even if its epoch is before the last one's.
        """
        if self.phase is not GuardPhase.DISARMED:
            return f'the guard is {self.phase.name.lower()}'
        refused = self._take_over(now_ns)
        if not refused:
            self._epoch, self._seq = -1, -1
        return refused

    def clear_fault(self, now_ns: int) -> str:
        """Leave a fault; return why not, or an empty string. The arm moves only once it is armed.

        To reset an emergency stop must not restart what it stopped (ISO 13850).
        """
        if not self._machine.handle(PhaseEvent.CLEAR):
            return f'the guard is {self.phase.name.lower()}'
        self.waits_for_a_person = True
        self.reason = ''
        return ''

    def disarm(self, now_ns: int) -> str:
        """Stop and take no more chunks; return why not, or an empty string."""
        self._watch_clock(now_ns)
        if self.fault_latched:
            return f'faulted: {self.reason}; clear the fault first'
        self._stop(now_ns, PhaseEvent.DISARM, '')
        return ''

    def e_stop(self, now_ns: int) -> str:
        """Stop, and stay stopped until the fault is cleared and the guard armed."""
        self._watch_clock(now_ns)
        self._stop(now_ns, PhaseEvent.FAULT, E_STOP)
        return ''

    def offer(self, now_ns: int, chunk: Chunk) -> Refusal | None:
        """Judge a chunk, and execute it if nothing speaks against it."""
        self._watch_clock(now_ns)
        refusal = refusal_of(chunk, self._situation(now_ns), self._chunk_limits)
        detail = chunk.refusal
        if refusal is None:
            try:
                refusal = self._take(now_ns, chunk)
            except Unreachable as error:
                refusal, detail = Refusal.UNREACHABLE, str(error)
        if refusal is None:
            return None
        self.refusals[refusal] += 1
        # The same chunk twice is how a link repeats itself, no news.
        if refusal is not Refusal.DUPLICATE:
            reason = f'chunk refused: {refusal}' + (f': {detail}' if detail else '')
            if refusal in STOPPING and self.phase is GuardPhase.RUNNING:
                self._stop(now_ns, PhaseEvent.PAUSE, reason)
            elif not self.fault_latched:
                self.reason = reason
        return refusal

    def tick(self, now_ns: int) -> GuardCommand:
        """Do what is due: watch, extend or end the motion, and return what goes to the arm."""
        since_last_s, late_s = self._time.advance(now_ns)
        self.ticks += 1
        self.late_ticks += late_s > self._time.period_s
        if self.phase in (GuardPhase.ARMED, GuardPhase.RUNNING):
            pulse = self._pulse(now_ns, since_last_s, late_s)
            trip = tripped(pulse, self._watchdog_limits)
            if trip is not None:
                self._trip(now_ns, trip, describe(trip, pulse, self._watchdog_limits))
        if self.phase is GuardPhase.RUNNING:
            self._extend(now_ns)
        if self.phase is GuardPhase.STOPPING and self._time.now_tick >= self._motion.end:
            self._machine.handle(PhaseEvent.AT_REST)
        return self._command()

    def _situation(self, now_ns: int) -> Situation:
        return Situation(
            now_ns=now_ns,
            ready=self._machine.takes_chunks,
            heartbeat=self._heard.heartbeat_age_s(now_ns)
            <= self._watchdog_limits.heartbeat_timeout_s
            or self._watchdog_limits.heartbeat_timeout_s == 0.0,
            action_space=self._space.name,
            dimension=self._space.dimension,
            epoch=self._epoch,
            seq=self._seq,
            moving=self._is_moving(),
        )

    @property
    def _is_taking_over(self) -> bool:
        return self._time.now_tick < self._takeover_ends

    @property
    def _is_led(self) -> bool:
        """Whether the stream leads the arm to where it is taken over."""
        return self._streams and self._is_taking_over

    def _is_moving(self) -> bool:
        return self._time.now_tick < self._motion.end and self.phase is GuardPhase.RUNNING

    def _take(self, now_ns: int, chunk: Chunk) -> Refusal | None:
        """Schedule a chunk that passed the rules.  Raises Unreachable."""
        actions = chunk.rows()
        tick = self._first_free_tick(now_ns)
        time_s = tick * self._time.period_s
        if self._is_taking_over and self._age_s(chunk, now_ns, tick) > (
            self._chunk_limits.max_observation_age_s
        ):
            return Refusal.OBSERVATION_TOO_OLD
        schedule = self._schedule
        if schedule is None:
            at_rest = self._space.at_rest(self._motion.states[-1, POSITION])
            schedule = ChunkSchedule(self._space, at_rest, time_s)
        replaces = self._settings.scheduling == Mode.REPLACE and schedule is self._schedule
        if replaces and self._settings.skip_elapsed:
            # A stamp may lie in the future by max_clock_difference_s.
            elapsed_s = max(now_ns - chunk.observation_stamp_ns, 0) * NANOSECOND_S
            actions = actions[int(elapsed_s / chunk.dt) :]
            if not len(actions):
                return Refusal.CHUNK_TOO_OLD
        knot = schedule.knot_at(time_s)
        measured = self._heard.measured
        joints = measured.joints if measured is not None else np.inf
        distance = np.abs(self._space.first_target(knot, actions) - joints).max()
        if not distance <= self._chunk_limits.max_start_distance_rad:
            return Refusal.TOO_FAR_FROM_ARM
        self._space.require_reachable(knot, actions)
        if replaces:
            schedule.replace(actions, chunk.dt, time_s, self._settings.overlap)
        else:
            schedule.append(actions, chunk.dt, time_s)
        # What the next ticks aim at is worked out here: ticks then take about the same time each.
        schedule.at(time_s + self._settings.horizon_s + _PREPARED_TICKS * self._time.period_s)
        self._schedule = schedule
        self._epoch, self._seq = chunk.epoch, chunk.seq
        self._machine.handle(PhaseEvent.CHUNK)
        self.chunks += 1
        self.reason = ''
        return None

    def _age_s(self, chunk: Chunk, now_ns: int, tick: int) -> float:
        """Return how old what a chunk answers will be at a tick, s."""
        return (now_ns - chunk.observation_stamp_ns) * NANOSECOND_S + (
            tick - self._time.now_tick
        ) * self._time.period_s

    def _take_over(self, now_ns: int) -> str:
        refused = self._arming.refusal(now_ns, self._heard)
        if refused:
            return refused
        if self._is_led:
            return 'the arm is still being taken over; ask again when it has come to rest'
        assert self._heard.measured is not None
        joints = self._heard.measured.joints
        settling_s, last = self._settling_s(joints), self._motion.states[-1, POSITION]
        self._time.begin(now_ns)
        ends = self._time.ticks(settling_s)
        self._motion = CommandedMotion.at_rest(self._time.period_s, (ends,), joints)
        if self._streams and self.ever_armed:
            # Nothing but what is streamed brings such a controller from its last position here.
            leaves = CommandedMotion.at_rest(self._time.period_s, (0,), last)
            self._motion = leaves.continued(self._motion)
        self._takeover_ends = ends
        self._schedule = None
        self._gripper.forget()
        self._machine.handle(PhaseEvent.ARM)
        self.ever_armed = self.waits_for_a_person = True
        self._changed = True
        self._lag = 0.0
        self.reason = ''
        return ''

    def _settling_s(self, joints: np.ndarray) -> float:
        if self._streams and not self.ever_armed:
            # Wherever the controller is, the first position of a stream is where it goes at once.
            return self._settings.settle_s
        last = self._motion.states[-1, POSITION] if self.ever_armed else None
        return self._arming.settling_s(joints, last)

    def _pulse(self, now_ns: int, since_last_s: float, late_s: float) -> WatchdogInputs:
        running = self.phase is GuardPhase.RUNNING
        idle_s = 0.0
        if running and self._schedule is not None:
            now_s = self._time.now_tick * self._time.period_s
            idle_s = now_s - self._schedule.commanded_until_s
        return WatchdogInputs(
            since_last_tick_s=since_last_s,
            late_s=late_s,
            joint_states_age_s=self._heard.joints_age_s(now_ns),
            joint_states_ahead_s=self._heard.ahead_s,
            # A policy that is not there yet, or again, is no fault while nothing moves.
            heartbeat_age_s=self._heard.heartbeat_age_s(now_ns) if running else 0.0,
            idle_s=idle_s,
            tracking_error_rad=0.0 if self._is_taking_over else self.tracking_error_rad(),
            rest_motion_rad=self._rest_motion_rad(),
            lag_rad=self._lag if running else 0.0,
        )

    def _rest_motion_rad(self) -> float:
        measured = self._heard.measured
        if measured is None or self._is_taking_over:
            self._rest.forget()
            return 0.0
        commanded = self._commanded_at(measured)
        return self._rest.moved_rad(measured.stamp_ns, commanded, measured.joints)

    def _commanded_at(self, measured: Measured) -> np.ndarray:
        """Return where the joints were commanded when they were measured, [n] rad."""
        return self._motion.at(self._time.tick_of(measured.stamp_ns))[POSITION]

    def _watch_clock(self, now_ns: int) -> None:
        """Trip where the clock jumped since the last tick: whoever asks may come before one.

        A stop from a time that is over would make the arm jump, and all the ticks of a time that
        never was would be worked out at once.
        """
        since_last_s = self._time.since_last_s(now_ns)
        late_s = since_last_s - self._time.period_s
        if self.phase in (GuardPhase.ARMED, GuardPhase.RUNNING):
            pulse = self._pulse(now_ns, since_last_s, late_s)
            trip = tripped(pulse, self._watchdog_limits, JUMPS)
            if trip is not None:
                self._trip(now_ns, trip, describe(trip, pulse, self._watchdog_limits))

    def _trip(self, now_ns: int, trip: Trip, reason: str) -> None:
        event = PhaseEvent.PAUSE if trip in PASSING else PhaseEvent.FAULT
        if trip is Trip.OVERRUN and self._account is not None and (account := self._account()):
            reason += f' ({account})'
        if trip is Trip.CLOCK_WENT_BACK and not self._streams:
            # A stamp of either clock would be wrong for the other: what was sent ends at rest.
            self.reason = reason
            self._schedule = None
            self._machine.handle(event)
            return
        self._stop(now_ns, event, reason)

    def _stop(self, now_ns: int, event: PhaseEvent, reason: str) -> None:
        """Bring what moves to rest as fast as the limits allow, and say why."""
        was_running = self.phase is GuardPhase.RUNNING
        if not self._machine.handle(event):
            return
        self.reason = reason
        self._schedule = None
        if self._is_led:
            tick = self._time.first_free_tick(now_ns)
            self._replace_motion(self._profile.stopped(self._motion, tick))
            self._takeover_ends = self._motion.end
        elif was_running and self._time.now_tick < self._motion.end:
            self._replace_motion(self._profile.stopped(self._motion, self._first_free_tick(now_ns)))

    def _first_free_tick(self, now_ns: int) -> int:
        return max(self._time.first_free_tick(now_ns), self._takeover_ends)

    def _extend(self, now_ns: int) -> None:
        assert self._schedule is not None
        tick = self._first_free_tick(now_ns)
        period_s = self._time.period_s
        ahead_s = tick * period_s + self._settings.horizon_s
        try:
            self._schedule.prepare(ahead_s)
            position, velocity = self._schedule.at(ahead_s)
            asked, _ = self._schedule.at(tick * period_s)
        except Unreachable as error:
            self._stop(now_ns, PhaseEvent.PAUSE, f'{Refusal.UNREACHABLE}: {error}')
            return
        self._schedule.forget(self._time.now_tick * period_s - 1.0)
        longer = self._profile.extended(self._motion, tick, position, velocity)
        self.unextended_ticks += longer is None
        self._replace_motion(longer if longer is not None else self._motion)
        self._lag = float(np.abs(self._motion.at(tick)[POSITION] - asked).max())

    def _replace_motion(self, motion: CommandedMotion) -> None:
        if motion is not self._motion:
            # As much of the past as a joint state may be old: it is compared with what was then.
            kept = self._time.ticks(self._watchdog_limits.joint_states_timeout_s)
            self._motion = motion.since(self._time.now_tick - kept)
            self._changed = True

    def _command(self) -> GuardCommand:
        now = self._time.now_tick
        motion, position, open_gripper = None, None, None
        if self._changed:
            motion = self._motion.since(now - 1)
            self._changed = False
        takes_over = self.ever_armed and now <= self._takeover_ends
        if self._streams and (
            takes_over or self.phase in (GuardPhase.RUNNING, GuardPhase.STOPPING)
        ):
            position = self._motion.at(now)[POSITION]
        action = self._present_action()
        if action is not None:
            open_gripper = self._gripper.update(float(action[-1]))
        return GuardCommand(motion, self._time.origin_ns, position, open_gripper)

    def _present_action(self) -> np.ndarray | None:
        if self.phase is not GuardPhase.RUNNING or self._schedule is None:
            return None
        return self._schedule.action_at(self._time.now_tick * self._time.period_s)
