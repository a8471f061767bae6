"""The twin's own thread: commands in, physics at its pace, what an arm and its cameras send out."""

from __future__ import annotations

import itertools
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from smoothvla_ros.errors import UserError
from smoothvla_ros.libero import CONTROL_RATE_HZ
from smoothvla_ros.nanoseconds import NANOSECONDS, whole_nanoseconds
from smoothvla_ros.records import EpisodeName
from smoothvla_ros.simulation import tasks
from smoothvla_ros.simulation.twin.arm_twin import ArmTwin, SceneLostError, TwinState
from smoothvla_ros.simulation.twin.cameras import Images, TwinCameras
from smoothvla_ros.simulation.twin.episode_log import EpisodeLog
from smoothvla_ros.simulation.twin.pacing import Pacer

_PATIENCE_S = 0.5


@dataclass(frozen=True)
class RunnerSettings:
    """speed: simulated seconds a second.  owns_clock: everyone's time is the simulated one.

    joint_rate_hz, image_rate_hz: in simulated time.  time_limit_s: from the first command of an
    episode; 0 is LIBERO's own.
    """

    speed: float
    owns_clock: bool
    joint_rate_hz: float
    image_rate_hz: float
    time_limit_s: float


class Outlet(Protocol):
    """Who hears of the twin; `images` is called in the thread of the cameras."""

    def clock(self, stamp_ns: int) -> None:
        """Time is now this."""

    def state(self, stamp_ns: int, state: TwinState) -> None:
        """The arm is there."""

    def images(self, stamp_ns: int, images: Images) -> None:
        """The cameras saw this."""

    def began(self, name: EpisodeName, instruction: str, number: int, stamp_ns: int) -> None:
        """An episode begins with the joint state of this stamp."""

    def ended(self, success: bool, stamp_ns: int, samples: int) -> None:
        """It ended with the joint state of this stamp, `samples` after the first, both counted."""

    def cut_short(self, stamp_ns: int, samples: int) -> None:
        """Another one takes its place; its last joint state was of this stamp, if it had any."""

    def refused(self, reason: str) -> None:
        """A command was not taken."""


