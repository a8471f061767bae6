"""Colours that can be read without seeing red and green, sizes, and a trail that stays bounded."""

from __future__ import annotations

import numpy as np

from smoothvla_ros.viewer.jerk_scene import (
    JerkTrail,
    jerk_colours,
    joint_colour,
    joint_diameter,
)

_LUMINANCE = np.array([0.2126, 0.7152, 0.0722])


def test_more_jerk_is_always_lighter():
    """Lightness alone gives the order, so neither colour-blindness nor grey printing loses it."""
    lightness = jerk_colours(np.linspace(0.0, 50.0, 200), 50.0) @ _LUMINANCE
    assert (np.diff(lightness) > 0).all()
    beyond = jerk_colours(np.array([50.0, 500.0]), 50.0)
    np.testing.assert_array_equal(beyond[0], beyond[1])


def test_a_joint_swells_and_reddens_up_to_its_limit():
    """Diameter and redness rise with the share, lightness falls, and none goes beyond."""
    shares = np.linspace(0.0, 1.0, 50)
    assert (np.diff([joint_diameter(share) for share in shares]) > 0).all()
    colours = np.array([joint_colour(share) for share in shares])
    assert (np.diff(colours[:, 0] - colours[:, 2]) > 0).all()
    assert (np.diff(colours @ _LUMINANCE) < 0).all()
    assert joint_diameter(7.0) == joint_diameter(1.0)
    np.testing.assert_array_equal(joint_colour(7.0), joint_colour(1.0))


def test_the_trail_is_bounded_and_keeps_the_peak_of_each_step():
    """However long the arm moves, and however slowly."""
    trail = JerkTrail(most=100, step_m=0.01)
    for index in range(1000):
        trail.add(np.array([index * 0.002, 0.0, 0.0]), float(index % 7))
    assert len(trail.places) == len(trail.jerks) == 100
    assert (np.linalg.norm(np.diff(trail.places, axis=0), axis=1) >= 0.01 - 1e-12).all()
    assert trail.jerks.min() >= 4.0
    trail.clear()
    assert trail.places.shape == (0, 3)
