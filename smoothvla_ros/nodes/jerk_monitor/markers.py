"""The jerk of one robot as RViz markers: trail, joints, number, legend.

Messages are made once and changed for the next picture: to make them anew, twenty times a second,
cost more than everything that is measured.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

import numpy as np
from builtin_interfaces.msg import Time
from geometry_msgs.msg import Point
from std_msgs.msg import ColorRGBA
from visualization_msgs.msg import Marker, MarkerArray

from smoothvla_ros.viewer.jerk_scene import (
    JerkTrail,
    jerk_colours,
    joint_colour,
    joint_diameter,
)

_TRAIL_WIDTH_M = 0.008
_TEXT_M, _LEGEND_M = 0.06, 0.035
_LEGEND_AT, _LEGEND_STEP_M = np.array([0.0, -0.45, 0.05]), 0.05
_LEGEND_ENTRIES = 5
_ABOVE_TOOL_M = 0.12
_WHITE = np.ones(3)
# So many colours are told apart in a trail.
_PALETTE = 256


def deleted(frame: str) -> MarkerArray:
    """Return what removes every marker of before."""
    marker = Marker(action=Marker.DELETEALL)
    marker.header.frame_id = frame
    return MarkerArray(markers=[marker])


class TrailMarker:
    """The tool's trail as a line with one colour a point, each kept as a message."""

    def __init__(self, full_scale: float) -> None:
        """full_scale: m/s^3, the brightest colour."""
        self.full_scale = full_scale
        self._palette = [
            _colour(rgb) for rgb in jerk_colours(np.linspace(0.0, full_scale, _PALETTE), full_scale)
        ]
        self._trail = JerkTrail()
        self._points: deque[Point] = deque(maxlen=self._trail.most)
        self._colours: deque[ColorRGBA] = deque(maxlen=self._trail.most)
        self._marker = _marker('trail', 0, Marker.LINE_STRIP)
        self._marker.scale.x = _TRAIL_WIDTH_M

    def clear(self) -> None:
        """Forget the path, as when an episode begins."""
        self._trail.clear()
        self._points.clear()
        self._colours.clear()

    def add(self, place: np.ndarray, jerk: float) -> None:
        """Take a place of the tool [3] m and the jerk there, m/s^3."""
        if self._trail.add(place, jerk):
            self._points.append(_point(place))
        else:
            self._colours.pop()
        share = self._trail.newest_jerk / self.full_scale
        step = round(share * (_PALETTE - 1)) if share < 1.0 else _PALETTE - 1
        self._colours.append(self._palette[step])

    def marker(self) -> Marker:
        """Return the line; RViz takes colours only where there are as many as points."""
        is_line = len(self._points) > 1
        self._marker.action = Marker.ADD if is_line else Marker.DELETE
        self._marker.points = list(self._points) if is_line else []
        self._marker.colors = list(self._colours) if is_line else []
        return self._marker


class JerkMarkers:
    """The whole picture of one robot."""

    def __init__(self, frame: str, full_scale: float, joints: int) -> None:
        """full_scale: m/s^3, the brightest colour of the trail."""
        self.trail = TrailMarker(full_scale)
        self._frame = frame
        self._number = _text('number', 0, '', np.zeros(3), _TEXT_M)
        self._joints = [_marker('joints', index, Marker.SPHERE) for index in range(joints)]
        self._legend = _legend(full_scale)

    def picture(
        self,
        stamp: Time,
        joint_places: np.ndarray,
        shares: np.ndarray,
        text: str,
        tool: np.ndarray,
    ) -> MarkerArray:
        """Return it at one instant; valid until the next one is asked for.

        joint_places: [n, 3] m.  shares: [n] of the joints' limits, NaN for none.  text: beside the
        tool at `tool` [3] m.
        """
        self._number.text = text
        self._number.pose.position = _point(tool + np.array([0.0, 0.0, _ABOVE_TOOL_M]))
        markers = [self.trail.marker(), self._number]
        for marker, place, share in zip(self._joints, joint_places, shares, strict=True):
            if np.isfinite(share):
                _show_share(marker, place, float(share))
                markers.append(marker)
        markers += self._legend
        for marker in markers:
            marker.header.frame_id = self._frame
            marker.header.stamp = stamp
        return MarkerArray(markers=markers)


def _show_share(marker: Marker, place: np.ndarray, share: float) -> None:
    marker.pose.position = _point(place)
    marker.scale.x = marker.scale.y = marker.scale.z = joint_diameter(share)
    marker.color = _colour(joint_colour(share), 0.8)


def _legend(full_scale: float) -> list[Marker]:
    jerks = np.linspace(0.0, full_scale, _LEGEND_ENTRIES)
    colours = jerk_colours(jerks, full_scale)
    found = []
    for index, (jerk, colour) in enumerate(zip(jerks, colours, strict=True)):
        last = ' m/s³ and more' if index == _LEGEND_ENTRIES - 1 else ' m/s³'
        place = _LEGEND_AT + np.array([0.0, 0.0, index * _LEGEND_STEP_M])
        found.append(_text('legend', index, f'{jerk:.3g}{last}', place, _LEGEND_M, colour))
    return found


def _text(
    namespace: str,
    number: int,
    text: str,
    place: Sequence[float] | np.ndarray,
    height_m: float,
    colour: np.ndarray = _WHITE,
) -> Marker:
    marker = _marker(namespace, number, Marker.TEXT_VIEW_FACING)
    marker.text = text
    marker.pose.position = _point(place)
    marker.scale.z = height_m
    marker.color = _colour(colour)
    return marker


def _marker(namespace: str, number: int, kind: int) -> Marker:
    marker = Marker(ns=namespace, id=number, type=kind, action=Marker.ADD)
    marker.pose.orientation.w = 1.0
    return marker


def _point(place: Sequence[float] | np.ndarray) -> Point:
    x, y, z = map(float, place)
    return Point(x=x, y=y, z=z)


def _colour(rgb: np.ndarray, alpha: float = 1.0) -> ColorRGBA:
    red, green, blue = map(float, rgb)
    return ColorRGBA(r=red, g=green, b=blue, a=alpha)
