"""One robot in Rerun: arm, trail, cameras, curves with their limits, levels on the time line."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import rerun

from smoothvla_ros.kinematics.arm import Arm
from smoothvla_ros.nanoseconds import NANOSECOND_S
from smoothvla_ros.viewer.jerk_scene import (
    JerkTrail,
    jerk_colours,
    joint_colour,
    joint_diameter,
)
from smoothvla_ros.viewer.robot_model import RobotModel

TIMELINE = 'time'
OK, WARNING, ALARM, STALE = 'ok', 'warning', 'alarm', 'stale'

# Okabe and Ito's colours, which the colour-blind tell apart.
_SKY, _GREEN, _ORANGE, _VERMILION = (86, 180, 233), (0, 158, 115), (230, 159, 0), (213, 94, 0)
_OF_JOINTS = (
    _SKY,
    _GREEN,
    (240, 228, 66),
    (0, 114, 178),
    (204, 121, 167),
    (220, 220, 220),
    _ORANGE,
)
_OF_LEVELS = {OK: (110, 135, 150), WARNING: _ORANGE, ALARM: _VERMILION, STALE: (60, 60, 60)}
_SEVERITY = {WARNING: 'WARN', ALARM: 'ERROR'}
_WHITE = (255, 255, 255)
_TRAIL_RADIUS_M = 0.004
_LEGEND_AT, _LEGEND_STEP_M, _LEGEND_ENTRIES = np.array([0.0, -0.5, 0.0]), 0.09, 5
_BESIDE_M = np.array([0.0, -0.1, 0.035])
_ABOVE_TOOL_M = 0.12
_JPEG_QUALITY = 80
# Two seconds of joint positions 5 ms apart: what is estimated lies half a window back.
_HISTORY, _HISTORY_STEP_NS = 400, 5_000_000


@dataclass(frozen=True)
class Reading:
    """What the monitor says of one robot.

    stamp_ns: of the estimate, the centre of its window.  tool_jerk: m/s^3, norm.
    newest_tool_jerk: m/s^3, at the newest sample: the level goes by it.  joint_jerk: [n] rad/s^3.
    level: one of the four above.  warning, alarm: tool jerk from which a level is reached, m/s^3.
    limits: [n] rad/s^3, None where joints have none.
    """

    stamp_ns: int
    tool_jerk: float
    newest_tool_jerk: float
    joint_jerk: np.ndarray
    level: str
    warning: float
    alarm: float
    limits: np.ndarray | None

    @property
    def shares(self) -> np.ndarray | None:
        """Of each joint's limit, [n]."""
        return None if self.limits is None else np.abs(self.joint_jerk) / self.limits


