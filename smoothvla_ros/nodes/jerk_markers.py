"""The jerk of one robot as RViz markers: trail, joints, number, legend."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

import numpy as np
from builtin_interfaces.msg import Time
from geometry_msgs.msg import Point
from std_msgs.msg import ColorRGBA
from visualization_msgs.msg import Marker, MarkerArray

from smoothvla_ros.control.jerk_scene import (
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


def deleted(frame: str) -> MarkerArray:
    """Return what removes every marker of before."""
    marker = Marker(action=Marker.DELETEALL)
    marker.header.frame_id = frame
    return MarkerArray(markers=[marker])


class TrailMarker:
    """The tool's trail as a line with one colour a point.

    Its points are kept as messages: five hundred new ones take two milliseconds, twenty times a
    second.
    """

    def __init__(self, full_scale: float) -> None:
        """full_scale: m/s^3, the brightest colour."""
        self.full_scale = full_scale
        self._trail = JerkTrail()
        self._points: deque[Point] = deque(maxlen=self._trail.most)
        self._colours: deque[ColorRGBA] = deque(maxlen=self._trail.most)

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
        (colour,) = jerk_colours(np.array([self._trail.newest_jerk]), self.full_scale)
        self._colours.append(_colour(colour))

    def marker(self) -> Marker:
        """Return the line; RViz takes colours only where there are as many as points."""
        marker = _marker('trail', 0, Marker.LINE_STRIP)
        if len(self._points) < 2:
            marker.action = Marker.DELETE
            return marker
        marker.scale.x = _TRAIL_WIDTH_M
        marker.points, marker.colors = list(self._points), list(self._colours)
        return marker


def jerk_markers(
    frame: str,
    stamp: Time,
    trail: TrailMarker,
    joint_places: np.ndarray,
    shares: np.ndarray,
    text: str,
    tool: np.ndarray,
) -> MarkerArray:
    """Return the whole picture at one instant.

    joint_places: [n, 3] m.  shares: [n] of the joints' limits, NaN for none.  text: beside the tool
    at `tool` [3] m.
    """
    markers = [trail.marker(), _text('number', 0, text, tool, _ABOVE_TOOL_M, _TEXT_M)]
    for index, (place, share) in enumerate(zip(joint_places, shares, strict=True)):
        if np.isfinite(share):
            markers.append(_joint(index, place, float(share)))
    markers += _legend(trail.full_scale)
    for marker in markers:
        marker.header.frame_id = frame
        marker.header.stamp = stamp
    return MarkerArray(markers=markers)


def _joint(index: int, place: np.ndarray, share: float) -> Marker:
    marker = _marker('joints', index, Marker.SPHERE)
    marker.pose.position = _point(place)
    marker.scale.x = marker.scale.y = marker.scale.z = joint_diameter(share)
    marker.color = _colour(joint_colour(share), 0.8)
    return marker


def _legend(full_scale: float) -> list[Marker]:
    jerks = np.linspace(0.0, full_scale, _LEGEND_ENTRIES)
    colours = jerk_colours(jerks, full_scale)
    found = []
    for index, (jerk, colour) in enumerate(zip(jerks, colours, strict=True)):
        last = ' m/s³ and more' if index == _LEGEND_ENTRIES - 1 else ' m/s³'
        place = _LEGEND_AT + np.array([0.0, 0.0, index * _LEGEND_STEP_M])
        found.append(_text('legend', index, f'{jerk:.3g}{last}', place, 0.0, _LEGEND_M, colour))
    return found


def _text(
    namespace: str,
    number: int,
    text: str,
    place: Sequence[float] | np.ndarray,
    above_m: float,
    height_m: float,
    colour: np.ndarray = _WHITE,
) -> Marker:
    marker = _marker(namespace, number, Marker.TEXT_VIEW_FACING)
    marker.text = text
    marker.pose.position = _point(np.asarray(place) + np.array([0.0, 0.0, above_m]))
    marker.scale.z = height_m
    marker.color = _colour(colour)
    return marker


def _marker(namespace: str, number: int, kind: int) -> Marker:
    marker = Marker(ns=namespace, id=number, type=kind, action=Marker.ADD)
    marker.pose.orientation.w = 1.0
    return marker


def _point(place: np.ndarray) -> Point:
    x, y, z = map(float, place)
    return Point(x=x, y=y, z=z)


def _colour(rgb: np.ndarray, alpha: float = 1.0) -> ColorRGBA:
    red, green, blue = map(float, rgb)
    return ColorRGBA(r=red, g=green, b=blue, a=alpha)
