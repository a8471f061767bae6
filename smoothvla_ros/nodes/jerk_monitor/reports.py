"""What the jerk monitor says of one robot on /diagnostics, each thing when it changes."""

from __future__ import annotations

from collections.abc import Sequence

from smoothvla_ros.control.lock_step.protocol import EpisodeState
from smoothvla_ros.nodes.base.diagnostics import ERROR, OK, WARNING, Diagnostics
from smoothvla_ros.nodes.jerk_monitor.config import JerkMonitorConfig
from smoothvla_ros.smoothness import AlarmLevel, WatchedJerk

_SEVERITY = {
    AlarmLevel.OK: OK,
    AlarmLevel.UNKNOWN: OK,
    AlarmLevel.WARNING: WARNING,
    AlarmLevel.ALARM: ERROR,
}


class JerkReports:
    """Remembers what was said, so that a stream of 1 kHz does not repeat it."""

    def __init__(
        self,
        diagnostics: Diagnostics,
        robot: str,
        joints: Sequence[str],
        config: JerkMonitorConfig,
    ) -> None:
        self._diagnostics = diagnostics
        self._robot = robot
        self._joints = joints
        self._config = config
        self._level = AlarmLevel.UNKNOWN
        self._off_rate = False
        self._unusable: set[str] = set()
        self._unusable_s = 0.0

    def rate(self, undeclared_hz: float | None) -> None:
        """Say that nothing can be measured because the declared rate is wrong; None: it is not."""
        if (undeclared_hz is not None) is self._off_rate:
            return
        self._off_rate = undeclared_hz is not None
        part, topic = f'{self._robot} rate', self._config.joint_states
        if undeclared_hz is None:
            self._diagnostics.report(part, OK, f'{topic} come at rate_hz')
        else:
            self._diagnostics.report(
                part,
                WARNING,
                f'no jerk is measured: {topic} come at {undeclared_hz:.4g} Hz, but rate_hz is '
                f'{self._config.rate_hz:g}; set rate_hz to theirs',
            )

    def messages(self, unusable: Sequence[str], used: int, now_s: float) -> None:
        """Say what is wrong with messages, and when none is for `silence_s` any more.

        unusable: reasons of those that came, used: how many could be used; now_s: a monotonic time.
        """
        part = f'{self._robot} {self._config.joint_states} messages'
        if unusable:
            self._unusable_s = now_s
            for reason in dict.fromkeys(unusable):
                if reason not in self._unusable:
                    self._unusable.add(reason)
                    self._diagnostics.report(part, ERROR, reason)
        elif self._unusable and used and now_s - self._unusable_s >= self._config.silence_s:
            self._unusable.clear()
            self._diagnostics.report(part, OK, 'usable again')

    def trouble(self, reason: str) -> None:
        """Say why nothing is measured and that the level is unknown; '': it is heard again."""
        part = f'{self._robot} {self._config.joint_states}'
        if not reason:
            self._diagnostics.report(part, OK, 'heard')
            return
        self._level = AlarmLevel.UNKNOWN
        self._diagnostics.report(part, WARNING, reason)
        self._diagnostics.report(f'{self._robot} jerk', WARNING, 'jerk UNKNOWN', measured=True)

    def level(self, level: AlarmLevel, watched: WatchedJerk) -> None:
        """Say the level, and which joint is nearest to its limit."""
        if level is self._level:
            return
        self._level = level
        text = f'jerk {level.name}: tool {watched.estimate.newest_tool_jerk:.3g} m/s^3'
        joint = watched.nearest_joint
        if joint is not None:
            name, share = self._joints[joint], watched.greatest_share
            text += f', {name} at {share:.0%} of its {self._config.limits} limit'
        self._diagnostics.report(f'{self._robot} jerk', _SEVERITY[level], text, measured=True)

    def episode(self, state: EpisodeState, mean_jerk: float, missing: int) -> None:
        """Say an episode's mean jerk, m/s^3, or how many of its samples are missing."""
        if missing:
            text = f'{state.episode_id}: {missing} of {state.samples} samples missing'
            self._diagnostics.report(self._robot, WARNING, text)
        else:
            text = f'{state.episode_id}: mean jerk {mean_jerk:.3g} m/s^3'
            self._diagnostics.report(self._robot, OK, text)
