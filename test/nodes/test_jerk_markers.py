"""The picture in RViz: what it needs to draw it, and nothing left over from before."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
from builtin_interfaces.msg import Time
from visualization_msgs.msg import Marker

from smoothvla_ros.nodes.jerk_monitor import markers as jerk_markers_module
from smoothvla_ros.nodes.jerk_monitor.markers import JerkMarkers, TrailMarker, deleted
from smoothvla_ros.viewer.jerk_scene import JerkTrail, jerk_colours


def picture(points: int, shares=(0.1, 0.9, float('nan'))):
    drawn = JerkMarkers('base', 50.0, len(shares))
    for index in range(points):
        drawn.trail.add(np.array([0.01 * index, 0.0, 0.3]), float(index))
    return drawn_at(drawn, shares, sec=7)


def drawn_at(drawn: JerkMarkers, shares, sec: int):
    places = np.arange(9.0).reshape(3, 3)
    tool = np.array([0.4, 0.0, 0.3])
    return drawn.picture(Time(sec=sec), places, np.array(shares), '12 m/s³ OK', tool).markers


def test_every_marker_is_named_once_and_has_its_frame_and_stamp():
    """RViz replaces markers by namespace and number; two of one name would hide each other."""
    markers = picture(30)
    names = [(marker.ns, marker.id) for marker in markers]
    assert len(set(names)) == len(names)
    assert {marker.header.frame_id for marker in markers} == {'base'}
    assert {marker.header.stamp.sec for marker in markers} == {7}
    assert all(marker.pose.orientation.w == 1.0 for marker in markers)


def test_the_trail_has_a_colour_a_point():
    """Only then does RViz use them; a single point is no line and is taken away."""
    trail = next(m for m in picture(30) if m.ns == 'trail')
    assert trail.type == Marker.LINE_STRIP
    assert len(trail.points) == len(trail.colors) == 30
    assert trail.scale.x > 0
    assert next(m for m in picture(1) if m.ns == 'trail').action == Marker.DELETE


@pytest.mark.parametrize('most', [3, 500])
def test_the_kept_points_are_those_of_the_trail(most, monkeypatch):
    """New places, ones that stay with a greater jerk, a trail that is full, a new beginning."""
    monkeypatch.setattr(jerk_markers_module, 'JerkTrail', partial(JerkTrail, most=most))
    marker, trail = TrailMarker(50.0), JerkTrail(most=most)
    generator = np.random.default_rng(0)
    for begin in range(2):
        marker.clear()
        trail.clear()
        for step in range(200):
            place = np.array([0.002 * step, float(begin), 0.3])
            jerk = generator.uniform(0.0, 60.0)
            marker.add(place, jerk)
            trail.add(place, jerk)
            if len(trail.places) < 2:
                continue
            found = marker.marker()
            assert [[p.x, p.y, p.z] for p in found.points] == trail.places.tolist()
            wanted = jerk_colours(trail.jerks, 50.0)
            # Half a step of the palette, where the colours change most.
            np.testing.assert_allclose([[c.r, c.g, c.b] for c in found.colors], wanted, atol=0.01)


def test_joints_grow_with_their_share_and_those_without_limit_are_not_drawn():
    """Two of three joints have a limit; the nearer to it, the larger and the redder."""
    calm, tense = [m for m in picture(5) if m.ns == 'joints']
    assert calm.type == Marker.SPHERE
    assert tense.scale.x > calm.scale.x
    assert tense.color.r - tense.color.b > calm.color.r - calm.color.b
    assert tense.pose.position.x == 3.0


def test_a_picture_has_nothing_of_the_one_before():
    """Its messages are the same: a joint without a limit goes, a trail that was cleared too."""
    drawn = JerkMarkers('base', 50.0, 3)
    for index in range(5):
        drawn.trail.add(np.array([0.01 * index, 0.0, 0.3]), 1.0)
    assert len([m for m in drawn_at(drawn, (0.1, 0.9, 0.5), sec=1) if m.ns == 'joints']) == 3
    drawn.trail.clear()
    after = drawn_at(drawn, (0.1, float('nan'), 0.2), sec=2)
    assert [(m.id, m.scale.x < 0.07) for m in after if m.ns == 'joints'] == [(0, True), (2, True)]
    (trail,) = [m for m in after if m.ns == 'trail']
    assert (trail.action, len(trail.points), len(trail.colors)) == (Marker.DELETE, 0, 0)
    assert {m.header.stamp.sec for m in after} == {2}
    drawn.trail.add(np.zeros(3), 1.0)
    drawn.trail.add(np.ones(3), 1.0)
    assert drawn_at(drawn, (0.1,) * 3, sec=3)[0].action == Marker.ADD


def test_number_and_legend_are_written():
    """The text beside the tool, and jerks from nothing to the full scale with their colours."""
    markers = picture(5)
    (number,) = [m for m in markers if m.ns == 'number']
    assert number.text == '12 m/s³ OK'
    legend = [m.text for m in markers if m.ns == 'legend']
    assert legend[0] == '0 m/s³'
    assert legend[-1] == '50 m/s³ and more'


def test_reset_takes_everything_away():
    """One marker that deletes all others."""
    (marker,) = deleted('base').markers
    assert marker.action == Marker.DELETEALL
    assert marker.header.frame_id == 'base'


@pytest.mark.parametrize('points', [0, 500, 2000])
def test_the_picture_stays_small(points):
    """The trail is bounded, so that 20 pictures a second cost little however long the run."""
    trail = next(m for m in picture(points) if m.ns == 'trail')
    assert len(trail.points) <= 500
