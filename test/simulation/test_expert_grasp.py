"""Which grasp the expert chooses, and that alike scenes get alike grasps."""

import numpy as np
import pytest

from smoothvla_ros.simulation.expert.grasp import plan_grasp, room, width_grasps
from smoothvla_ros.simulation.expert.motion import rotation_about

NOTHING = np.zeros((0, 3))
UPRIGHT = np.eye(3)
HERE = np.array([0.55, 0.0, 0.0])


def _bowl(radius=0.055, height=0.05):
    angles = np.linspace(0.0, 2.0 * np.pi, 60, endpoint=False)
    rings = [
        np.stack([r * np.cos(angles), r * np.sin(angles), np.full(60, z)], axis=1)
        for z, r in zip(np.linspace(0, height, 12), np.linspace(0.6, 1, 12) * radius, strict=True)
    ]
    return np.concatenate(rings)


def _box(size, yaw=0.0):
    grid = np.stack(np.meshgrid(*[np.linspace(-0.5, 0.5, 15)] * 3), axis=-1).reshape(-1, 3)
    return grid * np.asarray(size) @ rotation_about(2, yaw).T


def _bowl_grasp(obstacles, rotation=UPRIGHT, shift=0.0):
    return plan_grasp(_bowl() @ rotation.T + HERE + shift, rotation, 'akita_black_bowl', obstacles)


def test_a_bowl_in_the_open_is_taken_by_its_left_rim_without_turning():
    """With nothing around, the preferred side is taken: rim at +y, tool unturned."""
    grasp = _bowl_grasp(NOTHING)
    assert grasp.yaw == 0.0
    np.testing.assert_allclose(grasp.position[:2], HERE[:2] + np.array([0.0, 0.051]), atol=0.002)
    assert 0.01 < grasp.top - grasp.position[2] < 0.028


def test_a_millimetre_does_not_change_the_choice():
    """Scenes that look alike get the same side and turn; the position follows the object."""
    for shift in np.random.default_rng(0).uniform(-0.001, 0.001, size=(20, 3)):
        grasp = _bowl_grasp(NOTHING, shift=shift)
        assert grasp.yaw == 0.0
        np.testing.assert_allclose(grasp.position - shift, _bowl_grasp(NOTHING).position, atol=1e-3)


def test_a_blocked_side_is_left_for_the_other():
    """Something tall beside the preferred rim sends the grasp elsewhere, where there is room."""
    wall = _box([0.1, 0.03, 0.2]) + HERE + [0.0, 0.1, 0.1]
    grasp = _bowl_grasp(wall)
    assert room(grasp.position, grasp.yaw, wall) >= 0.0
    assert grasp.position[1] < 0.02


def test_a_leaning_bowl_is_taken_where_its_rim_is_level():
    """Of a bowl that leans to the front, the fingers take the left or right rim, half way up."""
    rotation = rotation_about(1, -0.9)
    grasp = _bowl_grasp(NOTHING, rotation)
    mouth = HERE + rotation @ [0.0, 0.0, 0.05]
    assert abs(grasp.position[0] - mouth[0]) < 0.015
    assert abs(abs(grasp.position[1] - mouth[1]) - 0.051) < 0.006
    assert grasp.top > mouth[2] + 0.03


@pytest.mark.parametrize('turned', [0.0, 0.2, 0.6])
def test_a_bowl_that_lies_on_its_side_is_still_taken(turned):
    """Knocked over, its rim may have no level part within the tool's turns; a grasp is found."""
    rotation = rotation_about(2, turned) @ rotation_about(1, -1.5)
    grasp = _bowl_grasp(NOTHING, rotation)
    lying = _bowl() @ rotation.T + HERE
    assert (grasp.position >= lying.min(axis=0) - 0.02).all()
    assert (grasp.position <= lying.max(axis=0) + 0.02).all()


@pytest.mark.parametrize('yaw', [0.0, 0.3, -0.4, 1.2])
def test_a_box_is_taken_across_its_narrow_side(yaw):
    """The fingers close on the narrow side of a box, however it is turned."""
    points = _box([0.09, 0.04, 0.06], yaw) + HERE
    grasp = plan_grasp(points, np.eye(3), 'cream_cheese', NOTHING)
    finger_axis = np.array([-np.sin(grasp.yaw), np.cos(grasp.yaw)])
    assert np.ptp(points[:, :2] @ finger_axis) < 0.052


def test_a_can_is_taken_without_turning():
    """A round thing is as wide in all directions: the tool does not turn."""
    can = _bowl(radius=0.033, height=0.08) + HERE
    assert plan_grasp(can, np.eye(3), 'alphabet_soup', NOTHING).yaw == 0.0


def test_a_long_box_is_taken_off_its_middle_when_the_hand_would_hit_a_neighbour():
    """A tall neighbour beside one end moves the grasp towards the other end."""
    points = _box([0.083, 0.043, 0.02]) + HERE
    neighbour = _box([0.06, 0.06, 0.16]) + HERE + [0.06, -0.1, 0.07]
    grasp = plan_grasp(points, np.eye(3), 'cream_cheese', neighbour)
    assert grasp.yaw == 0.0
    assert grasp.position[0] < HERE[0] - 0.01


def test_grasps_of_a_tall_thing_leave_the_palm_above_it():
    """A bottle reaches no further up between the fingers than the palm allows."""
    bottle = _box([0.04, 0.04, 0.15]) + HERE
    assert all(grasp.top - grasp.position[2] <= 0.0281 for grasp in width_grasps(bottle))