class TwinRunner:
    """Runs `run` in one thread; every other method may be called from any."""

    def __init__(
        self,
        twin: ArmTwin,
        episodes: Sequence[EpisodeName],
        settings: RunnerSettings,
        outlet: Outlet,
        log: EpisodeLog,
        start_ns: int,
    ) -> None:
        """episodes: taken in turn, over and over.  start_ns: the stamp of simulated time 0."""
        self._twin = twin
        self._episodes = itertools.cycle(episodes)
        self._settings = settings
        self._outlet = outlet
        self._log = log
        self._start_ns = start_ns
        self._cameras = TwinCameras(outlet.images)
        self._changed = threading.Condition()
        self._commands: deque[Callable[[ArmTwin], None]] = deque()
        self._wanted: deque[tuple[EpisodeName | None, threading.Event]] = deque()
        self._stopping = self._paused = self._stands = False
        self._number = 0
        self._running = False
        self._samples = self._stamp_ns = 0
        self._substeps = 0
        self._skipped_images = 0
        self._pacer = Pacer(1.0, 1.0, 0.0)

    def command(self, command: Callable[[ArmTwin], None]) -> None:
        """Give the arm a command between two substeps; while time stands still it is dropped."""
        with self._changed:
            if self._paused:
                return
            self._commands.append(command)
            self._changed.notify_all()

    def reset(self, name: EpisodeName | None = None) -> threading.Event:
        """Begin a named episode, or the next; the event is set when it has begun or was refused."""
        done = threading.Event()
        with self._changed:
            self._wanted.append((name, done))
            self._changed.notify_all()
        return done

    def delay_s(self, stamp_ns: int) -> float | None:
        """Return how far a stamp lies ahead of the simulation, s; None for 0, which is at once."""
        return (stamp_ns - self._stamp()) / NANOSECONDS if stamp_ns else None

    def pause(self) -> None:
        """Let time stand still before this returns, and until `resume`; what is asked for waits.

        Commands of the meantime are dropped: an arm that obeyed them later would surprise.
        """
        with self._changed:
            self._paused = True
            self._commands.clear()
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._stands or self._stopping)

    def resume(self) -> None:
        """Let time go on."""
        with self._changed:
            self._paused = False
            self._changed.notify_all()

    def stop(self) -> None:
        """End `run`."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()

    @property
    def skipped_images(self) -> int:
        """Images that were due while the cameras were still drawing the ones before."""
        return self._skipped_images

    @property
    def slipped_s(self) -> float:
        """By how much the machine was too slow since the episode began, s."""
        return self._pacer.slipped_s

    def run(self) -> None:
        """Play until `stop`.  Raises UserError where the first episode or the drawing fails."""
        try:
            self._begin(next(self._episodes))
            while True:
                with self._changed:
                    if self._paused:
                        self._stand_still()
                    self._changed.wait_for(
                        lambda: self._stopping or bool(self._wanted),
                        self._pacer.seconds_to_next(time.monotonic()),
                    )
                    if self._stopping:
                        return
                    wanted = self._wanted.popleft() if self._wanted else None
                if wanted is not None:
                    self._begin_wanted(*wanted)
                due = self._pacer.due(time.monotonic())
                self._keep_up_with_the_wall()
                for _ in range(due):
                    self._substep()
        finally:
            self._cameras.close()
            self.stop()

    def _stand_still(self) -> None:
        """Wait under the lock until `resume` or `stop`."""
        self._stands = True
        self._changed.notify_all()
        self._changed.wait_for(lambda: self._stopping or not self._paused)
        self._stands = False
        self._begin_pace()

    def _begin_wanted(self, name: EpisodeName | None, done: threading.Event) -> None:
        try:
            self._begin(name if name is not None else next(self._episodes))
        except SceneLostError as error:
            self._cut_short()
            self._outlet.refused(str(error))
        except UserError as error:
            self._outlet.refused(str(error))
        done.set()

    def _begin(self, name: EpisodeName) -> None:
        twin = self._twin
        twin.reset(name)
        self._cut_short()
        self._cameras.prepare(twin.environment)
        with self._changed:
            self._commands.clear()
        settings, period_s = self._settings, twin.period_s
        self._period_ns = whole_nanoseconds(period_s)
        self._joint_every = max(1, round(1.0 / (settings.joint_rate_hz * period_s)))
        self._image_every = max(1, round(1.0 / (settings.image_rate_hz * period_s)))
        self._limit_s = settings.time_limit_s or tasks.horizon(name.suite) / CONTROL_RATE_HZ
        self._moved_s: float | None = None
        self._commanded = False
        self._running = True
        self._samples = 0
        self._number += 1
        # Everything repeats within an episode, and the first sample is that of its first substep.
        self._since_begin = 0
        self._begin_pace()
        self._stamp_ns = self._stamp()
        self._log.begin(name)
        self._outlet.began(
            name, twin.environment.task.language, self._number, self._stamp() + self._period_ns
        )

    def _begin_pace(self) -> None:
        """Take up time after what the simulation has not seen, as the making of a scene."""
        if not self._settings.owns_clock:
            now_ns = time.time_ns() - self._substeps * self._period_ns
            self._start_ns = max(self._start_ns, now_ns)
        self._pacer = Pacer(self._settings.speed, self._twin.period_s, time.monotonic())
        self._skipped_s = 0.0

    def _keep_up_with_the_wall(self) -> None:
        """Let stamps jump over the time that slipped, where others go by another clock."""
        if self._settings.owns_clock:
            return
        self._start_ns += whole_nanoseconds(self._pacer.slipped_s - self._skipped_s)
        self._skipped_s = self._pacer.slipped_s

    def _substep(self) -> None:
        self._obey()
        twin = self._twin
        twin.advance()
        self._substeps += 1
        stamp = self._stamp()
        if self._since_begin % self._joint_every == 0:
            if self._settings.owns_clock:
                # As often as there is something new: every clock costs every node a callback.
                self._outlet.clock(stamp)
            self._stamp_ns = stamp
            self._samples += 1
            self._outlet.state(stamp, twin.state())
            self._await_command()
        if self._since_begin % self._image_every == 0 and not self._cameras.offer(
            stamp, twin, wait=self._settings.owns_clock
        ):
            self._skipped_images += 1
        self._since_begin += 1
        if self._running:
            self._log.add(twin, commanded=self._moved_s is not None)
            self._look_for_the_end()

    def _await_command(self) -> None:
        """Let whoever commands the arm answer this state before its time goes on.

        Only where the twin is the clock: a commander that is slow then stretches time, as it would
        on a quicker machine not be late.  One that falls silent is waited for once.
        """
        commanded, self._commanded = self._commanded, False
        if self._settings.owns_clock and commanded:
            with self._changed:
                self._changed.wait_for(
                    lambda: self._commands or self._wanted or self._paused or self._stopping,
                    _PATIENCE_S,
                )

    def _obey(self) -> None:
        while self._commands:
            command = self._commands.popleft()
            try:
                command(self._twin)
            except UserError as error:
                self._outlet.refused(str(error))
                continue
            self._commanded = True
            if self._moved_s is None:
                self._moved_s = self._since_begin * self._twin.period_s

    def _look_for_the_end(self) -> None:
        if self._twin.succeeded:
            self._finish(success=True)
        elif self._moved_s is not None:
            lasted_s = self._since_begin * self._twin.period_s - self._moved_s
            if lasted_s >= self._limit_s:
                self._finish(success=False)

    def _finish(self, *, success: bool) -> None:
        if self._ends(success=success):
            self._outlet.ended(success, self._stamp_ns, self._samples)

    def _cut_short(self) -> None:
        """End what a reset came into: nobody can say whether it would have succeeded."""
        if self._ends(success=False):
            self._outlet.cut_short(self._stamp_ns, self._samples)

    def _ends(self, *, success: bool) -> bool:
        """End the episode that runs; return whether there was one."""
        if not self._running:
            return False
        self._running = False
        self._log.end(success)
        return True

    def _stamp(self) -> int:
        return self._start_ns + self._substeps * self._period_ns