class RobotScene:
    """Sends what is seen of one robot to a recording; whoever calls bounds how often."""

    def __init__(self, recording: rerun.RecordingStream, robot: str, urdf: Path, arm: Arm) -> None:
        """Send what never changes: links and the looks of curves."""
        self._recording = recording
        self._robot = robot
        self._arm = arm
        self._full_scale = 0.0
        self._trail = JerkTrail()
        self._history: deque[tuple[int, np.ndarray]] = deque(maxlen=_HISTORY)
        self._level = ''
        self.model = RobotModel(recording, urdf, robot)
        self._name_curves()

    def begin(self, stamp_ns: int, text: str) -> None:
        """Take the trail away: another episode begins."""
        self._trail.clear()
        self._at(stamp_ns)
        self._log('trail', rerun.Clear(recursive=False))
        self.say(stamp_ns, text)

    def say(self, stamp_ns: int, text: str, level: str = 'INFO') -> None:
        """Add a line to what happened; level: as in rerun.TextLogLevel."""
        self._at(stamp_ns)
        when = datetime.fromtimestamp(stamp_ns * NANOSECOND_S, UTC)
        self._log('events', rerun.TextLog(f'{when:%H:%M:%S.%f}'[:-4] + f'  {text}', level=level))

    def joints(self, stamp_ns: int, positions: Mapping[str, float]) -> None:
        """Show the arm at these positions, rad or m by joint name."""
        self._at(stamp_ns)
        self.model.move(positions)

    def remember(self, stamp_ns: int, positions: np.ndarray) -> None:
        """Note where the arm's own joints [n] were, for what is said of that time later."""
        if self._history and stamp_ns < self._history[-1][0]:
            self._history.clear()
        if not self._history or stamp_ns - self._history[-1][0] >= _HISTORY_STEP_NS:
            self._history.append((stamp_ns, positions))

    def image(self, camera: str, stamp_ns: int, pixels: np.ndarray) -> None:
        """Show a camera's image, uint8 [height, width, 3], RGB."""
        self._at(stamp_ns)
        self._log(f'camera/{camera}', rerun.Image(pixels).compress(_JPEG_QUALITY))

    def commanded(self, reading: Reading) -> None:
        """Show the jerk of what the arm is commanded beside its own."""
        if np.isfinite(reading.tool_jerk):
            self._at(reading.stamp_ns)
            self._log('jerk/commanded', rerun.Scalars(reading.tool_jerk))

    def draw(self, reading: Reading) -> None:
        """Show one estimate: curves, trail, joints, number."""
        if not np.isfinite(reading.tool_jerk):
            return
        if reading.alarm != self._full_scale:
            self._full_scale = reading.alarm
            self._draw_legend()
        self._at(reading.stamp_ns)
        self._log('jerk/tool', rerun.Scalars(reading.tool_jerk))
        self._log(f'jerk/{WARNING}', rerun.Scalars(reading.warning))
        self._log(f'jerk/{ALARM}', rerun.Scalars(reading.alarm))
        shares = reading.shares
        if shares is not None:
            for name, share in zip(self._arm.joint_names, shares, strict=True):
                self._log(f'share_of_limit/{name}', rerun.Scalars(100.0 * share))
            self._log('share_of_limit/limit', rerun.Scalars(100.0))
        place = self._place(reading.stamp_ns)
        if place is None:
            return
        tool = self._arm.tool_pose(place)[0]
        self._trail.add(tool, reading.tool_jerk)
        self._draw_trail()
        self._draw_number(tool, f'{reading.tool_jerk:.3g} m/s³ {reading.level}', reading.level)
        if shares is not None:
            self._draw_joints(self._arm.joint_origins(place), shares)

    def note_level(self, reading: Reading) -> None:
        """Put the level on the time line where it changes, with what is nearest to its limit."""
        if reading.level == self._level or not np.isfinite(reading.tool_jerk):
            return
        text = f'tool {reading.newest_tool_jerk:.3g} m/s³'
        shares = reading.shares
        if shares is not None:
            nearest = int(np.argmax(shares))
            text += f', {self._arm.joint_names[nearest]} at {shares[nearest]:.0%} of its limit'
        self._change(reading.stamp_ns, reading.level, text)

    def stale(self, stamp_ns: int) -> None:
        """Say that nothing came for a while."""
        if self._level == STALE:
            return
        self._change(stamp_ns, STALE, 'no joint states')
        if self._trail.places.size:
            self._draw_number(self._trail.places[-1], STALE, STALE)

    def _change(self, stamp_ns: int, level: str, text: str) -> None:
        self._level = level
        self._at(stamp_ns)
        self._log('level', rerun.StateChange(state=level))
        self.say(stamp_ns, f'{level}: {text}', _SEVERITY.get(level, 'INFO'))

    def _draw_trail(self) -> None:
        places = self._trail.places
        if len(places) < 2:
            return
        self._log(
            'trail',
            rerun.LineStrips3D(
                np.stack([places[:-1], places[1:]], axis=1),
                colors=_bytes(jerk_colours(self._trail.jerks[1:], self._full_scale)),
                radii=_TRAIL_RADIUS_M,
            ),
        )

    def _draw_joints(self, places: np.ndarray, shares: np.ndarray) -> None:
        colours = np.array([joint_colour(share) for share in shares])
        self._log(
            'nervous_joints',
            rerun.Points3D(
                places,
                colors=_bytes(colours),
                radii=[joint_diameter(share) / 2 for share in shares],
            ),
        )

    def _draw_number(self, tool: np.ndarray, text: str, level: str) -> None:
        above = tool + np.array([0.0, 0.0, _ABOVE_TOOL_M])
        colour = _OF_LEVELS[level] if level in (WARNING, ALARM) else _WHITE
        self._log(
            'number',
            rerun.Points3D([above], labels=[text], radii=0.004, colors=colour, show_labels=True),
        )

    def _draw_legend(self) -> None:
        jerks = np.linspace(0.0, self._full_scale, _LEGEND_ENTRIES)
        steps = np.arange(_LEGEND_ENTRIES)[:, None] * np.array([0.0, 0.0, _LEGEND_STEP_M])
        labels = [f'{jerk:.3g}' for jerk in jerks[:-1]] + [f'≥ {jerks[-1]:.3g} m/s³']
        colours = _bytes(jerk_colours(jerks, self._full_scale))
        places = _LEGEND_AT + steps
        self._log('legend', rerun.Points3D(places, colors=colours, radii=0.02), static=True)
        # Apart from the points: a label has the colour of its point, and dark ones cannot be read.
        words = rerun.Points3D(
            places + _BESIDE_M, labels=labels, colors=_WHITE, radii=0.0, show_labels=True
        )
        self._log('legend/words', words, static=True)

    def _name_curves(self) -> None:
        curves = {
            'jerk/tool': ('tool', _SKY, 2.0),
            'jerk/commanded': ('commanded', _GREEN, 1.5),
            f'jerk/{WARNING}': (WARNING, _ORANGE, 1.5),
            f'jerk/{ALARM}': (ALARM, _VERMILION, 1.5),
            'share_of_limit/limit': ('limit', _VERMILION, 1.5),
        }
        for index, name in enumerate(self._arm.joint_names):
            colour = _OF_JOINTS[index % len(_OF_JOINTS)]
            curves[f'share_of_limit/{name}'] = (name, colour, 1.5)
        for path, (name, colour, width) in curves.items():
            style = rerun.SeriesLines(names=name, colors=colour, widths=width)
            self._log(path, style, static=True)
        self._log(
            'level',
            rerun.StateConfiguration(
                values=list(_OF_LEVELS), labels=list(_OF_LEVELS), colors=list(_OF_LEVELS.values())
            ),
            static=True,
        )
        for entity in ('trail', 'nervous_joints', 'number', 'legend', 'legend/words'):
            self._log(entity, rerun.CoordinateFrame(self.model.frame), static=True)

    def _place(self, stamp_ns: int) -> np.ndarray | None:
        """Return the joint positions [n] at a time, between the two samples around it."""
        if not self._history or not self._history[0][0] <= stamp_ns <= self._history[-1][0]:
            return None
        stamps = np.array([stamp for stamp, _ in self._history])
        after = int(np.searchsorted(stamps, stamp_ns))
        if stamps[after] == stamp_ns:
            return self._history[after][1]
        before, later = self._history[after - 1], self._history[after]
        share = (stamp_ns - before[0]) / (later[0] - before[0])
        return (1.0 - share) * before[1] + share * later[1]

    def _at(self, stamp_ns: int) -> None:
        self._recording.set_time(TIMELINE, timestamp=np.datetime64(stamp_ns, 'ns'))

    def _log(self, entity: str, what: rerun.AsComponents, *, static: bool = False) -> None:
        self._recording.log(f'{self._robot}/{entity}', what, static=static)


def _bytes(colours: np.ndarray) -> np.ndarray:
    return np.round(255.0 * colours).astype(np.uint8)
